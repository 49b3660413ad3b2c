"""Writing files so that nothing half-written is ever left under the name asked for."""

import io
import os
import secrets
import shutil
import stat
import struct
import weakref
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, BinaryIO

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
MOST_PIPED = 1 << 28
"""Most bytes that are read of a pipe, where a file may be as large as it is."""
_PART = 1 << 22


def read_bytes(path: str | os.PathLike[str], limit: int) -> bytes:
    """Read a regular file of at most ``limit`` bytes; `InputError` where that is not possible."""
    path = Path(path)
    try:
        with _open(path) as file:
            return _read_all(file, path, limit)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({reason(error)})") from None


def check_ends(file: BinaryIO, name: str | os.PathLike[str]) -> None:
    """`InputError` about ``name`` where an open file is a device, which may have no end; a terminal has one."""
    try:
        mode = os.fstat(file.fileno()).st_mode
    except OSError:  # a file in memory
        return
    if stat.S_ISBLK(mode) or (stat.S_ISCHR(mode) and not file.isatty()):
        raise InputError(f"{name}: cannot be read (it is a device, not a file or a pipe)")


def _open(path: Path) -> BinaryIO:
    """Open a file, a pipe or a terminal; a device is refused."""
    if path.is_dir():
        raise InputError(f"{path}: this is a folder, a file is needed")
    file = path.open("rb")
    try:
        check_ends(file, path)
    except InputError:
        file.close()
        raise
    return file


def _read_all(file: BinaryIO, path: Path, limit: int) -> bytes:
    """All that is left of an open file, at most ``limit`` bytes."""
    # In parts: one read takes memory for all that it may find.
    parts, left = [], limit + 1
    try:
        while left > 0 and (part := file.read(min(left, _PART))):
            parts.append(part)
            left -= len(part)
    except MemoryError:
        raise InputError(f"{path}: too large for the memory") from None
    if left <= 0:
        raise InputError(f"{path}: larger than the limit of {limit} bytes")
    return b"".join(parts)


class Region:
    """Consecutive bytes of an open file, or of memory: they are read where they are needed, not before.

    Parameters
    ----------
    file
        The file, which nobody else reads meanwhile; it is closed when nothing refers to its bytes any more.
    start, size
        Where the bytes begin, and how many there are; without them the whole file.
    whole
        The bytes of the whole file, of which these are a part.
    """

    def __init__(self, file: IO[bytes], start: int = 0, size: int | None = None, whole: "Region | None" = None) -> None:
        self._file, self._start, self._whole = file, start, whole
        self.size = file.seek(0, os.SEEK_END) if size is None else size
        if whole is None:
            weakref.finalize(self, file.close)

    @classmethod
    def of(cls, data: bytes) -> "Region":
        """Bytes in memory."""
        return cls(io.BytesIO(data))

    def part(self, low: int, size: int) -> "Region":
        """The ``size`` bytes from ``low`` on, all of which it must have."""
        assert 0 <= low <= low + size <= self.size
        return Region(self._file, self._start + low, size, self._whole or self)

    def read(self, low: int = 0, high: int | None = None) -> bytes:
        """The bytes from ``low`` to ``high`` (exclusive), fewer at the end; `InputError` where they have gone."""
        high = self.size if high is None else min(high, self.size)
        try:
            self._file.seek(self._start + low)
            data = self._file.read(max(0, high - low))
        except OSError as error:
            raise InputError(f"cannot be read ({reason(error)})") from None
        if len(data) < high - low:
            raise InputError("cannot be read (it became shorter meanwhile)")
        return data

    def blocks(self) -> Iterator[bytes]:
        """All bytes, a part at a time."""
        for low in range(0, self.size, _PART):
            yield self.read(low, low + _PART)


def open_file(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file to be read from any place; what comes through a pipe, at most `MOST_PIPED` bytes, is read before.

    Raises
    ------
    InputError
        Where that is not possible.
    """
    path = Path(path)
    try:
        file = _open(path)
        if file.seekable():
            return file
        with file:
            return io.BytesIO(_read_all(file, path, MOST_PIPED))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({reason(error)})") from None


def check_writable(path: str | os.PathLike[str]) -> Path:
    """Whether a file can be written later under ``path``: for commands that work long before they write.

    Raises
    ------
    InputError
        If its folder does not exist or does not accept new files, or something is there that is no regular file.
    """
    _file(Path(path))
    return Path(path)


def check_replaceable(path: str | os.PathLike[str], parts: Collection[str]) -> Path:
    """Whether `write_folder` can write a folder of files named ``parts`` later.

    Raises
    ------
    InputError
        As of `check_writable`; a folder that is there may hold nothing but such files.
    """
    _folder(Path(path), parts)
    return Path(path)


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Make a folder for results, and those above it, where they are missing.

    Raises
    ------
    InputError
        If it cannot be made, or does not accept new files.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be made ({reason(error)})") from None
    _target(path / "file")
    return path


def write_bytes(path: str | os.PathLike[str], data: bytes) -> Path:
    """Write a file: complete under a temporary name in the same folder, then renamed; a link is followed.

    Raises
    ------
    InputError
        As of `check_writable`, or if the system refuses.
    """
    return write_by(path, lambda file: file.write(data))


def write_by(path: str | os.PathLike[str], fill: Callable[[BinaryIO], object]) -> Path:
    """As `write_bytes`, what ``fill`` writes to the open file: what is large need never be in memory as a whole."""
    path = Path(path)
    target = _file(path)
    temporary = _temporary(target)
    try:
        with temporary.open("xb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({reason(error)})") from None
    finally:
        temporary.unlink(missing_ok=True)
    return path


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """`write_bytes` of UTF-8 text."""
    return write_bytes(path, text.encode())


def write_folder(path: str | os.PathLike[str], parts: Mapping[str, bytes | Callable[[BinaryIO], object]]) -> Path:
    """Write a folder of files: complete under a temporary name beside it, then renamed.

    Of each there are the bytes, or what fills the open file.  A folder of that name is replaced if it holds nothing but
    files named in ``parts``.

    Raises
    ------
    InputError
        As of `check_replaceable`, or if the system refuses.
    """
    path = Path(path)
    target = _folder(path, parts)
    temporary, old = _temporary(target), _temporary(target)
    try:
        temporary.mkdir()
        for name, data in parts.items():
            if isinstance(data, bytes):
                (temporary / name).write_bytes(data)
                continue
            with (temporary / name).open("xb") as file:
                data(file)
        if target.exists():
            target.rename(old)
        temporary.rename(target)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({reason(error)})") from None
    finally:
        if not target.exists():
            with suppress(OSError):
                old.rename(target)
        shutil.rmtree(temporary, ignore_errors=True)
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)
    return path


def _target(path: Path) -> Path:
    """What ``path`` names behind links; `InputError` if nothing can be written beside it."""
    target = Path(os.path.realpath(path))
    temporary = _temporary(target)
    try:
        if not target.parent.is_dir():
            raise InputError(f"{path}: cannot be written (there is no folder '{target.parent}')")
        # Tried, not asked: permissions, read-only file systems and names that are too long all show.
        temporary.open("xb").close()
        temporary.unlink()
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({reason(error)})") from None
    return target


def _file(path: Path) -> Path:
    # Before anything is tried beside it: a pipe of the shell, /dev/fd/63, has no folder.
    with suppress(OSError):
        if not (stat.S_ISREG(mode := path.stat().st_mode) or stat.S_ISDIR(mode)):
            raise InputError(f"{path}: cannot be written (it is no regular file)")
    target = _target(path)
    if target.is_dir():
        raise InputError(f"{path}: cannot be written (a folder of that name exists)")
    if target.is_symlink():
        raise InputError(f"{path}: cannot be written (the link leads to itself)")
    return target


def _folder(path: Path, parts: Collection[str]) -> Path:
    target = _target(path)
    if target.is_symlink():
        raise InputError(f"{path}: cannot be written (the link leads to itself)")
    if target.exists():
        strange = sorted({p.name for p in target.iterdir()} - set(parts)) if target.is_dir() else [path.name]
        if strange:
            raise InputError(f"{path}: cannot be replaced, it holds something else ('{strange[0]}')")
    return target


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")


def reason(error: OSError) -> str:
    """What the system says, in lower case, for the end of a line."""
    return (error.strerror or type(error).__name__).lower()
