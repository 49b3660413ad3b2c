"""Compiled kernels that numba keeps on disk."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any


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
