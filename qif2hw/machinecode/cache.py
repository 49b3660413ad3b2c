"""Where machine code is kept, and when it is valid.

numba's own cache looks at the file of the compiled function alone; kernels inline formulas of other files.  Here the
stamp is a digest of that file and of all files of the same package that it imports.  The folder is the user's and its
name holds the stamp: a package that is installed anew, or elsewhere, finds its machine code.
"""

import hashlib
import os
import secrets
import shutil
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from types import FunctionType
from typing import Any

import numba
import numpy as np
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile, _CacheLocator

from qif2hw.machinecode.stamp import stamp
from qif2hw.notices import compiling

MOST_STAMPS = 16
"""Folders of one module that are kept; the ones made last."""

_DIGEST = hashlib.sha256().digest_size


def warn(reason: str) -> None:
    """Say that each start compiles anew."""
    warnings.warn(
        f"machine code is not kept, so that every start compiles anew ({reason}); "
        "set NUMBA_CACHE_DIR to a folder that can be written",
        RuntimeWarning,
        stacklevel=1,
    )


@lru_cache
def folder() -> Path | None:
    """The user's folder for machine code: ``qif2hw/kernels`` in ``$XDG_CACHE_HOME`` or ``~/.cache``.

    None where it cannot be written; with ``NUMBA_CACHE_DIR`` machine code is there instead.
    """
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        home = base / "qif2hw" / "kernels"
        home.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return home if base.is_absolute() and os.access(home, os.W_OK | os.X_OK) else None


class _Stamped:
    """A cache locator of numba's whose stamp is the contents of all sources."""

    def __init__(self, locator: Any, module: str) -> None:
        self._locator, self._module = locator, module

    def get_source_stamp(self) -> str:
        return stamp(self._module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._locator, name)


class _InUsersFolder(_CacheLocator):  # type: ignore[misc]
    """Machine code in `folder`, by module, stamp and the versions that it depends on."""

    def __init__(self, function: FunctionType, home: Path) -> None:
        self._line = function.__code__.co_firstlineno
        versions = f"{stamp(function.__module__)} {numba.__version__} {np.__version__}"
        self._path = home / f"{function.__module__}-{hashlib.sha256(versions.encode()).hexdigest()[:16]}"

    @classmethod
    def from_function(cls, function: FunctionType, _file: str) -> "_InUsersFolder | None":
        home = folder()
        return None if home is None else cls(function, home)

    def get_cache_path(self) -> str:
        return str(self._path)

    def get_source_stamp(self) -> str:
        raise NotImplementedError("`_Stamped` has it")

    def get_disambiguator(self) -> str:
        return str(self._line)

    def ensure_cache_path(self) -> None:
        new = not self._path.exists()
        super().ensure_cache_path()
        if new:
            self._forget_old_ones()

    def _forget_old_ones(self) -> None:
        module = self._path.name.rpartition("-")[0]
        kept = []
        for other in self._path.parent.glob(f"{module}-*"):
            with suppress(OSError):
                kept.append((other.stat().st_mtime, other))
        for _, other in sorted(kept, reverse=True)[MOST_STAMPS:]:
            shutil.rmtree(other, ignore_errors=True)


class _Implementation(CompileResultCacheImpl):  # type: ignore[misc]
    _locator: Any
    # After that of NUMBA_CACHE_DIR, before those beside the sources.
    _locator_classes = [  # noqa: RUF012
        CompileResultCacheImpl._locator_classes[0], _InUsersFolder, *CompileResultCacheImpl._locator_classes[1:],
    ]  # fmt: skip

    def __init__(self, function: FunctionType) -> None:
        super().__init__(function)
        self._locator = _Stamped(self._locator, function.__module__)


class _File(IndexDataCacheFile):  # type: ignore[misc]
    """Files of a cache whose data end with their digest: damaged ones would be run as machine code.

    Names of data hold a random part: two processes that compile at the same time must not overwrite each other's.
    """

    def _data_name(self, number: int) -> str:
        return f"{super()._data_name(number).removesuffix('.nbc')}.{secrets.token_hex(4)}.nbc"

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


class KernelCache(FunctionCache):  # type: ignore[misc]
    """A cache in which files that cannot be read count as not there, and one that cannot be written is left out."""

    _impl_class = _Implementation
    _cache_file: Any

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        own = self._cache_file
        self._cache_file = _File(own._cache_path, self._impl.filename_base, own._source_stamp)

    def load_overload(self, signature: Any, context: Any) -> Any:
        """Load machine code, or tell that it is going to be compiled."""
        found = None
        try:
            found = super().load_overload(signature, context)
        except Exception:  # of an empty, cut or foreign file: whatever its parser raises
            with suppress(OSError):
                Path(self._cache_file._index_path).unlink()
        if found is None:
            compiling(self._py_func.__qualname__)
        return found

    def save_overload(self, signature: Any, data: Any) -> None:
        """Keep machine code, or say why it cannot be kept."""
        try:
            super().save_overload(signature, data)
        except OSError as error:
            warn((error.strerror or type(error).__name__).lower())
