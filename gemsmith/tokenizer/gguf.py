"""The metadata of a GGUF file: its key/value pairs.

It gives the keys no meaning; what follows them, the list of tensors, `formats.gguf` reads with the same `Reader`. Every
count and length a file claims is held against the bytes that are left, and against what a model has at most, before
anything is allocated: a lying file costs an error message and no memory.
Layout: the GGUF specification, github.com/ggml-org/ggml, docs/gguf.md (versions 2 and 3, little-endian).
"""

from __future__ import annotations

import struct
from pathlib import Path
from reprlib import repr as shown  # short, however long a hostile text is
from typing import Any, NoReturn

from gemsmith.errors import TokenizerError
from gemsmith.files import Error, mapped_file

MAX_BYTES = 1 << 27  # of metadata; Gemma 4's are 15 MB
MAX_ELEMENTS = 1 << 22  # of all arrays together; Gemma 4's have 1.3 million
MAGIC = b"GGUF"
STRING, ARRAY = 8, 9
SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}  # code for struct, by type
LENGTH = struct.Struct("<Q")  # of a string, in bytes; of an array, in elements


def read_metadata(path: Path) -> dict[str, Any]:
    """All key/value pairs of the GGUF file at `path`, in the file's order; arrays become lists."""
    return Reader(path).metadata()


class Reader:
    """A cursor `at` into the bytes of a file, which refuses to step past their end, or past what metadata may fill."""

    def __init__(self, path: Path, error: Error = TokenizerError):
        self.path, self.error = path, error
        self.data = mapped_file(path, error)
        self.at, self.elements, self.num_tensors = len(MAGIC), 0, 0
        self.end = min(len(self.data), MAX_BYTES)
        if self.data[: len(MAGIC)] != MAGIC:
            raise error(f"{path} is not a GGUF file: it does not begin with {MAGIC.decode()}")

    def metadata(self) -> dict[str, Any]:
        """All key/value pairs, in the file's order; the cursor then stands at the first of `num_tensors` entries."""
        version = self.scalar(4, "the version")
        if version not in (2, 3):
            self.fail(f"has version {version}, and only little-endian versions 2 and 3 are read here")
        self.num_tensors = self.scalar(10, "the number of tensors")
        values: dict[str, Any] = {}
        for _ in range(self.scalar(10, "the number of keys")):
            key = self.strings(1, "a key")[0]
            if key in values:
                self.fail(f"gives the key {shown(key)} twice")
            values[key] = self.value(key)
        return values

    def value(self, key: str) -> Any:
        what = shown(key)
        kind = self.scalar(4, f"the type of {what}")
        if kind == STRING:
            return self.strings(1, what)[0]
        if kind != ARRAY:
            return self.scalar(kind, what)
        kind = self.scalar(4, f"the element type of {what}")
        count = self.scalar(10, f"the length of {what}")
        return self.strings(count, what) if kind == STRING else self.scalars(kind, count, what)

    def scalar(self, kind: int, what: str) -> Any:
        return self.scalars(kind, 1, what)[0]

    def scalars(self, kind: int, count: int, what: str) -> list[Any]:
        if kind not in SCALARS:
            self.fail(f"has the unknown type {kind} for {what}")
        size = struct.calcsize("<" + SCALARS[kind])
        self.need(count * size, what)
        self.count(count, what)
        numbers = struct.unpack_from(f"<{count}{SCALARS[kind]}", self.data, self.at)
        self.at += count * size
        return list(numbers)

    def strings(self, count: int, what: str) -> list[str]:
        """`count` strings, each its length and its bytes; this loop is much of the time a vocabulary takes."""
        self.need(count * LENGTH.size, what)
        self.count(count, what)
        data, at, end, length_at = self.data, self.at, self.end, LENGTH.unpack_from
        found: list[str] = []
        try:
            for _ in range(count):
                start = at + 8
                at = start + length_at(data, at)[0]
                if at > end:
                    self.need(at - self.at, what)
                found.append(str(data[start:at], "utf-8"))
        except struct.error:  # a length that begins less than 8 bytes before the end
            self.need(at + LENGTH.size - self.at, what)
        except UnicodeDecodeError as error:
            self.fail(f"holds text that is not UTF-8 in {what}: {error.reason} at byte {start + error.start}")
        self.at = at
        return found

    def need(self, size: int, what: str) -> None:
        if size > self.end - self.at:
            self.fail(f"has {self.end} bytes to read, but {what} at byte {self.at} claims at least {size} more")

    def count(self, elements: int, what: str) -> None:
        self.elements += elements
        if self.elements > MAX_ELEMENTS:
            self.fail(f"lists more than {MAX_ELEMENTS:,} values up to {what}, which no model does")

    def fail(self, problem: str) -> NoReturn:
        raise self.error(f"{self.path} cannot be read as GGUF: it {problem}. Download the file again")
