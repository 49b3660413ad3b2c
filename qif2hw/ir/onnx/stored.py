"""Arrays of an ONNX file that its parser does not see: large ones, and those that lie in files beside it.

The parser holds all that it reads several times.  So a large array is taken out of the file before, and read from its
place when it is needed, like one that the file says is stored in another file ("external data").
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from onnx import GraphProto, ModelProto, TensorProto

from qif2hw.errors import InputError
from qif2hw.files import Region, open_file
from qif2hw.ir.large import LARGE
from qif2hw.ir.onnx.graph import MAX_BYTES
from qif2hw.ir.onnx.wire import BYTES, FIXED32, FIXED64, VARINT, number_of, tagged

_GRAPH = number_of(ModelProto, "graph")
_INITIALIZER = number_of(GraphProto, "initializer")
_RAW = number_of(TensorProto, "raw_data")


class _Unreadable(Exception):
    """Not written as messages of ONNX are: the parser says what is wrong."""


class _Field(NamedTuple):
    """A field of a message: its number, how it is written, where it begins, and where its value lies."""

    number: int
    kind: int
    start: int
    low: int
    high: int


def without_large(file: Region) -> tuple[bytes, dict[int, Region]]:
    """The bytes of a model without the values of large stored arrays, and these by the array's place in the graph."""
    if file.size < LARGE:
        return file.read(), {}
    found: dict[int, Region] = {}
    try:
        return b"".join(_model(file, found)), found
    except _Unreadable:
        if file.size > MAX_BYTES:
            raise InputError("not an ONNX file") from None
        return file.read(), {}


def _model(file: Region, found: dict[int, Region]) -> Iterator[bytes]:
    count = 0
    for field in _fields(file):
        if (field.number, field.kind) != (_GRAPH, BYTES):
            yield file.read(field.start, field.high)
            continue
        graph, parts = file.part(field.low, field.high - field.low), []
        for inner in _fields(graph):
            if (inner.number, inner.kind) == (_INITIALIZER, BYTES):
                tensor, count = graph.part(inner.low, inner.high - inner.low), count + 1
                raw = [f for f in _fields(tensor) if f.number == _RAW] if tensor.size >= LARGE else []
                if len(raw) == 1 and raw[0].kind == BYTES:
                    found[count - 1] = tensor.part(raw[0].low, raw[0].high - raw[0].low)
                    head = tensor.read(0, raw[0].start) + tensor.read(raw[0].high)
                    parts.append(tagged(_INITIALIZER, len(head)) + head)
                    continue
            parts.append(graph.read(inner.start, inner.high))
        head = b"".join(parts)
        yield tagged(_GRAPH, len(head)) + head


def _fields(message: Region) -> Iterator[_Field]:
    """The fields of a message, in order."""
    at = 0
    while at < message.size:
        tag, low = _number(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == BYTES:
            size, low = _number(message, low)
            high = low + size
        elif kind == VARINT:
            high = _number(message, low)[1]
        elif kind in (FIXED32, FIXED64):
            high = low + (4 if kind == FIXED32 else 8)
        else:
            raise _Unreadable
        if high > message.size:
            raise _Unreadable
        yield _Field(number, kind, at, low, high)
        at = high


def _number(message: Region, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where it ends."""
    value = 0
    for k, byte in enumerate(message.read(at, at + 10)):
        value |= (byte & 127) << 7 * k
        if byte < 128:
            return value, at + k + 1
    raise _Unreadable


def is_elsewhere(tensor: TensorProto) -> bool:
    """Whether a tensor is stored in another file."""
    return tensor.data_location == TensorProto.EXTERNAL or bool(tensor.external_data)


def elsewhere(tensor: TensorProto, folder: Path) -> Region:
    """Where the values of a tensor lie that is stored in another file, in the folder of its model or below it.

    Raises
    ------
    InputError
        If its place is not in that folder, not written as it should be, or not in that file.
    """
    what = f"tensor '{tensor.name}'"
    place = {entry.key: entry.value for entry in tensor.external_data}
    odd = set(place) - {"location", "offset", "length", "checksum"} or len(place) != len(tensor.external_data)
    location = place.get("location")
    if odd or not isinstance(location, str) or not location:
        raise InputError(f"{what} is stored in another file: its location is needed, and maybe offset and length")
    what += f" is stored in {location[:100]!r}"
    if "\\" in location or "\0" in location or Path(location).is_absolute() or ".." in Path(location).parts:
        raise InputError(f"{what}: only files in the folder of the model are read")
    path, home = (Path(os.path.realpath(p)) for p in (folder / location, folder))
    if home not in path.parents:
        raise InputError(f"{what}: links must not lead out of the folder of the model")
    if not os.path.isfile(path):  # noqa: PTH113  # False of a name that is too long
        raise InputError(f"{what}, which is no file beside the model")
    file = Region(open_file(path))
    offset, length = (_whole(place.get(key, ""), default) for key, default in (("offset", 0), ("length", None)))
    if offset is None or (length is None and place.get("length")):
        raise InputError(f"{what}: its offset and length must be numbers")
    end = file.size if length is None else offset + length
    if not offset <= end <= file.size:
        raise InputError(f"{what} from byte {offset} to {end}, and this file has {file.size}")
    return file.part(offset, end - offset)


def _whole(text: object, default: int | None) -> int | None:
    """A number from a text, the default of an empty one; None if it is no number."""
    if text == "":
        return default
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 19 else None
