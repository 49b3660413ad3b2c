"""Arrays inside frozen dataclasses: read-only, and compared by value."""

from dataclasses import fields
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from qif2hw.errors import InputError
from qif2hw.ir import large

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]


def frozen(values: ArrayLike, dtype: DTypeLike) -> NDArray[Any]:
    """``values`` as a contiguous read-only array of their shape: a copy, unless nothing can change them."""
    given = np.asarray(values)
    plain = given.dtype == dtype and given.flags.c_contiguous and given.flags.aligned
    if given is values and plain and large.unchanging(given):
        return given
    if given.nbytes < large.LARGE:
        return large.sealed(np.array(values, dtype=dtype, order="C", copy=True))
    made = large.empty(given.shape, dtype)
    made[...] = given
    large.release(made)
    return large.sealed(made)


def finite(values: ArrayLike, what: str) -> FloatArray:
    """``values``, of any shape, as a `frozen` float64 array; `InputError` names the first that is not finite."""
    array = frozen(values, np.float64)
    if not all(np.isfinite(part).all() for part in large.flat_blocks(array)):
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise InputError(f"{what} holds {array[where]} at {list(where)}: every value must be finite")
    return array


class ByValue:
    """Equality of dataclasses whose fields may hold arrays: same type, shapes, dtypes and values."""

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(same(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))  # type: ignore[arg-type]

    __hash__ = None  # type: ignore[assignment]


def same(a: object, b: object) -> bool:
    """Whether two values are equal; they may be arrays, or tuples and dictionaries of arrays."""
    if a is b:
        return True
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and bool(np.array_equal(a, b))
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(value, b[key]) for key, value in a.items())
    return bool(a == b)
