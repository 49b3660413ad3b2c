"""Losses on a differential equation's residual: by exact derivatives at points, or by differences over finite steps."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from qif2hw.nn.functional.jets import jets
from qif2hw.nn.network import QIFNetwork
from qif2hw.physics.equation import Physics, side
from qif2hw.physics.points import points_of_steps
from qif2hw.train.task import Objective

FIRST, SECOND = (0.003, 0.02), (0.03, 0.08)
"""Ranges of the finite step, as parts of the domain: along coordinates with first derivatives alone, with second ones.

A kink counts in a first difference as it is, in a second one divided by the step; and the closer a difference comes to
the start of a coordinate, the better the solution hangs on its condition there.
"""
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
    low, high = np.array([SECOND if any(i in pair for pair in physics.pairs) else FIRST for i in stencil.range]).T

    def loss(step: int) -> Tensor:
        rng = np.random.default_rng([seed, step])
        h = low + (high - low) * rng.random((batch, len(low)))
        inside, end = physics.points(batch, rng), rng.random((batch, len(low)))
        inside = np.where(end < ENDS, np.round(inside), inside)
        x = 2 * h + (1 - 4 * h) * inside
        everywhere = np.concatenate([np.clip(x + h * np.array(place), 0.0, 1.0) for place in stencil.places])
        run = model.run(torch.from_numpy(everywhere))
        values = physics.value(torch.from_numpy(everywhere), run.y).split(batch)
        found = dict(zip(stencil.places, values, strict=True))
        residual = stencil.residual(torch.from_numpy(x), torch.from_numpy(h), found)
        return residual.square().sum(dim=1).mean() + model.deadline_penalty(run.first)

    return loss


class _Stencil:
    """Points around one, in steps along each coordinate, and what differences between them make of the equation."""

    def __init__(self, physics: Physics) -> None:
        self.physics, self.range = physics, range(len(physics.domain))
        self.centre = self._at({})
        mixed = [(i, j) for i, j in physics.pairs if i != j]
        self.places = [
            self.centre,
            *(self._at({i: k}) for i in self.range for k in (-2, -1, 1, 2)),
            *dict.fromkeys(self._at({i: a, j: b}) for i, j in mixed for a in (-1, 1) for b in (-1, 1)),
        ]

    def _at(self, steps: Mapping[int, int]) -> tuple[int, ...]:
        return tuple(steps.get(i, 0) for i in self.range)

    def residual(self, x: Tensor, h: Tensor, values: Mapping[tuple[int, ...], Tensor]) -> Tensor:
        """Residuals (samples, equations) at ``x`` with steps ``h``, both (samples, coordinates).

        ``values`` (samples, quantities) are the solution's at all `places`.
        """
        step = [(high - low) * h[:, i, None] for i, (low, high) in enumerate(self.physics.domain)]

        def u(steps: Mapping[int, int]) -> Tensor:
            return values[self._at(steps)]

        def second(i: int, j: int) -> Tensor:
            if i == j:
                across = 16 * (u({i: 1}) + u({i: -1})) - (u({i: 2}) + u({i: -2})) - 30 * u({})
                return across / (12 * step[i].square())
            corners = u({i: 1, j: 1}) - u({i: 1, j: -1}) - u({i: -1, j: 1}) + u({i: -1, j: -1})
            return corners / (4 * step[i] * step[j])

        first = [(8 * (u({i: 1}) - u({i: -1})) - (u({i: 2}) - u({i: -2}))) / (12 * step[i]) for i in self.range]
        seconds = side([second(i, j) for i, j in self.physics.pairs], u({}))
        return self.physics.equations(self.physics.coordinates(x), u({}), side(first, u({})), seconds)
