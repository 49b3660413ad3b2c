"""Learning a solution from a network that was trained on the physics."""

import numpy as np
import torch
from torch import Tensor

from qif2hw.nn.functional.jets import jets
from qif2hw.nn.network import QIFNetwork
from qif2hw.physics.equation import Physics, derivatives
from qif2hw.physics.points import mirrored, points_of_steps, preferred
from qif2hw.train.residuals import Draw, Residuals
from qif2hw.train.task import Model, Objective, Task


def distillation(
    physics: Physics, task: Task, model: Model, seed: int, teacher: Model | None, reach: float = 0.0,
    odd: int | None = None,
) -> Objective:  # fmt: skip
    """Mean square distance of the solution from the teacher's, and of its gradient on a quarter of the points.

    Half of the points are drawn where the distance is large.  ``reach`` is the part of the domain over which a wrong
    slope counts as much as a wrong value; 0 leaves slopes out.  ``odd`` is as of `teacher_values`.
    """
    assert isinstance(model, QIFNetwork)
    assert isinstance(teacher, QIFNetwork)
    low, high = torch.tensor(physics.domain, dtype=torch.float64).T

    def distance(x: Tensor, results: Tensor) -> Tensor:
        return physics.value(x, results) - teacher_values(physics, teacher, x, odd)

    def slope(x: Tensor) -> Tensor:
        mine = jets(model, x, directions=physics.directions, order=1)
        with torch.no_grad():
            target = jets(teacher, x, directions=physics.directions, order=1)
        factor, first, _ = derivatives(physics.factor, physics.coordinates(x), physics.pairs)
        return first * (mine.value - target.value)[..., None] + factor[..., None] * (mine.gradient - target.gradient)

    points = points_of_steps(physics, lambda x: distance(x, model(x)), seed, task.settings.batch or 256)

    def loss(step: int) -> Tensor:
        x = points(step)
        run = model.run(x)
        total = distance(x, run.y).square().sum(dim=1).mean()
        if reach:
            total = total + (reach * (high - low) * slope(x[::4])).square().sum(dim=(1, 2)).mean()
        return total + model.deadline_penalty(run.first)

    return loss


def distillation_residuals(
    physics: Physics, task: Task, model: Model, seed: int, teacher: Model | None, odd: int | None = None
) -> Draw:
    """Distances of the solution from the teacher's, for second-order steps; half of the points where they are large."""
    del task
    assert isinstance(model, QIFNetwork)
    assert isinstance(teacher, QIFNetwork)

    def residuals(x: Tensor) -> Residuals:
        target = teacher_values(physics, teacher, x, odd)
        return Residuals((x,), (np.arange(len(x))[:, None],), lambda y: physics.value(x, y[:, 0]) - target)

    def draw(step: int, groups: int) -> tuple[Residuals, Residuals]:
        rng = np.random.default_rng([seed, step, 2])
        even, candidates = (torch.from_numpy(physics.points(count, rng)) for count in (groups, 2 * groups))
        size = np.linalg.norm(residuals(candidates).values(model), axis=1)
        x = torch.cat([even, candidates[preferred(size, groups, rng)]])
        return residuals(x[::2]), residuals(x[1::2])

    return draw


@torch.no_grad()
def teacher_values(physics: Physics, teacher: QIFNetwork, x: Tensor, odd: int | None = None) -> Tensor:
    """The teacher's solution at inputs ``x`` (samples, inputs), (samples, quantities).

    ``odd`` is a coordinate, from ``-b`` to ``b``, in which the results are odd: their odd part is taken, and what the
    teacher has beside it is left out.
    """
    results = teacher(x)
    if odd is not None:
        results = (results - teacher(mirrored(x, odd))) / 2
    return physics.value(x, results)
