"""Arrays of any size: large ones lie in files without a name, and are worked on in blocks.

What a network holds is made once and never changed, so a large array can lie in a file that is mapped into memory: the
system keeps its pages there as long as there is room.  The folder of these files is that of `tempfile` (``TMPDIR``); it
should be on a disk.
"""

import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

Pieces: TypeAlias = bytes | Sequence[bytes | NDArray[Any]]
"""What a file holds: bytes; or bytes and contiguous arrays, one after the other, that are not copied for it."""

LARGE = 1 << 24
"""Bytes from which an array lies in a file."""
BLOCK = 1 << 20
"""Numbers that are worked on at a time."""


class _File(mmap.mmap):
    """A mapped file that nothing else can open."""


def empty(shape: int | tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """A new array of a shape, to be filled: of `LARGE` bytes or more in a file, where the folder for it has room."""
    kind = np.dtype(dtype)
    size = int(np.prod(shape, dtype=object)) * kind.itemsize
    # Room is taken at once: a mapped file without room ends the process.
    if size < LARGE or not hasattr(os, "posix_fallocate"):
        return np.empty(shape, kind)
    try:
        with tempfile.TemporaryFile() as file:
            os.posix_fallocate(file.fileno(), 0, size)
            return np.ndarray(shape, kind, buffer=_File(file.fileno(), size))
    except OSError:
        return np.empty(shape, kind)


def filled(shape: tuple[int, ...], dtype: DTypeLike, blocks: Iterable[bytes]) -> NDArray[Any]:
    """An array of a shape, read-only, of the bytes in ``blocks``, which must be as many as it has."""
    made = empty(shape, dtype)
    into, at = made.reshape(-1).view(np.uint8), 0
    for block in blocks:
        into[at : at + len(block)] = np.frombuffer(block, np.uint8)
        at += len(block)
        release(made)
    assert at == into.size
    return sealed(made)


def sealed(array: NDArray[Any]) -> NDArray[Any]:
    """The same array, of any shape, read-only: whoever made it gives it away."""
    array.setflags(write=False)
    return array


def unchanging(array: NDArray[Any]) -> bool:
    """Whether nothing can change an array of any shape: it is read-only, and so is all that it is a view of."""
    base: object = array
    while isinstance(base, np.ndarray):
        if base.flags.writeable:
            return False
        base = base.base
    return base is None or isinstance(base, bytes | _File)


def places(array: NDArray[Any], size: int = BLOCK) -> Iterator[slice]:
    """Places of blocks of ``size`` entries in an array of any shape, laid flat; one block alone stays in memory."""
    for low in range(0, array.size, size):
        yield slice(low, low + size)
        release(array)


def flat_blocks(array: NDArray[Any], size: int = BLOCK) -> Iterator[NDArray[Any]]:
    """The blocks (entries,) of a contiguous array of any shape at its `places`."""
    flat = array.reshape(-1)
    for place in places(array, size):
        yield flat[place]


def row_blocks(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Consecutive rows of a matrix (rows, columns), together about `BLOCK` entries, and one row at least."""
    rows = max(1, BLOCK // max(1, array.shape[1]))
    for low in range(0, array.shape[0], rows):
        yield array[low : low + rows]
        release(array)


def release(array: NDArray[Any]) -> None:
    """Drop the pages of an array, of any shape, that lies in a file: they are read again when they are needed."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, _File) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


def scaled(values: NDArray[Any], factor: float) -> NDArray[np.float64]:
    """``values``, contiguous and of any shape, times a factor; read-only."""
    made = empty(values.shape, np.float64)
    given, into = values.reshape(-1), made.reshape(-1)
    for place in places(values):
        np.multiply(given[place], factor, out=into[place])
        release(made)
    return sealed(made)


def largest(values: NDArray[Any]) -> float:
    """Largest magnitude of values of any shape, 0 where there are none."""
    return max((max(float(b.max()), -float(b.min())) for b in flat_blocks(values)), default=0.0)


def transposed(matrix: NDArray[Any]) -> NDArray[Any]:
    """The transposed of a matrix (rows, columns), contiguous."""
    made = empty(matrix.shape[::-1], matrix.dtype)
    low = 0
    for rows in row_blocks(matrix):
        made[:, low : low + len(rows)] = rows.T
        low += len(rows)
        release(made)
    return made


def size_of(pieces: Pieces) -> int:
    """Bytes of a file that is made of pieces."""
    every = [pieces] if isinstance(pieces, bytes) else pieces
    return sum(piece.nbytes if isinstance(piece, np.ndarray) else len(piece) for piece in every)


def bytes_of(pieces: Pieces) -> Iterator[bytes | memoryview]:
    """The bytes of a file in blocks."""
    for piece in [pieces] if isinstance(pieces, bytes) else pieces:
        if isinstance(piece, np.ndarray):
            yield from (block.data.cast("B") for block in flat_blocks(piece))
        else:
            yield piece
