"""Named models: one file each, imported when asked for."""

from __future__ import annotations

from importlib import import_module

from gemsmith.config.model import ModelConfig
from gemsmith.errors import ModelNotFoundError

_PRESETS = {  # name -> module and constant
    "e2b": "e2b:E2B",
    "e4b": "e4b:E4B",
    "12b": "unified_12b:UNIFIED_12B",
    "26b-a4b": "moe_26b_a4b:MOE_26B_A4B",
    "31b": "dense_31b:DENSE_31B",
    "pebble": "pebble:PEBBLE",
    "pebble-moe": "pebble_moe:PEBBLE_MOE",
    "tiny-random": "tiny_random:E2B",
    "tiny-random-e2b": "tiny_random:E2B",
    "tiny-random-e4b": "tiny_random:E4B",
    "tiny-random-12b": "tiny_random:UNIFIED_12B",
    "tiny-random-26b-a4b": "tiny_random:MOE_26B_A4B",
    "tiny-random-31b": "tiny_random:DENSE_31B",
}


def preset(name: str) -> ModelConfig:
    """The config of that name; raises ModelNotFoundError that lists the names there are."""
    if name not in _PRESETS:
        raise ModelNotFoundError(f"there is no preset {name[:60]!r}; known names are {', '.join(_PRESETS)}")
    module, constant = _PRESETS[name].split(":")
    config: ModelConfig = getattr(import_module(f"gemsmith.config.presets.{module}"), constant)
    return config


def preset_names() -> tuple[str, ...]:
    """Every name that `preset` knows."""
    return tuple(_PRESETS)
