"""Writing files so that nothing half-written is ever left under the name asked for."""

import os
import secrets
import shutil
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from qif2hw.errors import InputError

BROKEN_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ArithmeticError,
    LookupError,
    RuntimeError,
    ValueError,
)
"""What `zipfile` raises on damaged archives."""


def read_bytes(path: str | os.PathLike[str], limit: int) -> bytes:
    """Read a regular file of at most ``limit`` bytes; `InputError` where that is not possible."""
    path = Path(path)
    try:
        if path.is_dir():
            raise InputError(f"{path}: this is a folder, a file is needed")
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({_reason(error)})") from None
    if len(data) > limit:
        raise InputError(f"{path}: larger than the limit of {limit} bytes")
    return data


def check_writable(path: str | os.PathLike[str]) -> Path:
    """Whether ``path`` can be written later: for commands that work long before they write.

    Raises
    ------
    InputError
        If its folder does not exist or does not accept new files.
    """
    path = Path(path)
    folder = path.parent
    if not folder.is_dir():
        raise InputError(f"{path}: cannot be written (there is no folder '{folder}')")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{path}: cannot be written (the folder '{folder}' does not accept new files)")
    return path


def write_bytes(path: str | os.PathLike[str], data: bytes) -> Path:
    """Write a file: complete under a temporary name in the same folder, then renamed."""
    path = check_writable(path)
    if path.is_dir():
        raise InputError(f"{path}: cannot be written (a folder of that name exists)")
    temporary = _temporary(path)
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({_reason(error)})") from None
    finally:
        temporary.unlink(missing_ok=True)
    return path


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """`write_bytes` of UTF-8 text."""
    return write_bytes(path, text.encode())


def write_folder(path: str | os.PathLike[str], parts: Mapping[str, bytes]) -> Path:
    """Write a folder of files: complete under a temporary name beside it, then renamed.

    A folder of that name is replaced if it holds nothing but files named in ``parts``, else refused.
    """
    path = check_writable(path)
    if path.exists():
        strange = sorted({p.name for p in path.iterdir()} - set(parts)) if path.is_dir() else [path.name]
        if strange:
            raise InputError(f"{path}: cannot be replaced, it holds something else ('{strange[0]}')")
    temporary, old = _temporary(path), _temporary(path)
    try:
        temporary.mkdir()
        for name, data in parts.items():
            (temporary / name).write_bytes(data)
        if path.exists():
            path.rename(old)
        try:
            temporary.rename(path)
        except OSError:
            if old.exists():
                old.rename(path)
            raise
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({_reason(error)})") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    return path


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
