"""Input arrays: their shape, and the range of every column."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray

Range = tuple[float, float, str]
"""Least and largest value of a column, and what to say about one outside."""

_SCALED: Range = (0.0, 1.0, "every value must be scaled to [0, 1]")


def check_inputs(x: ArrayLike, width: int, *, clip: bool = False) -> FloatArray:
    """Inputs ``x`` as float64 (samples, width); `InputError` on a wrong shape or values outside [0, 1].

    With ``clip`` values outside become the nearest end.
    """
    return check_ranges(_with_columns(x, width), [_SCALED] * width, clip=clip)


def check_ranges(x: ArrayLike, ranges: Sequence[Range], *, clip: bool = False) -> FloatArray:
    """Inputs ``x`` as float64 (samples, columns), each column in its range.

    With ``clip`` values outside become the nearest end; what is no number is refused all the same.

    Raises
    ------
    InputError
        On a wrong shape, and for the first value outside its range: it says which range that is.
    """
    array = _with_columns(x, len(ranges))
    if array.shape[0] == 0:
        raise InputError("inputs hold no sample: at least one row is needed")
    low, high = np.array([r[0] for r in ranges]), np.array([r[1] for r in ranges])
    outside = ~((array >= low) & (array <= high))
    if clip:
        outside &= ~np.isfinite(array)
    if outside.any():
        row, column = (int(i) for i in np.argwhere(outside)[0])
        raise InputError(f"inputs hold {float(array[row, column])!r} at [{row}, {column}]: {ranges[column][2]}")
    return np.clip(array, low, high) if clip else array


def _with_columns(x: ArrayLike, columns: int) -> FloatArray:
    """Inputs as float64 (samples, columns); `InputError` on another shape."""
    try:
        array = np.asarray(x, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"inputs are not an array of numbers: {error}") from None
    if array.ndim != 2 or array.shape[1] != columns:
        raise InputError(f"inputs have shape {array.shape}: (samples, {columns}) is needed")
    return array
