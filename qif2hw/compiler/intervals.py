"""Intervals of integers with numpy's operators and functions: the specification runs on them as on arrays."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import ArrayLike, NDArray

from qif2hw.engine.integers import MEASURED_BITS, PRODUCT_BITS, Examined, Int

Ends: TypeAlias = NDArray[np.object_]
"""Python integers: they do not overflow."""


@dataclass(frozen=True)
class Register:
    """What a register or product may hold.

    Parameters
    ----------
    low, high
        Smallest and largest value.
    width
        Bits that it has, sign included.
    widest
        Most bits that any number needed on the way to these values.
    product_bits
        Bits that such numbers have.
    """

    low: int
    high: int
    width: int
    widest: int
    product_bits: int = PRODUCT_BITS

    @property
    def bits(self) -> int:
        """Bits that it needs, sign included."""
        return _bits(self.low, self.high)

    @property
    def fits(self) -> bool:
        """Whether it is wide enough, and all before it fit the width of products."""
        return self.bits <= self.width and self.widest <= self.product_bits


@dataclass
class Registers:
    """Registers by name; several values of one name are joined.

    ``product_bits`` is the width of products, and of what is as wide.
    """

    found: dict[str, Register] = field(default_factory=dict)
    product_bits: int = PRODUCT_BITS

    def interval(self, low: ArrayLike, high: ArrayLike) -> Any:
        """An `Interval` from ``low`` to ``high``, of one shape, that notes its registers here; typed as an array."""
        return Interval(_exact(low), _exact(high), self)

    def note(self, name: str, value: "Interval", width: int) -> None:
        """Note what a register holds."""
        low, high, widest = int(value.low.min()), int(value.high.max()), value.widest
        if name in self.found:
            old = self.found[name]
            low, high, widest = min(old.low, low), max(old.high, high), max(old.widest, widest)
        self.found[name] = Register(low, high, min(width, self.product_bits), widest, self.product_bits)


class Interval(Examined, NDArrayOperatorsMixin):
    """All integers from ``low`` to ``high``, elementwise: the result of an operation holds that of all its members.

    Numbers forget what they have in common: ``a - a`` is not zero, but ``a * a`` is a square.  A comparison is an
    interval of 0 (no) and 1 (yes); where it is both, `numpy.where` joins its two values.

    Parameters
    ----------
    low, high
        Python integers, of one shape.
    registers
        Where `keep` notes what is found.
    widest
        See `Register`.
    """

    def __init__(self, low: Ends, high: Ends, registers: Registers, widest: int = 0) -> None:
        self.low, self.high = np.broadcast_arrays(low, high)
        self.registers = registers
        self.widest = max(widest, _bits(min(self.low.flat, default=0), max(self.high.flat, default=0)))

    def keep(self, name: str, bits: int) -> "Interval":
        """Note these values of a register."""
        self.registers.note(name, self, bits)
        return self

    def within(self, low: int, high: int) -> "Interval":
        """What lies between the bounds too."""
        return self._new(np.maximum(self.low, low), np.minimum(self.high, high))

    def shifted_within(self, bits: Any, most: int) -> "Interval":
        """What lies between the bounds too: nothing wider was on the way."""
        low, high = _corners(np.left_shift)((self.low, self.high), _ends(bits))
        return self._new(np.maximum(low, -most), np.minimum(high, most))

    def product_within(self, other: Any, most: int) -> "Interval":
        """What lies between the bounds too: nothing wider was on the way."""
        low, high = _corners(np.multiply)((self.low, self.high), _ends(other))
        return self._new(np.maximum(low, -most), np.minimum(high, most))

    def at_ends(self, function: Callable[[Int], Int], name: str, first: object) -> "Interval":
        """Values of a function that never falls.

        Where numbers are too wide for it, the result is marked as such.
        """
        most = 1 << (MEASURED_BITS - 1)
        wide = bool((self.low < -most).any() or (self.high >= most).any())
        low, high = (function(np.clip(end, -most, most - 1).astype(np.int64)) for end in (self.low, self.high))
        result = self._new(_exact(low), _exact(high))
        result.widest = max(result.widest, PRODUCT_BITS + 1 if wide else 0)
        return result

    def look_in(self, table: Int, *before: "Interval") -> "Interval":
        """Smallest and largest entry of the part of a table that the indices reach."""
        every = np.broadcast_arrays(*(end for index in (*before, self) for end in (index.low, index.high)))
        low, high = np.empty(every[0].shape, object), np.empty(every[0].shape, object)
        for at in np.ndindex(low.shape):
            ends = [int(end[at]) for end in every]
            for first, last, size in zip(ends[::2], ends[1::2], table.shape, strict=True):
                if not 0 <= first <= last < size:
                    raise IndexError(f"indices from {first} to {last} in a table of {size}")
            part = table[tuple(slice(first, last + 1) for first, last in zip(ends[::2], ends[1::2], strict=True))]
            low[at], high[at] = int(part.min()), int(part.max())
        return self._new(low, high)

    def astype(self, _: Any) -> "Interval":
        """The same: there is one type."""
        return self

    def __getitem__(self, key: Any) -> "Interval":
        return self._new(_exact(self.low[key]), _exact(self.high[key]))

    def __len__(self) -> int:
        return len(self.low)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> "Interval":
        if method != "__call__" or options or ufunc not in _UFUNCS:
            return NotImplemented
        if ufunc is np.multiply and inputs[0] is inputs[1]:
            size = np.maximum(np.abs(self.low), np.abs(self.high))
            inside = np.where((self.low <= 0) & (self.high >= 0), 0, np.minimum(np.abs(self.low), np.abs(self.high)))
            return self._new(_exact(inside**2), _exact(size**2))
        return _joined(inputs, *_UFUNCS[ufunc](*(_ends(value) for value in inputs)))

    def __array_function__(self, function: Any, _: Any, inputs: Sequence[Any], options: Any) -> "Interval":
        if options or function not in _FUNCTIONS:
            return NotImplemented
        values = inputs[0] if function is np.stack else inputs
        return _joined(values, *_FUNCTIONS[function](*(_ends(value) for value in values)))

    def _new(self, low: Ends, high: Ends) -> "Interval":
        return Interval(low, high, self.registers, self.widest)


def _joined(inputs: Sequence[Any], low: Any, high: Any) -> Interval:
    """A result of these inputs."""
    intervals = [value for value in inputs if isinstance(value, Interval)]
    widest = max(value.widest for value in intervals)
    return Interval(_exact(low), _exact(high), intervals[0].registers, widest)


def _exact(values: Any) -> Ends:
    """Python integers, in an array."""
    array = np.asarray(values)
    return array if array.dtype == object else array.astype(object)


def _bits(low: int, high: int) -> int:
    return max(int(high).bit_length(), (-int(low) - 1).bit_length() if low < 0 else 0) + 1


_Pair: TypeAlias = tuple[Ends, Ends]


def _ends(value: Any) -> _Pair:
    if isinstance(value, Interval):
        return value.low, value.high
    exact = np.atleast_1d(_exact(value))
    return exact, exact


def _corners(operation: Callable[[Ends, Ends], Ends]) -> Callable[[_Pair, _Pair], _Pair]:
    """An operation that is monotone in each argument while the other stays."""

    def on(a: _Pair, b: _Pair) -> _Pair:
        found = [operation(x, y) for x, y in product(a, b)]
        low, high = found[0], found[0]
        for value in found[1:]:
            low, high = np.minimum(low, value), np.maximum(high, value)
        return low, high

    return on


def _quotient(a: _Pair, b: _Pair) -> _Pair:
    if (b[0] <= 0).any():
        raise ZeroDivisionError("an interval is divided by one that reaches zero")
    return _corners(np.floor_divide)(a, b)


def _absolute(a: _Pair) -> _Pair:
    low, high = np.abs(a[0]), np.abs(a[1])
    return np.where((a[0] <= 0) & (a[1] >= 0), 0, np.minimum(low, high)), np.maximum(low, high)


def _truth(no: Any, yes: Any) -> _Pair:
    """Whether something is sure, and whether it can be: 0 or 1."""
    return _exact(np.asarray(no, bool).astype(np.int64)), _exact(np.asarray(yes, bool).astype(np.int64))


def _equal(a: _Pair, b: _Pair) -> _Pair:
    sure = (a[0] == a[1]) & (b[0] == b[1]) & (a[0] == b[0])
    return _truth(sure, (a[0] <= b[1]) & (b[0] <= a[1]))


def _invert(a: _Pair) -> _Pair:
    if not _are_truth(a):
        raise TypeError("only comparisons can be inverted")
    return 1 - a[1], 1 - a[0]


def _and(a: _Pair, b: _Pair) -> _Pair:
    """Of two comparisons; or the low bits of a number, ``b`` being one less than a power of two."""
    if _are_truth(a) and _are_truth(b):
        return np.minimum(a[0], b[0]), np.minimum(a[1], b[1])
    if (b[0] < 0).any() or (np.bitwise_and(b[1], b[1] + 1) != 0).any():
        raise TypeError("a mask of low bits is needed")
    same = (b[0] == b[1]) & (np.floor_divide(a[0], b[1] + 1) == np.floor_divide(a[1], b[1] + 1))
    return np.where(same, np.bitwise_and(a[0], b[1]), 0), np.where(same, np.bitwise_and(a[1], b[1]), b[1])


def _are_truth(a: _Pair) -> bool:
    return bool((a[0] >= 0).all() and (a[1] <= 1).all())


def _where(condition: _Pair, a: _Pair, b: _Pair) -> _Pair:
    sure, possible = condition[0] == 1, condition[1] == 1
    low = np.where(sure, a[0], np.where(possible, np.minimum(a[0], b[0]), b[0]))
    return low, np.where(sure, a[1], np.where(possible, np.maximum(a[1], b[1]), b[1]))


def _clip(a: _Pair, low: _Pair, high: _Pair) -> _Pair:
    return np.minimum(np.maximum(a[0], low[0]), high[0]), np.minimum(np.maximum(a[1], low[1]), high[1])


def _stack(*parts: _Pair) -> _Pair:
    return np.stack([part[0] for part in parts]), np.stack([part[1] for part in parts])


_UFUNCS: dict[Any, Callable[..., _Pair]] = {
    np.add: lambda a, b: (a[0] + b[0], a[1] + b[1]),
    np.subtract: lambda a, b: (a[0] - b[1], a[1] - b[0]),
    np.multiply: _corners(np.multiply),
    np.negative: lambda a: (-a[1], -a[0]),
    np.left_shift: _corners(np.left_shift),
    np.right_shift: _corners(np.right_shift),
    np.floor_divide: _quotient,
    np.maximum: lambda a, b: (np.maximum(a[0], b[0]), np.maximum(a[1], b[1])),
    np.minimum: lambda a, b: (np.minimum(a[0], b[0]), np.minimum(a[1], b[1])),
    np.absolute: _absolute,
    np.less: lambda a, b: _truth(a[1] < b[0], a[0] < b[1]),
    np.less_equal: lambda a, b: _truth(a[1] <= b[0], a[0] <= b[1]),
    np.greater: lambda a, b: _truth(a[0] > b[1], a[1] > b[0]),
    np.greater_equal: lambda a, b: _truth(a[0] >= b[1], a[1] >= b[0]),
    np.equal: _equal,
    np.not_equal: lambda a, b: _invert(_equal(a, b)),
    np.bitwise_and: _and,
    np.bitwise_or: lambda a, b: (np.maximum(a[0], b[0]), np.maximum(a[1], b[1])),
    np.invert: _invert,
}
_FUNCTIONS: dict[Any, Callable[..., _Pair]] = {
    np.where: _where,
    np.clip: _clip,
    np.stack: _stack,
    np.zeros_like: lambda a: (0 * a[0], 0 * a[1]),
}
