"""Losses on a differential equation's residual: by exact derivatives at points, or by differences over finite steps."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from qif2hw.nn.functional.jets import jets
from qif2hw.nn.network import QIFNetwork
from qif2hw.physics.equation import Physics, side
from qif2hw.physics.points import mirrored, points_of_steps, preferred
from qif2hw.train.residuals import Draw, Residuals
from qif2hw.train.task import Objective

Range: TypeAlias = tuple[float, float]

FIRST, SECOND = (0.003, 0.02), (0.03, 0.08)
"""Ranges of the finite step, as parts of the domain: along coordinates with first derivatives alone, with second ones.

A kink counts in a first difference as it is, in a second one divided by the step; and the closer a difference comes to
the start of a coordinate, the better the solution hangs on its condition there.
"""
SHORT = (0.001, 0.002)
"""The same for networks whose outputs are pseudospikes: smooth ones, whose short differences are derivatives."""
ENDS = 0.1
"""Share of the points, for each coordinate, whose stencil begins or ends at the domain's end."""


def collocation(
    physics: Physics, model: QIFNetwork, seed: int, batch: int, extra: Callable[[Tensor], Tensor] | None = None
) -> Objective:
    """Mean square residual, by exact derivatives; half of the points are drawn where the residual is large.

    ``extra`` is a further loss on the inputs (batch, inputs) of a step.
    """

    def residual(x: Tensor) -> Tensor:
        jet = jets(model, x, directions=physics.directions, second=physics.pairs)
        return physics.residual(jet.value, jet.gradient, jet.second, x)

    points = points_of_steps(physics, residual, seed, batch)

    def loss(step: int) -> Tensor:
        x = points(step)
        total = residual(x).square().sum(dim=1).mean()
        return total if extra is None else total + extra(x)

    return loss


def differences(physics: Physics, model: QIFNetwork, seed: int, batch: int) -> Objective:
    r"""Mean square residual with differences over a finite step ``h`` in place of derivatives.

    .. math::
        u_x \approx \frac{8 (u_1 - u_{-1}) - (u_2 - u_{-2})}{12 h}, \quad
        u_{xx} \approx \frac{16 (u_1 + u_{-1}) - (u_2 + u_{-2}) - 30 u_0}{12 h^2}

    with :math:`u_k = u(x + k h)`, exact for polynomials of fourth degree; a mixed derivative is the difference along
    one coordinate of differences :math:`(u_1 - u_{-1}) / 2h` along the other.  Differences see the kinks of a spiking
    network, which no derivative at a point does.  ``h`` is drawn for every point and coordinate, from `FIRST` or
    `SECOND`.
    """
    stencil = _Stencil(physics)

    def loss(step: int) -> Tensor:
        x, h = stencil.points(np.random.default_rng([seed, step]), batch)
        everywhere = stencil.everywhere(x, h)
        run = model.run(everywhere)
        residual = stencil.residual(x, h, physics.value(everywhere, run.y).split(batch))
        return residual.square().sum(dim=1).mean() + model.deadline_penalty(run.first)

    return loss


def difference_residuals(
    physics: Physics, model: QIFNetwork, seed: int, *, first: Range = FIRST, second: Range = SECOND,
    prefer: bool = False, odd: int | None = None,
) -> Draw:  # fmt: skip
    """Residuals of `differences`, for second-order steps.

    Parameters
    ----------
    physics, model, seed
        The equation, the network, and the seed of the points.
    first, second
        Ranges of the finite step, see `FIRST` and `SECOND`.
    prefer
        Whether half of the points are drawn where the residual is large.
    odd
        A coordinate, from ``-b`` to ``b``, in which the results are odd: ``(N(x) - N(-x)) / 2`` are then put into the
        equation, and nothing holds the rest: whoever uses the network takes its odd part.
    """
    stencil = _Stencil(physics, first, second)
    terms = len(stencil.places)

    def residuals(x: Tensor, h: Tensor) -> Residuals:
        everywhere = stencil.everywhere(x, h)
        inputs = everywhere if odd is None else torch.cat([everywhere, mirrored(everywhere, odd)])
        groups = len(x)

        def form(results: Tensor) -> Tensor:
            if odd is not None:
                results = (results[:, :terms] - results[:, terms:]) / 2
            values = physics.value(everywhere, results.transpose(0, 1).flatten(0, 1))
            return stencil.residual(x, h, values.split(groups))

        takes = np.arange(len(inputs)).reshape(-1, groups).T
        return Residuals((inputs,), (takes,), form)

    def draw(step: int, groups: int) -> tuple[Residuals, Residuals]:
        # A residual of the odd part takes twice as many results.
        groups = groups if odd is None else max(1, groups // 2)
        rng = np.random.default_rng([seed, step, 2])
        x, h = stencil.points(rng, 2 * groups)
        if prefer:
            chosen = preferred(np.linalg.norm(residuals(x, h).values(model), axis=1), groups, rng)
            more = stencil.points(rng, 2 * groups - groups)
            x, h = (torch.cat([of[chosen], even]) for of, even in zip((x, h), more, strict=True))
        return residuals(x[::2], h[::2]), residuals(x[1::2], h[1::2])

    return draw


class _Stencil:
    """Points around one, in steps along each coordinate, and what differences between them make of the equation."""

    def __init__(self, physics: Physics, first: Range = FIRST, second: Range = SECOND) -> None:
        self.physics, self.range = physics, range(len(physics.domain))
        ranges = [second if any(i in pair for pair in physics.pairs) else first for i in self.range]
        self.low, self.high = np.array(ranges).T
        self.centre = self._at({})
        mixed = [(i, j) for i, j in physics.pairs if i != j]
        self.places = [
            self.centre,
            *(self._at({i: k}) for i in self.range for k in (-2, -1, 1, 2)),
            *dict.fromkeys(self._at({i: a, j: b}) for i, j in mixed for a in (-1, 1) for b in (-1, 1)),
        ]

    def _at(self, steps: Mapping[int, int]) -> tuple[int, ...]:
        return tuple(steps.get(i, 0) for i in self.range)

    def points(self, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
        """Inputs and steps, both (count, inputs), of stencils inside the domain."""
        h = self.low + (self.high - self.low) * rng.random((count, len(self.low)))
        inside, end = self.physics.points(count, rng), rng.random((count, len(self.low)))
        inside = np.where(end < ENDS, np.round(inside), inside)
        return torch.from_numpy(2 * h + (1 - 4 * h) * inside), torch.from_numpy(h)

    def everywhere(self, x: Tensor, h: Tensor) -> Tensor:
        """Inputs (places * samples, inputs) at all `places` around ``x``, one place after the other."""
        return torch.cat([(x + h * torch.tensor(place, dtype=x.dtype)).clamp(0.0, 1.0) for place in self.places])

    def residual(self, x: Tensor, h: Tensor, values: Sequence[Tensor]) -> Tensor:
        """Residuals (samples, equations) at ``x`` with steps ``h``, both (samples, coordinates).

        ``values`` (samples, quantities) are the solution's at all `places`.
        """
        at = dict(zip(self.places, values, strict=True))
        step = [(high - low) * h[:, i, None] for i, (low, high) in enumerate(self.physics.domain)]

        def u(steps: Mapping[int, int]) -> Tensor:
            return at[self._at(steps)]

        def second(i: int, j: int) -> Tensor:
            if i == j:
                across = 16 * (u({i: 1}) + u({i: -1})) - (u({i: 2}) + u({i: -2})) - 30 * u({})
                return across / (12 * step[i].square())
            corners = u({i: 1, j: 1}) - u({i: 1, j: -1}) - u({i: -1, j: 1}) + u({i: -1, j: -1})
            return corners / (4 * step[i] * step[j])

        first = [(8 * (u({i: 1}) - u({i: -1})) - (u({i: 2}) - u({i: -2}))) / (12 * step[i]) for i in self.range]
        seconds = side([second(i, j) for i, j in self.physics.pairs], u({}))
        return self.physics.equations(self.physics.coordinates(x), u({}), side(first, u({})), seconds)
