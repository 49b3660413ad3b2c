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

STEP = (0.01, 0.04)
"""Range of the finite step, as a part of the domain."""


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


def differences(
    physics: Physics, model: QIFNetwork, seed: int, batch: int, step_range: tuple[float, float] = STEP
) -> Objective:
    r"""Mean square residual with differences over a finite step ``h`` in place of derivatives.

    .. math::
        u_x \approx \frac{8 (u_1 - u_{-1}) - (u_2 - u_{-2})}{12 h}, \quad
        u_{xx} \approx \frac{16 (u_1 + u_{-1}) - (u_2 + u_{-2}) - 30 u_0}{12 h^2}

    with :math:`u_k = u(x + k h)`, exact for polynomials of fourth degree; a mixed derivative is the difference along
    one coordinate of differences :math:`(u_1 - u_{-1}) / 2h` along the other.  Differences see the kinks of a spiking
    network, which no derivative at a point does.  ``h`` is drawn for every point from ``step_range``.
    """
    stencil = _Stencil(physics)

    def loss(step: int) -> Tensor:
        rng = np.random.default_rng([seed, step])
        h = torch.from_numpy(rng.uniform(*step_range, (batch, 1)))
        x = 2 * h + (1 - 4 * h) * torch.from_numpy(physics.points(batch, rng))
        everywhere = torch.cat([x + h * torch.tensor(place, dtype=torch.float64) for place in stencil.places])
        run = model.run(everywhere)
        values = physics.value(everywhere, run.y).split(batch)
        residual = stencil.residual(x, h, dict(zip(stencil.places, values, strict=True)))
        return residual.square().sum(dim=1).mean() + model.deadline_penalty(run.first)

    return loss


class _Stencil:
    """Points around one, in steps along each coordinate, and what differences between them make of the equation."""

    def __init__(self, physics: Physics) -> None:
        self.physics, self.size = physics, len(physics.domain)
        self.centre = self._at({})
        mixed = [(i, j) for i, j in physics.pairs if i != j]
        self.places = [
            self.centre,
            *(self._at({i: k}) for i in range(self.size) for k in (-2, -1, 1, 2)),
            *dict.fromkeys(self._at({i: a, j: b}) for i, j in mixed for a in (-1, 1) for b in (-1, 1)),
        ]

    def _at(self, steps: Mapping[int, int]) -> tuple[int, ...]:
        return tuple(steps.get(i, 0) for i in range(self.size))

    def residual(self, x: Tensor, h: Tensor, values: Mapping[tuple[int, ...], Tensor]) -> Tensor:
        """Residuals (samples, equations) at ``x``, from the solution's values at all `places`."""
        spans = [high - low for low, high in self.physics.domain]

        def u(steps: Mapping[int, int]) -> Tensor:
            return values[self._at(steps)]

        def second(i: int, j: int) -> Tensor:
            if i == j:
                across = 16 * (u({i: 1}) + u({i: -1})) - (u({i: 2}) + u({i: -2})) - 30 * u({})
                return across / (12 * (spans[i] * h).square())
            corners = u({i: 1, j: 1}) - u({i: 1, j: -1}) - u({i: -1, j: 1}) + u({i: -1, j: -1})
            return corners / (4 * spans[i] * spans[j] * h.square())

        first = [
            (8 * (u({i: 1}) - u({i: -1})) - (u({i: 2}) - u({i: -2}))) / (12 * spans[i] * h) for i in range(self.size)
        ]
        seconds = side([second(i, j) for i, j in self.physics.pairs], u({}))
        return self.physics.equations(self.physics.coordinates(x), u({}), side(first, u({})), seconds)
