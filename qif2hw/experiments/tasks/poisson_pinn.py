r"""Poisson's equation :math:`-u'' = 2 \pi^2 \sin(\pi x)` on [0, 1], :math:`u(0) = u(1) = 0`: ``u = 2 sin(pi x)``."""

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from qif2hw.nn.network import QIFNetwork
from qif2hw.nn.regime import PUBLISHED, Regime
from qif2hw.physics import collocation, differential_equation
from qif2hw.train.residuals import Draw, Residuals
from qif2hw.train.task import Model, Objective, Samples, Settings, Task

STEP = (0.01, 0.04)
"""Range of the finite step over which the equation is tested."""


def test_set() -> Samples:
    """1000 points, uniform."""
    x = np.linspace(0.0, 1.0, 1000)[:, None]
    return Samples(x, 2 * np.sin(np.pi * x))


def train_set(seed: int) -> Samples:
    """1000 points for the initial scaling and the diagnosis; collocation points are drawn anew in every step."""
    return Samples(PHYSICS.points(1000, np.random.default_rng(seed)), np.zeros((0, 1)))


PHYSICS = differential_equation(
    {"x": (0.0, 1.0)},
    lambda x, u_xx: u_xx / (2 * math.pi**2) + torch.sin(math.pi * x),
    factor=lambda x: 4 * x * (1 - x),
)


def _objective(task: Task, model: Model, seed: int, teacher: Model | None) -> Objective:
    """Exact derivatives, and the weak form for the kinks where a hidden spike crosses the trial's end."""
    assert isinstance(model, QIFNetwork)
    pointwise = collocation(PHYSICS, model, seed, task.settings.batch or 200)
    weak = _weak(task, model, seed, teacher)
    return lambda step: pointwise(step) + weak(step)


def _weak(task: Task, model: Model, seed: int, teacher: Model | None) -> Objective:
    r"""The equation multiplied by a hat of half-width ``h`` and integrated, which sees the kinks of a spiking network.

    :math:`-(u(x + h) - 2 u(x) + u(x - h)) / h^2 = 2 \pi^2 \sin(\pi x) \cdot 2 (1 - \cos \pi h) / (\pi h)^2`.
    """
    del teacher
    assert isinstance(model, QIFNetwork)
    count = task.settings.batch or 200

    def loss(step: int) -> Tensor:
        x, h = _points(np.random.default_rng([seed, step]), count)
        everywhere = torch.cat([x - h, x, x + h])
        run = model.run(everywhere)
        residual = _weak_residual(x, h, *PHYSICS.value(everywhere, run.y).split(count))
        return residual.square().mean() + model.deadline_penalty(run.first)

    return loss


def _weak_residuals(task: Task, model: Model, seed: int, teacher: Model | None) -> Draw:
    """The same loss for second-order steps."""
    del task, model, teacher

    def residuals(x: Tensor, h: Tensor) -> Residuals:
        everywhere, count = torch.cat([x - h, x, x + h]), len(x)

        def form(results: Tensor) -> Tensor:
            values = PHYSICS.value(everywhere, results.transpose(0, 1).flatten(0, 1))
            return _weak_residual(x, h, *values.split(count))

        return Residuals((everywhere,), (np.arange(3 * count).reshape(3, count).T,), form)

    def draw(step: int, groups: int) -> tuple[Residuals, Residuals]:
        rng = np.random.default_rng([seed, step, 2])
        return residuals(*_points(rng, groups)), residuals(*_points(rng, groups))

    return draw


def _points(rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
    """Points and half-widths of hats, both (count, 1)."""
    h = torch.from_numpy(rng.uniform(*STEP, (count, 1)))
    return h + (1 - 2 * h) * torch.from_numpy(rng.random((count, 1))), h


def _weak_residual(x: Tensor, h: Tensor, below: Tensor, here: Tensor, above: Tensor) -> Tensor:
    """Residuals at points ``x`` with half-widths ``h`` from the solution's values, all (samples, 1)."""
    source = torch.sin(math.pi * x) * 2 * (1 - torch.cos(math.pi * h)) / (math.pi * h).square()
    return (above - 2 * here + below) / (2 * (math.pi * h).square()) + source


PUBLISHED_TASK = Task(
    name="poisson_pinn (published regime)",
    summary="Poisson's equation in the published regime",
    train_set=train_set,
    test_set=test_set,
    sizes=(1, 64, 2),
    scale=1.0,
    settings=Settings(steps=3000, learning_rate=3e-3, batch=200, optimizer="soap"),
    regime=PUBLISHED,
    quantities=("u",),
    solution=PHYSICS.solution,
    host=PHYSICS.host((("x", ""),), ("u",), 1),
    objective=_objective,
    equation=PHYSICS,
)
"""The task in the published regime, trained on exact derivatives."""

POISSON = replace(
    PUBLISHED_TASK,
    name="poisson_pinn",
    summary="Poisson's equation in one dimension (PINN)",
    settings=Settings(steps=4000, learning_rate=1e-2, batch=200),
    regime=Regime(),
    objective=_weak,
    residuals=_weak_residuals,
)

POISSON = replace(
    POISSON, encoded=replace(POISSON, settings=Settings(steps=2000, learning_rate=1e-2, batch=200, finish_steps=80))
)
"""The task."""
