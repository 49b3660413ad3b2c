"""Compiled kernels whose machine code numba keeps on disk, valid for the contents of every source they inline.

numba's own cache looks at the file of the compiled function alone; kernels inline formulas of other files.  Here the
cache's stamp is a digest of that file and of all files of the same package that it imports, directly or not.
"""

import hashlib
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property, lru_cache
from pathlib import Path
from types import FunctionType
from typing import Any

import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile

from qif2hw.threads import forked_with_threads, turn

_IMPORT = re.compile(
    r"^(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]+)|import[ \t]+([^\n#]+))", re.MULTILINE
)

_DIGEST = hashlib.sha256().digest_size


def compiled(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Compile a function with ``numba.njit`` and keep its machine code on disk; ``options`` are numba's.

    May be used as a decorator, with or without options.  With ``parallel=True`` the result is a `Parallel`, which
    compiled code cannot call.
    """
    if function is None:
        return lambda f: compiled(f, **options)
    if options.get("parallel") and not numba.config.DISABLE_JIT:
        return Parallel(function, options)
    return _kept(function, options)


def for_one_thread_and_all(function: Callable[..., Any], **options: Any) -> tuple[Any, Any]:
    """Compile a function with a ``prange`` loop twice: for one thread, and for all of them; ``options`` are numba's."""
    alone = compiled(function, **options)
    if numba.config.DISABLE_JIT:
        return alone, alone
    return alone, Parallel(_renamed(function, "_parallel"), options, alone)


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
            dispatcher._cache = _Cache(function)
        except RuntimeError:
            _warn("no folder for it can be written")
    return dispatcher


def _warn(reason: str) -> None:
    warnings.warn(
        f"machine code is not kept, so that every start compiles anew ({reason}); "
        "set NUMBA_CACHE_DIR to a folder that can be written",
        RuntimeWarning,
        stacklevel=1,
    )


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


class _File(IndexDataCacheFile):  # type: ignore[misc]
    """Files of a cache whose data end with their digest: damaged ones would be run as machine code."""

    def _save_data(self, name: str, data: Any) -> None:
        dumped = self._dump(data)
        with self._open_for_write(self._data_path(name)) as file:
            file.write(dumped + hashlib.sha256(dumped).digest())

    def _load_data(self, name: str) -> Any:
        data = Path(self._data_path(name)).read_bytes()
        if hashlib.sha256(data[:-_DIGEST]).digest() != data[-_DIGEST:]:
            raise ValueError("damaged")
        # It reads to the end of what was dumped.
        return super()._load_data(name)


class _Cache(FunctionCache):  # type: ignore[misc]
    """A cache in which files that cannot be read count as not there, and one that cannot be written is left out."""

    _impl_class = _Implementation
    _cache_file: Any

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        own = self._cache_file
        self._cache_file = _File(own._cache_path, self._impl.filename_base, own._source_stamp)

    def load_overload(self, signature: Any, context: Any) -> Any:
        try:
            return super().load_overload(signature, context)
        except Exception:  # of an empty, cut or foreign file: whatever its parser raises
            with suppress(OSError):
                Path(self._cache_file._index_path).unlink()
            return None

    def save_overload(self, signature: Any, data: Any) -> None:
        try:
            super().save_overload(signature, data)
        except OSError as error:
            _warn((error.strerror or type(error).__name__).lower())


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
