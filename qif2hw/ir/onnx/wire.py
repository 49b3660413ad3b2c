"""How messages of ONNX lie in a file: what is needed to write and find large arrays in them."""

from typing import Any

from numpy.typing import NDArray

from qif2hw.ir.large import size_of

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""How the value of a field is written."""


def varint(number: int) -> bytes:
    """A number: seven bits a byte, the lowest first."""
    data = bytearray()
    while number > 127:
        data.append(number & 127 | 128)
        number >>= 7
    return bytes([*data, number])


def tagged(number: int, size: int) -> bytes:
    """What comes before the ``size`` bytes of a field."""
    return varint(number << 3 | BYTES) + varint(size)


def number_of(message: Any, field: str) -> int:
    """Number of a field of a kind of messages."""
    return int(message.DESCRIPTOR.fields_by_name[field].number)


def bytes_of_message(message: Any) -> bytes:
    """A message, its fields in the order of their numbers."""
    data: bytes = message.SerializeToString(deterministic=True)
    return data


def field(message: Any, name: str, value: list[bytes | NDArray[Any]]) -> list[bytes | NDArray[Any]]:
    """A field of a kind of messages whose value is a message, or bytes, with arrays of any shape among them."""
    return [tagged(number_of(message, name), size_of(value)), *value]
