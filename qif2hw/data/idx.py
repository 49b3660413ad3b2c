"""The idx format of the MNIST family of data sets."""

import gzip
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qif2hw.errors import InputError

_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def read_idx(file: Path) -> NDArray[Any]:
    """The array in an idx file, compressed with gzip or not.

    The format: two zero bytes, the element type, the number of dimensions, each dimension as four bytes, the elements;
    the most significant byte first.  The array has the shape and type that the file states.

    Raises
    ------
    InputError
        If the file is not in this format, or is damaged or incomplete.
    """
    data = file.read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError) as error:
            raise InputError(f"{file}: the compressed file is damaged or incomplete ({error})") from None
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _TYPES:
        raise InputError(f"{file}: not an idx file")
    start, dtype = 4 + 4 * data[3], np.dtype(_TYPES[data[2]])
    shape = tuple(int.from_bytes(data[k : k + 4], "big") for k in range(4, start, 4))
    if len(data) != start + prod(shape) * dtype.itemsize:
        raise InputError(f"{file}: {len(data)} bytes do not hold an array of shape {shape}; the file is incomplete")
    return np.frombuffer(data, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))
