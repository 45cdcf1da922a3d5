"""The native twin of packing, where the extension module was built."""

from __future__ import annotations

from types import ModuleType

from gemsmith import kernels


def twin() -> ModuleType | None:
    """The module with `pack_matrix` and `pack_table` (native/quant), or None: numpy then does the work."""
    return kernels.native() if kernels.available() and hasattr(kernels.native(), "pack_matrix") else None
