"""Keys of a GGUF file, looked up one by one: each must have the type and length that its meaning asks for."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any, NoReturn

from gemsmith.config.fields import shown
from gemsmith.errors import ConfigError


class Keys:
    """The keys of one file under one prefix; ConfigError, which names file and key, for what cannot be used."""

    def __init__(self, metadata: Mapping[str, Any], source: str, prefix: str = ""):
        self.metadata, self.source, self.prefix = metadata, source, prefix

    def __contains__(self, key: str) -> bool:
        return self.prefix + key in self.metadata

    def whole(self, key: str, default: int | None = None) -> int:
        """A whole number."""
        value = self._found(key, default)
        return value if type(value) is int else self._fail(key, "a whole number", value)

    def real(self, key: str, default: float | None = None) -> float:
        """A finite number: the shortest that is the file's in 32 bits (1e-06, and not 9.999999974752427e-07)."""
        value = self._found(key, default)
        if type(value) not in (int, float) or not math.isfinite(value):
            self._fail(key, "a finite number", value)
        return shortest(float(value))

    def text(self, key: str, default: str | None = None) -> str:
        value = self._found(key, default)
        return value if type(value) is str else self._fail(key, "a text", value)

    def wholes(self, key: str) -> list[int]:
        """A list of whole numbers."""
        value = self._found(key, None)
        if type(value) is not list or not all(type(item) is int for item in value):
            self._fail(key, "a list of whole numbers", value)
        return list(value)

    def per_layer(self, key: str, num_layers: int, default: int | None = None) -> list[int]:
        """A whole number for each layer, which the file gives as a list, or once for all."""
        value = self._found(key, default)
        if type(value) is int:
            return [value] * num_layers
        if type(value) is not list or len(value) != num_layers or not all(type(item) is int for item in value):
            self._fail(key, f"a whole number, or {num_layers} of them", value)
        return list(value)

    def flags(self, key: str, num_layers: int) -> list[bool]:
        """A truth for each layer."""
        value = self._found(key, None)
        if type(value) is not list or len(value) != num_layers or not all(item in (0, 1) for item in value):
            self._fail(key, f"{num_layers} truth values", value)
        return [bool(item) for item in value]

    def fail(self, problem: str) -> NoReturn:
        raise ConfigError(f"{self.source} {problem}")

    def _found(self, key: str, default: Any) -> Any:
        value = self.metadata.get(self.prefix + key, default)
        return value if value is not None else self.fail(f"has no key {self.prefix}{key}; is it a whole Gemma 4 model?")

    def _fail(self, key: str, wanted: str, value: Any) -> NoReturn:
        self.fail(f"has {shown(value)} for {self.prefix}{key}, where {wanted} stands")


def shortest(value: float) -> float:
    """The number with the fewest digits that is `value` once rounded to 32 bits."""
    try:
        rounded = struct.pack("<f", value)
        return next(
            float(f"{value:.{digits}g}")
            for digits in range(1, 10)
            if struct.pack("<f", float(f"{value:.{digits}g}")) == rounded
        )
    except (OverflowError, StopIteration):
        return value
