"""The small text files of a checkpoint: read whole, and only when they are small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gemsmith.config.document import parse_document
from gemsmith.errors import ModelFileError
from gemsmith.files import read_bytes

MAX_TEXT_BYTES = 4 << 20  # the index of a checkpoint with a tensor for every expert is about 1.5 MB


def read_text(path: Path) -> str:
    """A small UTF-8 file."""
    try:
        return read_bytes(path, MAX_TEXT_BYTES, ModelFileError).decode("utf-8")
    except UnicodeDecodeError as cause:
        raise ModelFileError(f"{path} is not UTF-8 text ({cause}); download it again") from cause


def read_json_object(path: Path) -> dict[str, Any]:
    """A JSON object of bounded size and depth, without repeated keys; ConfigError if the text is not one."""
    return parse_document(read_bytes(path, MAX_TEXT_BYTES, ModelFileError), str(path))
