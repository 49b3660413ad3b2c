"""What may stand around QIF networks in a torch module: its functions as `Expression` s, and scalings of its inputs."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.host_part.expression import Expression, side_by_side, total
from qif2hw.ir.host_part.formula import Formula
from qif2hw.ir.host_part.host import X, Y


@dataclass(frozen=True)
class Scaled:
    """Columns ``slope * x[columns] + start`` of the module's inputs, each array (columns,)."""

    columns: tuple[int, ...]
    slope: FloatArray
    start: FloatArray


def scaled_inputs(value: Expression) -> Scaled | None:
    """What ``value`` (samples, columns) is of the module's inputs, if each column is one of them, scaled; else None."""
    if value.op == X and not value.inputs:
        return Scaled(tuple(range(value.width)), np.ones(value.width), np.zeros(value.width))
    if value.op == "Concat":
        parts = [scaled_inputs(part) for part in value.inputs if isinstance(part, Expression)]
        if any(part is None for part in parts):
            return None
        whole = [part for part in parts if part is not None]
        return Scaled(
            tuple(c for part in whole for c in part.columns),
            np.concatenate([part.slope for part in whole]),
            np.concatenate([part.start for part in whole]),
        )
    of = [scaled_inputs(part) if isinstance(part, Expression) else part for part in value.inputs]
    if any(part is None for part in of):
        return None
    if value.op == "Gather":
        (part,) = of
        assert isinstance(part, Scaled)
        chosen = list(value.columns)
        return Scaled(tuple(part.columns[c] for c in chosen), part.slope[chosen], part.start[chosen])
    if value.op == "Neg":
        (part,) = of
        assert isinstance(part, Scaled)
        return Scaled(part.columns, -part.slope, -part.start)
    if value.op not in ("Add", "Sub", "Mul", "Div") or sum(isinstance(part, Scaled) for part in of) != 1:
        return None
    return _with_constant(value, of[0], of[1])


def _with_constant(value: Expression, left: Any, right: Any) -> Scaled | None:
    part: Scaled = left if isinstance(left, Scaled) else right
    constant = right if part is left else left
    if len(part.columns) != value.width or (value.op == "Div" and part is right):
        return None
    factor, shift = np.ones(value.width), np.zeros(value.width)
    if value.op == "Mul":
        factor = factor * constant
    elif value.op == "Div":
        factor = factor / constant
    elif value.op == "Add":
        shift = shift + constant
    else:
        factor, shift = (factor, shift - constant) if part is left else (-factor, shift + constant)
    return Scaled(part.columns, factor * part.slope, factor * part.start + shift)


def replayed(solution: Formula, x: Expression, y: Expression) -> Expression:
    """The value of a formula of ``x`` and ``y``, each (samples, columns), as an expression."""
    values: dict[str, Any] = {X: x, Y: y} | {c.name: c.values for c in solution.constants}
    widths = {X: x.width, Y: y.width}
    for k, step in enumerate(solution.steps):
        part = Formula(solution.constants, solution.steps[: k + 1])
        inputs = tuple(values[name] for name in step.inputs)
        values[step.output] = Expression(step.op, inputs, part.columns(widths), step.columns)
    result: Expression = values[solution.steps[-1].output]
    return result


def _power(value: Any, exponent: Any) -> Expression:
    if not isinstance(value, Expression) or exponent != 2:
        raise InputError(f"the power {exponent}: squares are supported")
    return value.square()


def _columns(value: Any, key: Any) -> Expression:
    if not (isinstance(key, tuple) and len(key) == 2 and isinstance(key[1], slice | list)):
        raise InputError("only columns of all samples can be chosen: value[:, first:stop]")
    if isinstance(key[1], list) and key[0] == slice(None) and key[1]:
        chosen = tuple(range(value.width)[k] for k in key[1])
        return Expression("Gather", (value,), len(chosen), chosen)
    return value[key]


def _side_by_side(parts: Any, dim: int = 0) -> Expression:
    if dim not in (1, -1):
        raise InputError(f"cat along dimension {dim}: columns, dimension 1, can be put side by side")
    return side_by_side(list(parts))


def _sum(value: Any, dim: Any = None, keepdim: bool = False) -> Expression:
    if dim not in (1, -1, (1,), [1]) or not keepdim:
        raise InputError("a sum must be that of the columns of each row: sum(dim=1, keepdim=True)")
    return total(value)


def _pairwise(op: str) -> Callable[[Any, Any], Expression]:
    def apply(left: Any, right: Any) -> Expression:
        return left._with(op, right) if isinstance(left, Expression) else right._with(op, left)

    return apply


_METHODS: dict[str, Callable[..., Expression]] = {
    name: operator.methodcaller(name) for name in ("abs", "cos", "exp", "log", "sin", "sqrt", "square", "tanh")
}
FUNCTIONS: dict[Any, Callable[..., Expression]] = {
    operator.add: operator.add,
    operator.sub: operator.sub,
    operator.mul: operator.mul,
    operator.truediv: operator.truediv,
    operator.neg: operator.neg,
    operator.pow: _power,
    operator.getitem: _columns,
    torch.cat: _side_by_side,
    torch.sum: _sum,
    torch.pow: _power,
    torch.maximum: _pairwise("Max"),
    torch.minimum: _pairwise("Min"),
    "Tensor.sum": _sum,
    "Tensor.pow": _power,
    **{getattr(torch, name): getattr(operator, other) for name, other in
       (("add", "add"), ("sub", "sub"), ("mul", "mul"), ("div", "truediv"), ("neg", "neg"))},
    **{f"Tensor.{name}": getattr(operator, other) for name, other in
       (("add", "add"), ("sub", "sub"), ("mul", "mul"), ("div", "truediv"), ("neg", "neg"))},
    **{getattr(torch, name): apply for name, apply in _METHODS.items()},
    **{f"Tensor.{name}": apply for name, apply in _METHODS.items()},
}  # fmt: skip
"""Functions and methods of tensors (samples, columns) that a host computes, too."""


def _linear(layer: nn.Linear, value: Expression) -> Expression:
    weight = layer.weight.detach().double().cpu().numpy()
    if value.width != weight.shape[1]:
        raise InputError(f"its input has {value.width} columns, {weight.shape[1]} are needed")
    rows = [total(value * row) for row in weight]
    made = rows[0] if len(rows) == 1 else side_by_side(rows)
    return made if layer.bias is None else made + layer.bias.detach().double().cpu().numpy()


def _dropout(layer: nn.Dropout, value: Expression) -> Expression:
    if layer.training:
        raise InputError("dropout in training mode: call eval() before it is exported")
    return value


LAYERS: dict[type[nn.Module], Callable[[Any, Expression], Expression]] = {
    nn.Linear: _linear,
    nn.Tanh: lambda layer, value: value.tanh(),
    nn.Identity: lambda layer, value: value,
    nn.Dropout: _dropout,
}
"""Layers without neurons that a host computes, too."""


def constant(values: Any) -> FloatArray | float:
    """A parameter or buffer, () or (columns,), as a constant of a formula; `InputError` on other shapes."""
    array = values.detach().double().cpu().numpy()
    if array.ndim == 2 and array.shape[0] == 1:
        array = array[0]
    if array.ndim > 1:
        raise InputError(f"a constant of shape {array.shape}: () or (columns,) is needed")
    return float(array) if array.ndim == 0 else array
