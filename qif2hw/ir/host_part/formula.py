"""Formulas as data: a list of steps, each one operator of ONNX from a closed list.

What a host computes around a network is written to files as such steps and evaluated from them, so that no file holds
code, and whoever reads it needs nothing but the list.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from qif2hw.errors import InputError
from qif2hw.ir.arrays import ByValue, FloatArray, finite

UNARY: dict[str, Callable[[FloatArray], FloatArray]] = {
    "Abs": np.abs,
    "Exp": np.exp,
    "Log": np.log,
    "Neg": np.negative,
    "Sin": np.sin,
    "Sqrt": np.sqrt,
    "Tanh": np.tanh,
}
"""Operators of one value, element by element."""

BINARY: dict[str, Callable[[Any, Any], FloatArray]] = {
    "Add": np.add,
    "Div": np.divide,
    "Max": np.maximum,
    "Min": np.minimum,
    "Mul": np.multiply,
    "Sub": np.subtract,
}
"""Operators of two values, element by element; a value of one column, or a constant, is that for all columns."""

ROWS = ("Concat", "Gather", "ReduceSum")
"""Operators on the columns of a row: side by side, a choice of columns, their sum (one column)."""

OPERATORS = tuple(sorted((*UNARY, *BINARY, *ROWS)))
"""The closed list: what ONNX Runtime, too, computes in float64."""


@dataclass(frozen=True)
class Step:
    """``output = op(inputs)``.

    Parameters
    ----------
    op
        One of `OPERATORS`.
    inputs
        Names of values and constants.
    output
        Name of what it makes.
    columns
        Of ``Gather``: which columns, from 0 on.
    """

    op: str
    inputs: tuple[str, ...]
    output: str
    columns: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Constant(ByValue):
    """A number, or one for each column: ``values`` has shape () or (columns,)."""

    name: str
    values: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", finite(self.values, f"constant '{self.name}'"))
        if self.values.ndim > 1 or not self.values.size:
            raise InputError(f"constant '{self.name}' has shape {self.values.shape}: () or (columns,) is needed")


@dataclass(frozen=True, eq=False)
class Formula(ByValue):
    """Steps in order, from given values to one result; every value has shape (samples, columns).

    Parameters
    ----------
    constants
        Numbers that the steps use.
    steps
        In order: each uses constants, given values, and what steps before it made.  The last one makes the result.

    Raises
    ------
    InputError
        If there is no step, on an operator that is not in `OPERATORS`, by name, and on a name that is used twice.
    """

    constants: tuple[Constant, ...]
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        if not self.steps:
            raise InputError("a formula without a step")
        for step in self.steps:
            if step.op not in OPERATORS:
                raise InputError(
                    f"operator {step.op}: the host computes none but these of ONNX: {', '.join(OPERATORS)}"
                )
        names = [*(c.name for c in self.constants), *(s.output for s in self.steps)]
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"the name '{name}' is used twice in a formula")

    def columns(self, given: Mapping[str, int]) -> int:
        """Columns of the result, from those of the ``given`` values.

        Raises
        ------
        InputError
            If a step uses what there is not, or values that do not fit each other.
        """
        widths = dict(given)
        constants = {c.name: c.values for c in self.constants}
        for name in constants:
            if name in given:
                raise InputError(f"the name '{name}' is used twice in a formula")
        for step in self.steps:
            if step.output in given:
                raise InputError(f"the name '{step.output}' is used twice in a formula")
            widths[step.output] = _width(step, widths, constants)
        return widths[self.steps[-1].output]

    def evaluate(self, given: Mapping[str, FloatArray]) -> FloatArray:
        """The result (samples, columns) of ``given`` values, each (samples, columns); `columns` says which fit."""
        values: dict[str, FloatArray] = {c.name: c.values for c in self.constants} | dict(given)
        with np.errstate(all="ignore"):
            for step in self.steps:
                values[step.output] = _apply(step, [values[name] for name in step.inputs])
        return values[self.steps[-1].output]


def _apply(step: Step, inputs: list[FloatArray]) -> FloatArray:
    if step.op in UNARY:
        return UNARY[step.op](inputs[0])
    if step.op in BINARY:
        return BINARY[step.op](inputs[0], inputs[1])
    if step.op == "Gather":
        return np.ascontiguousarray(inputs[0][:, list(step.columns)])
    if step.op == "Concat":
        return np.concatenate(inputs, axis=1)
    # Column after column: numpy's own sum has other bits where there is one row alone.
    return reduce(np.add, [inputs[0][:, k : k + 1] for k in range(inputs[0].shape[1])])


def _width(step: Step, widths: Mapping[str, int], constants: Mapping[str, FloatArray]) -> int:
    where = f"{step.op} '{step.output}' of a formula"
    for name in step.inputs:
        if name not in widths and name not in constants:
            raise InputError(f"{where}: there is no value '{name}' before it")
    values = [widths[name] for name in step.inputs if name in widths]
    most = 2 if step.op in BINARY else 1
    if not step.inputs or (step.op != "Concat" and len(step.inputs) != most):
        raise InputError(f"{where}: it has {len(step.inputs)} inputs, {most} {'are' if most > 1 else 'is'} needed")
    if not values or (step.op not in BINARY and len(values) < len(step.inputs)):
        raise InputError(f"{where}: a constant stands where a value is needed")
    if bool(step.columns) != (step.op == "Gather"):
        raise InputError(f"{where}: {'columns are missing' if step.op == 'Gather' else 'it takes no columns'}")
    if step.op in BINARY:
        sizes = values + [int(constants[n].size) for n in step.inputs if n not in widths and constants[n].ndim]
        found = {size for size in sizes if size > 1}
        if len(found) > 1:
            raise InputError(f"{where}: values of {' and '.join(map(str, sizes))} columns do not fit each other")
        return found.pop() if found else 1
    if step.op == "Gather":
        if min(step.columns) < 0 or max(step.columns) >= values[0]:
            raise InputError(f"{where}: columns {list(step.columns)} of {values[0]}")
        return len(step.columns)
    if step.op == "Concat":
        return sum(values)
    return 1 if step.op == "ReduceSum" else values[0]
