"""Writing a `Formula` as one writes arithmetic: ``t * (x.square() - 1) * y`` of columns of inputs and results.

Methods have the names of torch's: a function of its argument's methods and operators works on both.
"""

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.host_part.formula import Constant, Formula, Step

Number: TypeAlias = float | FloatArray
"""A constant: a number, or one for each column, (columns,)."""


class Expression:
    """A value of a formula, of shape (samples, columns): made by `given` or by operators and methods of others."""

    def __init__(self, op: str, inputs: "tuple[Expression | Number, ...]", width: int, columns: tuple[int, ...] = ()):
        self.op, self.inputs, self.width, self.columns = op, inputs, width, columns

    def _with(self, op: str, other: "Expression | Number", swapped: bool = False) -> "Expression":
        theirs = other.width if isinstance(other, Expression) else int(np.size(other))
        if self.width != theirs and 1 not in (self.width, theirs):
            raise InputError(f"{op} of {self.width} and {theirs} columns: they do not fit each other")
        return Expression(op, (other, self) if swapped else (self, other), max(self.width, theirs))

    def _of(self, op: str) -> "Expression":
        return Expression(op, (self,), self.width)

    def __add__(self, other: "Expression | Number") -> "Expression":
        """Sum, (samples, columns)."""
        return self._with("Add", other)

    def __radd__(self, other: Number) -> "Expression":
        """Sum, (samples, columns)."""
        return self._with("Add", other, swapped=True)

    def __sub__(self, other: "Expression | Number") -> "Expression":
        """Difference, (samples, columns)."""
        return self._with("Sub", other)

    def __rsub__(self, other: Number) -> "Expression":
        """Difference, (samples, columns)."""
        return self._with("Sub", other, swapped=True)

    def __mul__(self, other: "Expression | Number") -> "Expression":
        """Product, (samples, columns)."""
        return self._with("Mul", other)

    def __rmul__(self, other: Number) -> "Expression":
        """Product, (samples, columns)."""
        return self._with("Mul", other, swapped=True)

    def __truediv__(self, other: "Expression | Number") -> "Expression":
        """Quotient, (samples, columns)."""
        return self._with("Div", other)

    def __rtruediv__(self, other: Number) -> "Expression":
        """Quotient, (samples, columns)."""
        return self._with("Div", other, swapped=True)

    # So that ``array * expression`` comes here.
    __array_ufunc__ = None

    def __neg__(self) -> "Expression":
        """Negative, (samples, columns)."""
        return self._of("Neg")

    def __getitem__(self, key: tuple[slice, slice]) -> "Expression":
        """Columns, as ``value[:, 1:3]``: (samples, columns)."""
        rows, columns = key
        if rows != slice(None):
            raise InputError("columns of all samples alone can be chosen: value[:, first:stop]")
        chosen = tuple(range(self.width))[columns]
        if not chosen:
            raise InputError(f"no column is chosen of {self.width}")
        return Expression("Gather", (self,), len(chosen), chosen)

    def square(self) -> "Expression":
        """Square, (samples, columns)."""
        return self * self

    def sin(self) -> "Expression":
        """Sine, (samples, columns)."""
        return self._of("Sin")

    def cos(self) -> "Expression":
        """Cosine, (samples, columns): a sine, since ONNX Runtime has no cosine in float64."""
        return (self + math.pi / 2).sin()

    def exp(self) -> "Expression":
        """Exponential, (samples, columns)."""
        return self._of("Exp")

    def log(self) -> "Expression":
        """Natural logarithm, (samples, columns)."""
        return self._of("Log")

    def sqrt(self) -> "Expression":
        """Square root, (samples, columns)."""
        return self._of("Sqrt")

    def tanh(self) -> "Expression":
        """Hyperbolic tangent, (samples, columns)."""
        return self._of("Tanh")

    def abs(self) -> "Expression":
        """Absolute value, (samples, columns)."""
        return self._of("Abs")


def given(name: str, width: int) -> Expression:
    """A value that the formula is given, (samples, width)."""
    return Expression(name, (), width)


def side_by_side(parts: Sequence[Expression]) -> Expression:
    """The columns of all ``parts``, (samples, columns)."""
    return Expression("Concat", tuple(parts), sum(part.width for part in parts))


def total(value: Expression) -> Expression:
    """Sum of each row, (samples, 1)."""
    return Expression("ReduceSum", (value,), 1)


def formula(result: Expression) -> Formula:
    """The steps that make ``result``; what is used twice is computed once."""
    made: dict[int, str] = {}
    equal: dict[tuple[object, ...], str] = {}
    steps: list[Step] = []
    constants: list[Constant] = []

    def name_of(part: Expression | Number) -> str:
        if not isinstance(part, Expression):
            for constant in constants:
                if np.array_equal(constant.values, part):
                    return constant.name
            constants.append(Constant(f"c{len(constants)}", np.asarray(part, np.float64)))
            return constants[-1].name
        if not part.inputs:
            return part.op
        if id(part) not in made:
            step = (part.op, tuple(name_of(one) for one in part.inputs), part.columns)
            if step not in equal:
                equal[step] = f"v{len(steps)}"
                steps.append(Step(step[0], step[1], equal[step], step[2]))
            made[id(part)] = equal[step]
        return made[id(part)]

    name_of(result)
    return Formula(tuple(constants), tuple(steps))
