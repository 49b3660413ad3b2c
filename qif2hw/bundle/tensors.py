"""Arrays as a safetensors file: its header's length in 8 bytes, the header (types, shapes, offsets), the raw arrays."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qif2hw.ir.large import Pieces

_TYPES: dict[str, Any] = {
    "I64": np.int64,
    "F64": np.float64,
    "F32": np.float32,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
"""Types of arrays, in the order in which the safetensors package writes them."""


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
