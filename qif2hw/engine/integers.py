"""What the specification does with its integers, apart from arithmetic: the hooks through which they can be examined.

The specification (`qif2hw.engine.spec`, `qif2hw.engine.curve`, `qif2hw.engine.plane`) runs on int64 arrays.  It also
runs on any other kind of integers that has numpy's operators and functions and the methods of `Examined`; the compiler
runs it on intervals, to prove that no register overflows.  On arrays the functions here do next to nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

Int = NDArray[np.int64]

PRODUCT_BITS = 64
"""Signed width of products and sums before a shift."""
MEASURED_BITS = 54
"""Signed width of numbers whose highest bit is looked for."""

T = TypeVar("T")


class Examined(ABC):
    """Integers of another kind than arrays."""

    @abstractmethod
    def keep(self, name: str, bits: int) -> Any:
        """Note that a register or product of this name, ``bits`` wide, holds these values; return them."""

    @abstractmethod
    def within(self, low: int, high: int) -> Any:
        """These values, of which it is known that they lie between the bounds."""

    @abstractmethod
    def shifted_within(self, bits: Any, most: int) -> Any:
        """These values times ``2^bits``, of which it is known that none is beyond ``most`` either way."""

    @abstractmethod
    def product_within(self, other: Any, most: int) -> Any:
        """The product with other values, of which it is known that none is beyond ``most`` either way."""

    @abstractmethod
    def at_ends(self, function: Callable[[Int], Int], name: str, first: object) -> Any:
        """Values of a function of int64 arrays that never falls: of its name, and its first argument."""

    @abstractmethod
    def look_in(self, table: Int, *before: Any) -> Any:
        """Entries of a table at the indices ``before`` and these, the last."""


def keep(name: str, value: Int, bits: int = PRODUCT_BITS) -> Int:
    """``value``, which a register or product of this name holds; it is ``bits`` wide, sign included."""
    return cast(Int, value.keep(name, bits)) if isinstance(value, Examined) else value


def within(value: Int, low: int, high: int) -> Int:
    """``value``, which lies between the bounds: a fact that intervals, which forget how numbers belong together, need.

    It is not checked here; a test does for all that the specification states.
    """
    return cast(Int, value.within(low, high)) if isinstance(value, Examined) else value


def shifted_within(value: Int, bits: Int, most: int) -> Int:
    """``value << bits``, of which it is known, as of `within`, that it is not beyond ``most`` either way."""
    return cast(Int, value.shifted_within(bits, most)) if isinstance(value, Examined) else value << bits


def product_within(value: Int, other: Int, most: Callable[[], int]) -> Int:
    """``value * other``, of which it is known, as of `within`, that it is not beyond ``most()`` either way."""
    return cast(Int, value.product_within(other, most())) if isinstance(value, Examined) else value * other


def entry(table: Int, *index: Int) -> Int:
    """``table[index]``; every index must be inside."""
    last = index[-1]
    return cast(Int, last.look_in(table, *index[:-1])) if isinstance(last, Examined) else table[index]


def growing(function: Callable[[T, Int], Int]) -> Callable[[T, Int], Int]:
    """Mark a function that never falls in its second argument: its values at both ends bound those between."""

    def marked(first: T, value: Int) -> Int:
        if isinstance(value, Examined):
            return cast(Int, value.at_ends(lambda x: function(first, x), function.__name__.strip("_"), first))
        return function(first, value)

    marked.__doc__, marked.__name__ = function.__doc__, function.__name__
    return marked


def rounded_shift(value: Int, bits: int) -> Int:
    """``floor(value / 2^bits + 1/2)``, element by element."""
    return (value + ((1 << bits) >> 1)) >> bits


def bit_length(value: Int) -> Int:
    """Position of the highest set bit of each ``value`` in [0, 2^53), plus one; 0 for 0."""
    return _bit_length(None, value)


@growing
def _bit_length(_: None, value: Int) -> Int:
    return np.frexp(value.astype(np.float64))[1].astype(np.int64)
