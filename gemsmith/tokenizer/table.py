"""A vocabulary as one file that is mapped, not read: it is there at once, and only the pages that texts touch.

Reading 262,144 tokens and 514,906 merges from a tokenizer.json or a GGUF file takes a second and a hundred megabytes,
each time. A table holds the same, laid out for lookups, and everything that a tokenizer.json says of Gemma 4, so that
it may stand alone. Native code encodes with it; without that, `Table.vocabulary` is what the plain Python way needs.
Opening checks the header alone; `Table.verify` reads all of it.
Layout: `table_writer.py`, which writes it, and native/tokenizer/table.h.
"""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn, overload

from gemsmith.errors import TokenizerError
from gemsmith.files import MappedFile, mapped_file
from gemsmith.tokenizer.vocabulary import MAX_TOKENS, Vocabulary

FILE_NAME = "tokenizer.gemsmith.table"
MAGIC, VERSION, HEADER_BYTES = b"gemstok\n", 1, 512
SECTIONS = (
    "ends", "texts", "kinds", "pages", "characters", "bytes", "merges", "slots", "junctions",
    "control", "special", "whole", "whole_normalized",
)  # fmt: skip
HEADER = struct.Struct("<8sIIQIIIIIIQ32s")
SECTION = struct.Struct("<QQ")
CHECKSUM = struct.Struct("<I")  # at the header's end
BYTE_FALLBACK = 1  # a flag
CONTROL, BYTE = 1, 2  # kinds
RANK_BITS = 22
NONE = 0xFFFFFFFF


def open_table(path: Path, source: str | None = None) -> Table:
    """The table at `path`, mapped; `source` is the file it was made from. TokenizerError if it is no table."""
    return Table(mapped_file(Path(path), TokenizerError), str(path), source)


class Table:
    """An open table; `buffer` is all of it."""

    def __init__(self, buffer: memoryview, path: str, source: str | None = None):
        """`path` and `source` are for messages: where the table is, and the file it was made from if that is known."""
        self.buffer, self.path, self.source = buffer, path, source or path
        if sys.byteorder != "little":
            self.fail("is for little-endian machines, and this one is not")
        if len(buffer) < HEADER_BYTES or buffer[:8] != MAGIC:
            self.fail(f"does not begin with {MAGIC.decode().strip()!r}")
        end = HEADER_BYTES - CHECKSUM.size
        if CHECKSUM.unpack_from(buffer, end)[0] != zlib.crc32(buffer[:end]):
            self.fail("has a damaged header")
        (
            _,
            version,
            num_sections,
            num_bytes,
            num_tokens,
            num_merges,
            _,
            max_characters,
            flags,
            _,
            source_bytes,
            body,
        ) = HEADER.unpack_from(buffer)
        if version != VERSION or num_sections != len(SECTIONS):
            self.fail(f"has version {version} of the format, and only version {VERSION} is read here")
        if num_bytes != len(buffer):
            self.fail(f"has {len(buffer)} bytes where its header claims {num_bytes}")
        if num_tokens > MAX_TOKENS or num_merges >= 1 << RANK_BITS:
            self.fail(f"claims {num_tokens:,} tokens and {num_merges:,} merges")
        self.num_tokens, self.num_merges, self.max_characters = num_tokens, num_merges, max_characters
        self.byte_fallback, self.source_bytes, self.digest = bool(flags & BYTE_FALLBACK), source_bytes, body.hex()
        self.ends, self._texts = self._numbers("ends"), self._section("texts")
        self._merges, self._kinds = self._numbers("merges"), self._section("kinds")
        if len(self.ends) != num_tokens + 1 or len(self._merges) != 3 * num_merges or len(self._kinds) != num_tokens:
            self.fail("has sections whose sizes contradict its header")

    def check(self) -> None:
        """TokenizerError if the file was written to or cut meanwhile: looking at pages that are gone is fatal."""
        if isinstance(self.buffer.obj, MappedFile):
            self.buffer.obj.check()

    def verify(self) -> None:
        """Read all of it; TokenizerError if it is not what was written."""
        from hashlib import sha256

        self.check()
        if sha256(self.buffer[HEADER_BYTES:]).hexdigest() != self.digest:
            self.fail("is damaged: its checksum does not match")

    def text(self, id: int) -> str:
        """The text of a token as the vocabulary spells it; `id` is one of this vocabulary."""
        start, end = self.ends[id], self.ends[id + 1]
        try:
            return str(self._texts[start:end], "utf-8")
        except UnicodeDecodeError:
            self.fail(f"is damaged: token {id} is no text")

    def merge(self, rank: int) -> str:
        """The merge of that rank, "left right"."""
        left, right, _ = self._merges[3 * rank : 3 * rank + 3]
        if max(left, right) >= self.num_tokens:
            self.fail(f"is damaged: merge {rank} is of no tokens")
        return f"{self.text(left)} {self.text(right)}"

    @property
    def control(self) -> dict[str, int]:
        """Ids of control tokens by their texts."""
        return self._named("control")

    @property
    def vocabulary(self) -> Vocabulary:
        """What the table was made from; its tokens and merges are read when looked at."""
        return Vocabulary(
            source=self.source,
            tokens=_Strings(self.num_tokens, self.text, self.check),
            merges=_Strings(self.num_merges, self.merge, self.check),
            special=frozenset(self._named("special").values()),
            whole=self._named("whole"),
            whole_normalized=self._named("whole_normalized"),
            byte_fallback=self.byte_fallback,
        )

    def is_ordinary(self, id: int) -> bool:
        """Whether text may become this token."""
        return not self._kinds[id] & CONTROL

    def fail(self, problem: str) -> NoReturn:
        raise TokenizerError(
            f"{self.path} cannot be used as a tokenizer's table: it {problem}; delete it, and it is made again from"
            " the tokenizer.json or GGUF file, or pack the model again"
        )

    def _section(self, name: str) -> memoryview:
        offset, size = SECTION.unpack_from(self.buffer, HEADER.size + SECTION.size * SECTIONS.index(name))
        if not HEADER_BYTES <= offset <= len(self.buffer) or size > len(self.buffer) - offset or offset % 8:
            self.fail(f"has its {name} where there is nothing")
        return self.buffer[offset : offset + size]

    def _numbers(self, name: str) -> memoryview:
        section = self._section(name)
        if len(section) % 4:
            self.fail(f"has {len(section)} bytes of {name}, which are no whole numbers")
        return section.cast("I")

    def _named(self, name: str) -> dict[str, int]:
        ids = self._numbers(name).tolist()
        if len(ids) > self.num_tokens or any(id >= self.num_tokens for id in ids):
            self.fail(f"is damaged: its {name} tokens are not in the vocabulary")
        return {self.text(id): id for id in ids}


class _Strings(Sequence[str]):
    """The tokens of a table by id, or its merges by rank: read when they are looked at."""

    BETWEEN_CHECKS = 4096  # which take a microsecond or two each

    def __init__(self, count: int, read: Callable[[int], str], check: Callable[[], None]):
        self._count, self._read, self._check = count, read, check

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        found = range(self._count)[at]
        self._check()
        return self._read(found) if isinstance(found, int) else [self._read(i) for i in found]

    def __iter__(self) -> Iterator[str]:
        for start in range(0, self._count, self.BETWEEN_CHECKS):
            self._check()
            yield from map(self._read, range(start, min(start + self.BETWEEN_CHECKS, self._count)))
