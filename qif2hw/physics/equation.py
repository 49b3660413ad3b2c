r"""Differential equations for networks: hard constraints and residuals.

The solution is ``u = base(c) + factor(c) N(x)``: ``base`` satisfies the initial and boundary conditions, ``factor`` is
zero where they hold, and ``N`` are a network's results at the coordinates ``c``, scaled to inputs ``x`` in [0, 1].
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, overload

import numpy as np
import torch
from torch import Tensor

from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.host_part.expression import Expression, formula, given, side_by_side
from qif2hw.ir.host_part.host import Host, Input, Output, X, Y

Value = TypeVar("Value", Tensor, Expression)
"""Numbers (samples, columns), or their formula."""


class Field(Protocol):
    """From coordinates (samples, coordinates) to values (samples, quantities), or from their formula to one."""

    @overload
    def __call__(self, c: Tensor, /) -> Tensor: ...
    @overload
    def __call__(self, c: Expression, /) -> Expression: ...


@dataclass(frozen=True)
class Physics:
    """A differential equation with hard constraints.

    Parameters
    ----------
    domain
        Range of every coordinate.
    pairs
        Second derivatives that the equations need: pairs of coordinates.
    base, factor
        Of the solution.
    equations
        ``equations(c, u, gradient, second)``: residuals (samples, equations) of coordinates (samples, coordinates),
        solution (samples, quantities), its first derivatives (samples, quantities, coordinates) and second ones
        (samples, quantities, pairs).
    """

    domain: tuple[tuple[float, float], ...]
    pairs: tuple[tuple[int, int], ...]
    base: Field
    factor: Field
    equations: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

    @property
    def directions(self) -> Tensor:
        """Rows (coordinates, inputs): how the inputs in [0, 1] change with each coordinate."""
        low, high = torch.tensor(self.domain, dtype=torch.float64).T
        return torch.diag(1 / (high - low))

    def coordinates(self, x: Tensor) -> Tensor:
        """Coordinates of inputs ``x`` (samples, inputs) in [0, 1], of that shape."""
        low, high = torch.tensor(self.domain, dtype=torch.float64).T
        return low + x * (high - low)

    def inputs(self, c: FloatArray) -> FloatArray:
        """Inputs in [0, 1] of coordinates ``c`` (samples, inputs), of that shape."""
        low, high = np.array(self.domain).T
        return np.clip((c - low) / (high - low), 0.0, 1.0)

    def points(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Inputs (count, inputs) drawn evenly from the domain."""
        return rng.random((count, len(self.domain)))

    def value(self, x: Tensor, results: Tensor) -> Tensor:
        """The solution at inputs ``x`` (samples, inputs) from a network's ``results`` (samples, quantities)."""
        c = self.coordinates(x)
        return self.base(c) + self.factor(c) * results

    def solution(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """`value` of arrays ``x`` (samples, inputs) and ``y`` (samples, quantities), for `qif2hw.train.task.Task`."""
        values: FloatArray = self.value(torch.from_numpy(x), torch.from_numpy(y)).numpy()
        return values

    def host(self, coordinates: Sequence[tuple[str, str]], quantities: Sequence[str], results: int) -> Host:
        """The host's part: coordinates, (name, unit) each, and the solution's first columns.

        ``results`` is the number of a network's results.
        """
        c = given(X, len(self.domain))
        value = self.base(c) + self.factor(c) * given(Y, results)
        solution = value if len(quantities) == results else value[:, : len(quantities)]
        return Host(
            tuple(Input(name, *ends, unit) for (name, unit), ends in zip(coordinates, self.domain, strict=True)),
            tuple(map(Output, quantities)),
            formula(solution),
        )

    def residual(self, value: Tensor, gradient: Tensor, second: Tensor, x: Tensor) -> Tensor:
        """Residuals (samples, equations) at inputs ``x`` (samples, inputs).

        ``value`` (samples, quantities) are a network's results, ``gradient`` (samples, quantities, inputs) and
        ``second`` (samples, quantities, pairs) their derivatives by the coordinates.
        """
        c = self.coordinates(x)
        base, base_first, base_second = derivatives(self.base, c, self.pairs)
        factor, factor_first, factor_second = derivatives(self.factor, c, self.pairs)
        first = base_first + factor_first * value[..., None] + factor[..., None] * gradient
        seconds = []
        for p, (i, j) in enumerate(self.pairs):
            mixed = factor_first[..., i] * gradient[..., j] + factor_first[..., j] * gradient[..., i]
            seconds.append(base_second[..., p] + factor_second[..., p] * value + mixed + factor * second[..., p])
        return self.equations(c, base + factor * value, first, side(seconds, value))


def joined(parts: Sequence[Value]) -> Value:
    """Columns of several values side by side, (samples, columns)."""
    first = parts[0]
    return side_by_side(parts) if isinstance(first, Expression) else torch.cat(list(parts), dim=1)


def derivatives(field: Field, c: Tensor, pairs: tuple[tuple[int, int], ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Values of a field at coordinates ``c``, its gradient and second derivatives, with the shapes of `Physics`."""
    c = c.detach().requires_grad_()
    first, second = [], []
    with torch.enable_grad():
        value = field(c) + 0 * c[:, :1]
        for column in value.T:
            (gradient,) = torch.autograd.grad(column.sum(), c, create_graph=True, materialize_grads=True)
            rows = [
                torch.autograd.grad(part.sum(), c, retain_graph=True, materialize_grads=True)[0]
                if part.requires_grad
                else torch.zeros_like(c)
                for part in gradient.T
            ]
            first.append(gradient.detach())
            second.append(side([rows[i][:, j] for i, j in pairs], column))
    return value.detach(), torch.stack(first, dim=1), torch.stack(second, dim=1)


def side(parts: Sequence[Tensor], like: Tensor) -> Tensor:
    """Parts of the shape of ``like`` along a new last dimension, which is empty if there are none."""
    return torch.stack(list(parts), dim=-1) if parts else like.new_zeros((*like.shape, 0))
