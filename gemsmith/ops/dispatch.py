"""An operation: its reference, and the kernels that may take its place; the first that supports the call wins."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_switched_off: set[str] = set()


class Kernel:
    """A twin of a reference function. Paths are strings, "module:function", so that nothing is imported until used."""

    def __init__(self, name: str, path: str, supports: str):
        self.name, self.path, self._supports_path = name, path, supports
        self._fn: Callable[..., Any] | None = None
        self._supports: Callable[..., bool] | None = None

    @property
    def fn(self) -> Callable[..., Any]:
        return self._fn or self.resolve()[0]

    def supports(self, *args: Any) -> bool:
        return (self._supports or self.resolve()[1])(*args)

    def resolve(self) -> tuple[Callable[..., Any], Callable[..., bool]]:
        """Import the function and its condition."""
        self._fn, self._supports = _imported(self.path), _imported(self._supports_path)
        return self._fn, self._supports


class Op:
    """Calls the first kernel that is switched on and supports the arguments; else the reference."""

    def __init__(self, reference: Callable[..., Any], *kernels: Kernel):
        self.reference, self.kernels = reference, kernels
        self.__name__, self.__doc__ = reference.__name__, reference.__doc__

    def resolve(self) -> None:
        """Import every kernel now, as `torch.compile` wants it: an import in the middle of a graph would break it."""
        for kernel in self.kernels:
            kernel.resolve()

    def __call__(self, *args: Any) -> Any:
        for kernel in self.kernels:
            if kernel.name not in _switched_off and kernel.supports(*args):
                return kernel.fn(*args)
        return self.reference(*args)


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Switch kernels off by name ("sdpa") for a test, or for an operator who distrusts one."""
    before = set(_switched_off)
    _switched_off.update(names)
    try:
        yield
    finally:
        _switched_off.clear()
        _switched_off.update(before)


def _imported(path: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    fn: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return fn
