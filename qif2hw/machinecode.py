"""Compiled kernels that numba keeps on disk."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from numba import njit


def for_one_thread_and_all(function: Callable[..., Any]) -> tuple[Any, Any]:
    """Compile a function with a ``prange`` loop twice: for one thread, and for all of them.

    numba keeps machine code on disk under a function's name: two forms of one name would load each other's.
    """
    assert isinstance(function, FunctionType)
    twin = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__)
    twin.__qualname__ = f"{function.__qualname__}_parallel"
    return njit(cache=True)(function), njit(cache=True, parallel=True)(twin)


def drop_stale(compiled: Any, sources: Sequence[ModuleType]) -> None:
    """Delete a kernel file's cached machine code that is older than a formula compiled into it.

    numba looks at its own file alone: ``compiled`` is any function of that file, ``sources`` the modules it inlines.
    """
    newest = max(Path(str(module.__file__)).stat().st_mtime for module in sources)
    name = compiled.__module__.rpartition(".")[2]
    for old in Path(compiled.stats.cache_path).glob(f"{name}.*.nb[ic]"):
        with suppress(OSError):
            if old.stat().st_mtime < newest:
                old.unlink()
