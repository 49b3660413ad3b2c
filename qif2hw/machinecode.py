"""Compiled kernels whose machine code numba keeps on disk, valid for the contents of every source they inline.

numba's own cache looks at the file of the compiled function alone; kernels inline formulas of other files.  Here the
cache's stamp is a digest of that file and of all files of the same package that it imports, directly or not.
"""

import hashlib
import re
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from types import FunctionType
from typing import Any

import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache

_IMPORT = re.compile(
    r"^(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]+)|import[ \t]+([^\n#]+))", re.MULTILINE
)


def compiled(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Compile a function with ``numba.njit`` and keep its machine code on disk; ``options`` are numba's.

    May be used as a decorator, with or without options.
    """
    if function is None:
        return lambda f: compiled(f, **options)
    dispatcher = numba.njit(**options)(function)
    if hasattr(dispatcher, "_cache"):  # not with NUMBA_DISABLE_JIT
        dispatcher._cache = _Cache(function)
    return dispatcher


def for_one_thread_and_all(function: Callable[..., Any], **options: Any) -> tuple[Any, Any]:
    """Compile a function with a ``prange`` loop twice: for one thread, and for all of them; ``options`` are numba's.

    numba keeps machine code on disk under a function's name: two forms of one name would load each other's.
    """
    assert isinstance(function, FunctionType)
    twin = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__)
    twin.__qualname__ = f"{function.__qualname__}_parallel"
    return compiled(function, **options), compiled(twin, parallel=True, **options)


class _Stamped:
    """A cache locator of numba's whose stamp is the contents of all sources."""

    def __init__(self, locator: Any, module: str) -> None:
        self._locator, self._module = locator, module

    def get_source_stamp(self) -> str:
        return stamp(self._module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._locator, name)


class _Implementation(CompileResultCacheImpl):  # type: ignore[misc]
    _locator: Any

    def __init__(self, function: FunctionType) -> None:
        super().__init__(function)
        self._locator = _Stamped(self._locator, function.__module__)


class _Cache(FunctionCache):  # type: ignore[misc]
    _impl_class = _Implementation


@lru_cache
def stamp(module: str) -> str:
    """Digest of a module's source and of all sources of its package that it imports, directly or not.

    Imports inside functions do not count: what a kernel inlines is there when its file has been imported.
    """
    top = sys.modules[module.partition(".")[0]]
    home = Path(next(iter(getattr(top, "__path__", [""]))))
    seen: dict[str, Path | None] = {module: Path(str(sys.modules[module].__file__))}
    waiting = [module]
    while waiting:
        file = seen[waiting.pop()]
        for name in _imports(file) if file else ():
            if name not in seen and name.partition(".")[0] == module.partition(".")[0]:
                seen[name] = _file(home, name)
                waiting.append(name)
    whole = hashlib.sha256()
    for name, file in sorted(seen.items()):
        if file:
            whole.update(name.encode() + b"\0" + _text(file).encode() + b"\0")
    return whole.hexdigest()


def _imports(file: Path) -> Iterator[str]:
    """What the import statements of a file name: modules, and names that may be modules."""
    for source, names, plain in _IMPORT.findall(_text(file)):
        for name in re.findall(r"[\w.]+", re.sub(r"\bas\s+\w+", "", names or plain)):
            yield f"{source}.{name}" if source else name
        if source:
            yield source


def _file(home: Path, module: str) -> Path | None:
    """The source of a module below ``home``, the folder of a top-level package's name; None if there is none."""
    parts = module.split(".")[1:]
    base = home.joinpath(*parts)
    return next((f for f in (base.with_suffix(".py"), base / "__init__.py") if parts and f.is_file()), None)


@lru_cache
def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")
