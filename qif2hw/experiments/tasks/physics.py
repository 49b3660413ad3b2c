r"""Differential equations for networks: hard constraints, residuals, and losses on them.

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
from qif2hw.nn.functional.jets import jets
from qif2hw.nn.network import QIFNetwork
from qif2hw.train.loop import SAVE_EVERY
from qif2hw.train.task import Model, Objective, Task

Value = TypeVar("Value", Tensor, Expression)
"""Numbers (samples, columns), or their formula."""


class Field(Protocol):
    """From coordinates (samples, coordinates) to values (samples, quantities), or from their formula to one."""

    @overload
    def __call__(self, c: Tensor, /) -> Tensor: ...
    @overload
    def __call__(self, c: Expression, /) -> Expression: ...


CANDIDATES = 4000
"""Points among which those with a large residual are preferred."""


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
        base, base_first, base_second = _derivatives(self.base, c, self.pairs)
        factor, factor_first, factor_second = _derivatives(self.factor, c, self.pairs)
        first = base_first + factor_first * value[..., None] + factor[..., None] * gradient
        seconds = []
        for p, (i, j) in enumerate(self.pairs):
            mixed = factor_first[..., i] * gradient[..., j] + factor_first[..., j] * gradient[..., i]
            seconds.append(base_second[..., p] + factor_second[..., p] * value + mixed + factor * second[..., p])
        return self.equations(c, base + factor * value, first, torch.stack(seconds, dim=-1))


def joined(parts: Sequence[Value]) -> Value:
    """Columns of several values side by side, (samples, columns)."""
    first = parts[0]
    return side_by_side(parts) if isinstance(first, Expression) else torch.cat(list(parts), dim=1)


def _derivatives(field: Field, c: Tensor, pairs: tuple[tuple[int, int], ...]) -> tuple[Tensor, Tensor, Tensor]:
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
            second.append(torch.stack([rows[i][:, j] for i, j in pairs], dim=-1))
    return value.detach(), torch.stack(first, dim=1), torch.stack(second, dim=1)


def collocation(
    physics: Physics, model: QIFNetwork, seed: int, batch: int, extra: Callable[[Tensor], Tensor] | None = None
) -> Objective:
    """Mean square residual, by exact derivatives; half of the points are drawn where the residual is large.

    ``extra`` is a further loss on the inputs (batch, inputs) of a step.
    """

    def residual(x: Tensor) -> Tensor:
        jet = jets(model, x, directions=physics.directions, second=physics.pairs)
        return physics.residual(jet.value, jet.gradient, jet.second, x)

    points = _points(physics, residual, seed, batch)

    def loss(step: int) -> Tensor:
        x = points(step)
        total = residual(x).square().sum(dim=1).mean()
        return total if extra is None else total + extra(x)

    return loss


def _points(physics: Physics, error: Callable[[Tensor], Tensor], seed: int, batch: int) -> Objective:
    """Inputs of a step: half of them even, half where ``error`` is large, as seen every `SAVE_EVERY` steps."""
    pool = torch.zeros(0)

    @torch.no_grad()
    def prefer(rng: np.random.Generator) -> Tensor:
        candidates = torch.from_numpy(physics.points(CANDIDATES, rng))
        size = error(candidates).square().sum(dim=1).sqrt().numpy()
        weight = 1 + size / size.mean()
        chosen = rng.choice(CANDIDATES, CANDIDATES // 2, p=weight / weight.sum())
        return candidates[torch.from_numpy(chosen)]

    def points(step: int) -> Tensor:
        nonlocal pool
        if step % SAVE_EVERY == 0 or len(pool) == 0:
            pool = prefer(np.random.default_rng([seed, step, 1]))
        rng = np.random.default_rng([seed, step])
        even = torch.from_numpy(physics.points(batch - batch // 2, rng))
        return torch.cat([even, pool[torch.from_numpy(rng.integers(0, len(pool), batch // 2))]])

    return points


def distillation(
    physics: Physics, task: Task, model: QIFNetwork, seed: int, teacher: Model | None, reach: float = 0.0
) -> Objective:
    """Mean square distance of the solution from the teacher's, and of its gradient on a quarter of the points.

    Half of the points are drawn where the distance is large.  ``reach`` is the part of the domain over which a wrong
    slope counts as much as a wrong value; 0 leaves slopes out.
    """
    assert isinstance(teacher, QIFNetwork)
    low, high = torch.tensor(physics.domain, dtype=torch.float64).T

    def distance(x: Tensor, results: Tensor) -> Tensor:
        with torch.no_grad():
            target = physics.value(x, teacher(x))
        return physics.value(x, results) - target

    def slope(x: Tensor) -> Tensor:
        mine = jets(model, x, directions=physics.directions, order=1)
        with torch.no_grad():
            target = jets(teacher, x, directions=physics.directions, order=1)
        factor, first, _ = _derivatives(physics.factor, physics.coordinates(x), physics.pairs)
        return first * (mine.value - target.value)[..., None] + factor[..., None] * (mine.gradient - target.gradient)

    points = _points(physics, lambda x: distance(x, model(x)), seed, task.settings.batch or 256)

    def loss(step: int) -> Tensor:
        x = points(step)
        run = model.run(x)
        total = distance(x, run.y).square().sum(dim=1).mean()
        if reach:
            total = total + (reach * (high - low) * slope(x[::4])).square().sum(dim=(1, 2)).mean()
        return total + model.deadline_penalty(run.first)

    return loss
