"""What the environment says about the Hub: where its cache is, which host to ask, whether to ask at all.

The variables are Hugging Face's own, so that a model is fetched once for every program. They are read here alone, when
asked for, and without importing huggingface_hub. Nothing is created here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

DEFAULT_ENDPOINT = "https://huggingface.co"
DEFAULT_TIMEOUT_S = 10.0
TRUE = ("1", "ON", "YES", "TRUE")


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder of all fetched models, whether or not it exists."""
    if own := environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE"):
        return _expanded(own)
    if home := environment.get("HF_HOME"):
        return _expanded(home) / "hub"
    return _expanded(environment.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface" / "hub"


def offline(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the user forbade to ask the network."""
    value = environment.get("HF_HUB_OFFLINE") or environment.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in TRUE


def endpoint(environment: Mapping[str, str] = os.environ) -> str:
    """The host that models come from."""
    return (environment.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")


def timeout_s(environment: Mapping[str, str] = os.environ) -> float:
    """How long a server may be silent."""
    try:
        return max(0.1, float(environment.get("HF_HUB_DOWNLOAD_TIMEOUT") or DEFAULT_TIMEOUT_S))
    except ValueError:
        return DEFAULT_TIMEOUT_S


def shown(path: Path) -> str:
    """A path for a person: the home folder as ~."""
    home = os.path.expanduser("~")
    text = str(path)
    return f"~{text.removeprefix(home)}" if len(home) > 1 and text.startswith(home + os.sep) else text


def _expanded(path: str) -> Path:
    return Path(os.path.abspath(os.path.expandvars(os.path.expanduser(path))))
