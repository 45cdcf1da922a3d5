"""How a checkpoint wants to be sampled: `generation_config.json`, or the family's defaults where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from gemsmith.config.document import blaming, read_document
from gemsmith.config.fields import check, fields_from_json, fields_to_json
from gemsmith.config.model import ModelConfig

STOP_IDS = (1, 106, 50)  # end of text, end of turn, start of a tool's response
BASE_STOP_IDS = (1,)


@dataclass(frozen=True, kw_only=True)
class GenerationConfig:
    """Sampling values and stop ids. The defaults are those of Gemma 4's instruction-tuned checkpoints."""

    do_sample: bool = True
    temperature: float = 1.0
    top_k: int = 64
    top_p: float = 0.95
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    eos_token_ids: tuple[int, ...] = STOP_IDS
    bos_token_id: int = 2
    pad_token_id: int = 0
    suppress_tokens: tuple[int, ...] = ()  # ids that are never generated
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> GenerationConfig:
        """Read `generation_config.json` (a file, or the folder that holds it)."""
        path = Path(path)
        file = path / "generation_config.json" if path.is_dir() else path
        with blaming(file):
            return cls.from_json(read_document(file))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> GenerationConfig:
        """Read the object of a generation_config.json; raises ConfigError naming the key that cannot be used."""
        data = dict(data)
        ids = data.pop("eos_token_id", None)
        if ids is not None:
            data["eos_token_ids"] = [ids] if isinstance(ids, int) else ids
        return cls(**fields_from_json(cls, data, "generation_config"))

    @classmethod
    def default(cls, config: ModelConfig | None = None, *, base: bool = False) -> GenerationConfig:
        """For a checkpoint without the file. A base model (`base`) has no turns, so it stops at the text's end only.

        12B must be kept from writing the marks that end a picture or a sound; its released file says so too.
        """
        unified = config is not None and config.is_unified
        marks = (config.eoa_token_id, config.eoi_token_id) if config is not None and unified else ()
        return cls(
            eos_token_ids=BASE_STOP_IDS if base else STOP_IDS,
            suppress_tokens=tuple(mark for mark in marks if mark is not None),
        )

    def to_json(self) -> dict[str, Any]:
        """The released form of generation_config.json."""
        out = fields_to_json(self)
        out["eos_token_id"] = out.pop("eos_token_ids")
        for name in ("min_p", "repetition_penalty", "suppress_tokens"):  # released files say only what they change
            if getattr(self, name) == getattr(GenerationConfig, name):
                del out[name]
        return out

    def __post_init__(self) -> None:
        check("generation_config.temperature", self.temperature, float, 0, 1e3)
        check("generation_config.top_k", self.top_k, int, 0, 1 << 24)
        check("generation_config.top_p", self.top_p, float, 0, 1)
        check("generation_config.min_p", self.min_p, float, 0, 1)
        check("generation_config.repetition_penalty", self.repetition_penalty, float, 0.01, 100)
        for name in ("bos_token_id", "pad_token_id"):
            check(f"generation_config.{name}", getattr(self, name), int, 0, 1 << 24)
        for name in ("eos_token_ids", "suppress_tokens"):
            for token_id in getattr(self, name):
                check(f"generation_config.{name}", token_id, int, 0, 1 << 24)
