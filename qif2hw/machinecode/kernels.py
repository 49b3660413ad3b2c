"""Compiled kernels, for one thread and for all of them; their machine code is kept on disk."""

from collections.abc import Callable
from functools import cached_property
from types import FunctionType
from typing import Any

import numba

from qif2hw.machinecode.cache import KernelCache, warn
from qif2hw.threads import forked_with_threads, turn


def compiled(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Compile a function with ``numba.njit`` and keep its machine code on disk; ``options`` are numba's.

    May be used as a decorator, with or without options.  With ``parallel=True`` the result is a `Parallel`, which
    compiled code cannot call.
    """
    if function is None:
        return lambda f: compiled(f, **options)
    if options.get("parallel") and not interpreted():
        return Parallel(function, options)
    return _kept(function, options)


def for_one_thread_and_all(function: Callable[..., Any], **options: Any) -> tuple[Any, Any]:
    """Compile a function with a ``prange`` loop twice: for one thread, and for all of them; ``options`` are numba's."""
    alone = compiled(function, **options)
    if interpreted():
        return alone, alone
    return alone, Parallel(_renamed(function, "_parallel"), options, alone)


def interpreted() -> bool:
    """Whether NUMBA_DISABLE_JIT is set: kernels are plain functions then, and those with vector instructions fail."""
    return bool(numba.config.DISABLE_JIT)


class Parallel:
    """A kernel with a ``prange`` loop: on all threads, or on one where they cannot be used, see `qif2hw.threads`."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any], alone: Any = None) -> None:
        self.together = _kept(function, options | {"parallel": True})
        self._given, self._options, self._alone = function, options, alone

    @cached_property
    def alone(self) -> Any:
        """The same for one thread."""
        if self._alone is not None:
            return self._alone
        return _kept(_renamed(self._given, "_alone"), self._options | {"parallel": False})

    def __call__(self, *args: Any) -> Any:
        """Run it."""
        if forked_with_threads():
            return self.alone(*args)
        with turn():
            return self.together(*args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.together, name)


def _renamed(function: Callable[..., Any], ending: str) -> FunctionType:
    """The function under another name: numba keeps machine code under it, two forms of one would load each other's."""
    assert isinstance(function, FunctionType)
    twin = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__)
    twin.__qualname__ = f"{function.__qualname__}{ending}"
    return twin


def _kept(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    """The compiled function, with its machine code on disk where a folder for it can be written."""
    dispatcher = numba.njit(**options)(function)
    if hasattr(dispatcher, "_cache"):  # not with NUMBA_DISABLE_JIT
        try:
            dispatcher._cache = KernelCache(function)
        except RuntimeError:
            warn("no folder for it can be written")
    return dispatcher
