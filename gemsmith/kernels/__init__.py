"""Kernels: pure functions that know no model. Here is the loader of the native ones, an extension module in C++.

It is compiled when the package is installed (CMakeLists.txt), and absent where no compiler was found; the rest of the
package works without it. Nothing is loaded until it is asked for.
"""

from __future__ import annotations

import importlib
from functools import cache
from types import ModuleType

from gemsmith.errors import NativeEngineError, SettingError

_MODULE = "gemsmith.kernels._native"


@cache
def _load() -> ModuleType | ImportError:
    try:
        return importlib.import_module(_MODULE)
    except ImportError as error:  # not built, or built for another Python or C library
        return error


def available() -> bool:
    """Whether the native engine was built and can be loaded."""
    return isinstance(_load(), ModuleType)


def native() -> ModuleType:
    """The extension module; an error that names the command that builds it, where it cannot be loaded."""
    module = _load()
    if isinstance(module, ModuleType):
        return module
    missing = isinstance(module, ModuleNotFoundError) and module.name == _MODULE
    raise NativeEngineError(None if missing else str(module)) from module


def isa() -> str:
    """The instruction set whose kernels are used: the processor's best, or the one that GEMSMITH_ISA names."""
    try:
        return str(native().isa())
    except ValueError as error:
        raise SettingError(str(error)) from None
