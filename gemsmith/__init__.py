"""Gemma 4, whole, in Python.

Everything below is loaded when first used, so that `import gemsmith` costs nothing. No room of the house imports this
file.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gemsmith.version import __version__

if TYPE_CHECKING:
    from gemsmith.chat.values import (
        Audio,
        Document,
        Event,
        Image,
        Malformed,
        Message,
        Prompt,
        Text,
        Thought,
        TokenLogprob,
        ToolCall,
        ToolResult,
        Usage,
        Video,
    )
    from gemsmith.engine import Model, load
    from gemsmith.errors import (
        ConfigError,
        ContextLengthError,
        DownloadError,
        GemsmithError,
        MediaError,
        MessageError,
        MissingDependencyError,
        ModelFileError,
        ModelNotFoundError,
        NumericalError,
        RequestError,
        SamplingError,
        TensorFileError,
        TensorMismatchError,
        TokenizerError,
        ToolError,
        TrainingError,
        UnsupportedMediaError,
    )

__all__ = [
    "Audio",
    "ConfigError",
    "ContextLengthError",
    "Document",
    "DownloadError",
    "Event",
    "GemsmithError",
    "Image",
    "Malformed",
    "MediaError",
    "MediaSettings",
    "Message",
    "MessageError",
    "MissingDependencyError",
    "Model",
    "ModelFileError",
    "ModelNotFoundError",
    "NumericalError",
    "Prompt",
    "RequestError",
    "SamplingError",
    "TensorFileError",
    "TensorMismatchError",
    "Text",
    "Thought",
    "TokenLogprob",
    "TokenizerError",
    "ToolCall",
    "ToolError",
    "ToolResult",
    "TrainingError",
    "UnsupportedMediaError",
    "Usage",
    "Video",
    "__version__",
    "load",
]

_VALUES = {
    *("Text", "Thought", "Image", "Document", "Malformed", "Audio", "Video", "ToolCall", "ToolResult"),
    *("Message", "Prompt", "Event", "Usage", "TokenLogprob"),
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'gemsmith' has no attribute {name!r}")
    value = getattr(importlib.import_module(_home(name)), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _home(name: str) -> str:
    """The module that defines a public name."""
    if name in ("load", "Model"):
        return "gemsmith.engine"
    if name == "MediaSettings":
        return "gemsmith.media.settings"
    return "gemsmith.chat.values" if name in _VALUES else "gemsmith.errors"
