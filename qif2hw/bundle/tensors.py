"""Arrays as a safetensors file: its header's length in 8 bytes, the header (types, shapes, offsets), the raw arrays."""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qif2hw.errors import InputError
from qif2hw.files import Region
from qif2hw.ir.large import Pieces, filled

_TYPES: dict[str, Any] = {
    "U64": np.uint64,
    "I64": np.int64,
    "F64": np.float64,
    "F32": np.float32,
    "U32": np.uint32,
    "I32": np.int32,
    "F16": np.float16,
    "U16": np.uint16,
    "I16": np.int16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
"""Types of arrays, in the order in which the safetensors package writes them."""

_LONGEST = 100_000_000
"""Most bytes of a header, as in that package."""
_MOST_AXES = 8


def write(arrays: Mapping[str, NDArray[Any]]) -> Pieces:
    """Arrays of any shape by name as a file: the bytes of the safetensors package, which would copy them."""
    names = {np.dtype(kind): name for name, kind in _TYPES.items()}
    order = list(_TYPES)
    ordered = sorted(arrays.items(), key=lambda item: (order.index(names[item[1].dtype]), item[0]))
    header, end = {}, 0
    for key, array in ordered:
        place = [end, end := end + array.nbytes]
        header[key] = {"dtype": names[array.dtype], "shape": list(array.shape), "data_offsets": place}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    values = [np.ascontiguousarray(array, array.dtype.newbyteorder("<")) for _, array in ordered]
    return [len(text).to_bytes(8, "little"), text, *values]


def read(file: Region) -> dict[str, NDArray[Any]]:
    """The arrays of a file by name, of their shapes, read-only.

    Raises
    ------
    InputError
        Unless it is a safetensors file whose arrays fill it without gaps.
    """
    length = int.from_bytes(file.read(0, 8), "little")
    if file.size < 8 or length > min(_LONGEST, file.size - 8):
        raise _broken("its header is longer than the file")
    try:
        header = json.loads(file.read(8, 8 + length).decode())
    except (ValueError, RecursionError):
        raise _broken("its header is no JSON") from None
    if not isinstance(header, dict):
        raise _broken("its header is no JSON object")
    header.pop("__metadata__", None)
    places, end = [(key, *_place(entry)) for key, entry in header.items()], 0
    arrays = {}
    for key, kind, shape, low, high in sorted(places, key=lambda place: place[3:]):
        size = math.prod(shape) * np.dtype(kind).itemsize
        if low != end or high != low + size or high > file.size - 8 - length:
            raise _broken(f"array '{key}' lies at {low} to {high}, it has {size} bytes")
        arrays[key] = filled(shape, kind, file.part(8 + length + low, size).blocks())
        end = high
    if end != file.size - 8 - length:
        raise _broken(f"{file.size - 8 - length - end} bytes belong to no array")
    return arrays


def _place(entry: object) -> tuple[Any, tuple[int, ...], int, int]:
    """Type, shape, first byte and the one after the last of an array."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _broken("type, shape and offsets of an array are needed")
    kind, shape, offsets = _TYPES.get(str(entry["dtype"])), entry["shape"], entry["data_offsets"]
    for numbers in (shape, offsets):
        if not isinstance(numbers, list) or not all(type(n) is int and 0 <= n < 1 << 48 for n in numbers):
            raise _broken("a shape or an offset is none")
    if kind is None or len(offsets) != 2 or len(shape) > _MOST_AXES:
        raise _broken(f"type {entry['dtype']!r}, shape {shape}")
    return kind, tuple(shape), offsets[0], offsets[1]


def _broken(why: str) -> InputError:
    return InputError(f"not a safetensors file ({why})")
