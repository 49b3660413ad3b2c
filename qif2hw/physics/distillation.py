"""Learning a solution from a network that was trained on the physics."""

import torch
from torch import Tensor

from qif2hw.nn.functional.jets import jets
from qif2hw.nn.network import QIFNetwork
from qif2hw.physics.equation import Physics, derivatives
from qif2hw.physics.points import points_of_steps
from qif2hw.train.task import Model, Objective, Task


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
