"""How large a pack is, or will be once it is made: the bytes of its tensors, and of its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gemsmith.config.model import ModelConfig
from gemsmith.formats.pack.head import PACK_FILE, entries_of
from gemsmith.formats.pack.open import Pack
from gemsmith.formats.pack.plan import TABLE, all_packed_tensors
from gemsmith.formats.pack.policy import tensor_formats, usually_read
from gemsmith.formats.pack.source import PackSource


@dataclass(frozen=True)
class PackSizes:
    """`tensors` by name, the senses' too, and what a token usually `read`s of each; `formats` are the bytes of each."""

    tensors: dict[str, int] = field(repr=False)
    read: dict[str, int] = field(repr=False)
    formats: dict[str, int]
    file: int  # 0: there is none

    @property
    def table(self) -> int:
        """Of the per-layer embeddings, of which a token reads a row: they can stay on the disk."""
        return self.tensors.get(TABLE, 0)

    @property
    def resident(self) -> int:
        """What is in memory while the model runs. Without a file, that is all of it."""
        return sum(self.tensors.values()) - (self.table if self.file else 0)


def sizes_of(pack: Pack) -> PackSizes:
    """Of a pack that is there."""
    file = (pack.path / PACK_FILE).stat().st_size if pack.path is not None else 0
    found = {name: (view.format, view.rows, view.cols, view.buffer.nbytes) for name, view in pack.tensors.items()}
    return _sizes(found, file)


def planned_sizes(source: PackSource, policy: str) -> PackSizes:
    """Of the pack that `write_pack` would make, but for its header of some pages."""
    tensors = all_packed_tensors(source.config)
    return _planned(source.config, policy, {part: source[part].dtype for each in tensors for part in each.parts})


def known_sizes(config: ModelConfig, policy: str, dtype: str = "BF16") -> PackSizes:
    """The same from the config alone, for a checkpoint whose tensors all are of this type, as released ones are."""
    tensors = all_packed_tensors(config)
    return _planned(config, policy, {part: dtype for each in tensors for part in each.parts})


def _planned(config: ModelConfig, policy: str, dtypes: Mapping[str, str]) -> PackSizes:
    tensors, formats = all_packed_tensors(config), tensor_formats(config, policy, dtypes)
    found = {t.name: (formats[t.name], t.rows, t.cols, t.nbytes(formats[t.name])) for t in tensors}
    return _sizes(found, entries_of(tensors, formats)[-1].stop)


def _sizes(tensors: dict[str, tuple[str, int, int, int]], file: int) -> PackSizes:
    """Of tensors by name: format, rows, columns, bytes."""
    formats: dict[str, int] = {}
    for format, _, _, nbytes in tensors.values():
        formats[format] = formats.get(format, 0) + nbytes
    ordered = dict(sorted(formats.items(), key=lambda each: -each[1]))
    read = {name: usually_read(*each) for name, each in tensors.items()}
    return PackSizes({name: each[-1] for name, each in tensors.items()}, read, ordered, file)
