"""Frozen dataclasses as JSON and arrays, and back: the field types are the schema."""

import types
from collections.abc import Mapping
from dataclasses import Field, fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from qif2hw.errors import InputError

T = TypeVar("T")

_LARGEST = 1 << 53


def pack(value: object, arrays: dict[str, NDArray[Any]], path: str = "") -> Any:
    """JSON of a dataclass; its arrays, of any shape, go into ``arrays`` under dotted paths, which stand in their place.

    A dataclass becomes an object with its class name under ``kind``, a tuple a list, numbers and texts stay.  A field
    that is None by default is left out while it is, or while it is of the type that its metadata call ``implied``.
    Values of other types are a `TypeError`: their class cannot be written to a file.
    """
    if isinstance(value, np.ndarray):
        arrays[path] = value
        return {"array": path}
    if is_dataclass(value):
        start = f"{path}." if path else ""
        packed = {
            _stored(f): pack(getattr(value, f.name), arrays, start + _stored(f))
            for f in fields(value)
            if f.default is not None
            or not isinstance(getattr(value, f.name), (type(None), f.metadata.get("implied", ())))
        }
        return {"kind": type(value).__name__} | packed
    if isinstance(value, tuple):
        return [pack(item, arrays, f"{path}.{k}") for k, item in enumerate(value)]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value)
    if value is None or isinstance(value, str):
        return value
    raise TypeError(f"{path}: {type(value).__name__} cannot be packed")


def unpack(cls: type[T], packed: Any, arrays: Mapping[str, NDArray[Any]]) -> T:
    """Inverse of `pack`; ``arrays``, of any shape, by dotted paths.

    Raises
    ------
    InputError
        If something is missing, left over, or of another type than the fields of ``cls`` say.
    """
    used: set[str] = set()
    value = _unpack(cls, packed, arrays, "", used)
    if set(arrays) != used:
        raise InputError(f"array '{min(set(arrays) - used)}' belongs to nothing")
    assert isinstance(value, cls)
    return value


def _unpack(hint: Any, packed: Any, arrays: Mapping[str, NDArray[Any]], path: str, used: set[str]) -> Any:
    where = f"'{path}'" if path else "the top"
    origin = _origin(hint)
    if origin in (types.UnionType, Union):
        for choice in get_args(hint):
            if choice is type(None) and packed is None:
                return None
            if _origin(choice) is np.ndarray and isinstance(packed, dict) and "array" in packed:
                return _unpack(choice, packed, arrays, path, used)
            if _origin(choice) is tuple and isinstance(packed, list):
                return _unpack(choice, packed, arrays, path, used)
            if is_dataclass(choice) and isinstance(packed, dict) and packed.get("kind") == _name(choice):
                return _unpack(choice, packed, arrays, path, used)
            if choice in (bool, int, float, str) and type(packed) is choice:
                return _unpack(choice, packed, arrays, path, used)
        raise InputError(f"{where} is none of {', '.join(_name(choice) for choice in get_args(hint))}")
    if origin is np.ndarray:
        name = packed.get("array") if isinstance(packed, dict) and len(packed) == 1 else None
        if name != path or name not in arrays:
            raise InputError(f"the array of {where} is missing")
        used.add(path)
        return arrays[path]
    if origin is tuple:
        item = get_args(hint)[0]
        if not isinstance(packed, list):
            raise InputError(f"{where} is no list")
        return tuple(_unpack(item, p, arrays, f"{path}.{k}", used) for k, p in enumerate(packed))
    if is_dataclass(hint):
        return _dataclass(hint, packed, arrays, path, used, where)
    if hint in (bool, int, float, str) and type(packed) is hint:
        if hint is int and abs(packed) > _LARGEST:
            raise InputError(f"{where} is an impossible number of {packed.bit_length()} bits")
        return packed
    raise InputError(f"{where} is no {_name(hint)}")


def _dataclass(cls: Any, packed: Any, arrays: Mapping[str, NDArray[Any]], path: str, used: set[str], where: str) -> Any:
    if not isinstance(packed, dict) or packed.get("kind") != _name(cls):
        raise InputError(f"{where} is no {_name(cls)}")
    hints = get_type_hints(cls)
    name_of = {_stored(f): f.name for f in fields(cls)}
    absent = {_stored(f) for f in fields(cls) if f.default is None} - set(packed)
    wanted = set(name_of) - absent
    if set(packed) != wanted | {"kind"}:
        odd = min(set(packed) ^ (wanted | {"kind"}))
        raise InputError(f"{where}: '{odd}' is {'unknown' if odd in packed else 'missing'}")
    start = f"{path}." if path else ""
    values = {
        name_of[key]: _unpack(hints[name_of[key]], packed[key], arrays, start + key, used) for key in sorted(wanted)
    }
    try:
        value = cls(**values)
    except InputError:
        raise
    except (ArithmeticError, LookupError, MemoryError, TypeError, ValueError) as error:
        raise InputError(f"{where} holds impossible values ({type(error).__name__})") from None
    # The classes convert arrays silently; here another type than they hold means a damaged or foreign file.
    for name, given in values.items():
        kept = getattr(value, name)
        if isinstance(given, np.ndarray) and isinstance(kept, np.ndarray) and given.dtype != kept.dtype:
            raise InputError(f"array '{start}{name}' has type {given.dtype}: {kept.dtype} is needed")
    return value


def _stored(field: Field[Any]) -> str:
    """Name of a field in a file: its own, unless its metadata name one, as where the field was renamed."""
    return str(field.metadata.get("stored", field.name))


def _origin(hint: Any) -> Any:
    """`typing.get_origin` that looks through named aliases, as numpy's ``NDArray`` became one."""
    origin = get_origin(hint)
    value = getattr(origin, "__value__", None)
    return origin if value is None else get_origin(value) or value


def _name(hint: Any) -> str:
    return str(getattr(hint, "__name__", hint))
