"""HDF5 files of which the HDF5 library may read what is read: it does not end, or ends the process, on damaged ones."""

import io
import os
import struct
from typing import Any

from qif2hw.errors import InputError
from qif2hw.files import read_bytes

SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""The first bytes of an HDF5 file."""
MAX_BYTES = 1 << 30
"""Larger files are refused before they are read."""
_HEAP = b"GCOL\x01\0\0\0"
_OBJECT = struct.Struct("<HHIQ")


def read(path: str | os.PathLike[str], what: str) -> io.BytesIO:
    """The file in memory.

    Parameters
    ----------
    path
        The file.
    what
        What it should be, for messages.

    Raises
    ------
    InputError
        If it cannot be read, is larger than `MAX_BYTES`, is no HDF5 file, or has a damaged heap.
    """
    name, data = os.fspath(path), read_bytes(path, MAX_BYTES)
    if not data.startswith(SIGNATURE):
        raise InputError(f"{name}: not an HDF5 file, as {what} are")
    at = data.find(_HEAP)
    while at >= 0:
        if not _heap_ends(data, at):
            raise InputError(f"{name}: a damaged HDF5 file (its texts, byte {at})")
        at = data.find(_HEAP, at + len(_HEAP))
    return io.BytesIO(data)


def value(dataset: Any) -> Any:
    """What an ``h5py.Dataset`` holds, numbers or texts; it is None where a name leads nowhere.

    Raises
    ------
    InputError
        If it holds something else: lists and records with damaged types let the library read beyond its memory.
    """
    from h5py import Dataset, h5t

    if not isinstance(dataset, Dataset):
        raise InputError("a damaged HDF5 file (what it names is not there)")
    kinds = (h5t.TypeIntegerID, h5t.TypeFloatID, h5t.TypeStringID, h5t.TypeEnumID)
    if not isinstance(dataset.id.get_type(), kinds):
        raise InputError(f"'{dataset.name}' holds neither numbers nor texts")
    return dataset[()]


def _heap_ends(data: bytes, at: int) -> bool:
    """Whether a global heap's objects lie one behind the other inside it; the free rest, if any, is the last one.

    Version 1, sizes of 8 bytes (HDF5 File Format Specification, III.E).
    """
    if at + _OBJECT.size > len(data):
        return False
    end = at + int.from_bytes(data[at + 8 : at + 16], "little")
    if end > len(data):
        return False
    place = at + _OBJECT.size
    while place + _OBJECT.size <= end:
        index, _, _, size = _OBJECT.unpack_from(data, place)
        # The size of the free rest has its header in it, those of objects have not, and are rounded up to 8.
        place += size if index == 0 else _OBJECT.size + -(-size // 8) * 8
        if index == 0:
            return size >= _OBJECT.size and place <= end
    return place <= end
