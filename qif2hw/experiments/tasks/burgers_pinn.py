r"""Burgers' equation :math:`u_t + u u_x = \nu u_{xx}`, :math:`\nu = 0.01 / \pi`, on [-1, 1] x [0, 0.99].

:math:`u(x, 0) = -\sin(\pi x)`, :math:`u(\pm 1, t) = 0`: a front of width 0.01 stands at x = 0 from t = 0.4 on.
"""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from qif2hw.ir.arrays import FloatArray
from qif2hw.nn.network import QIFNetwork
from qif2hw.nn.regime import PUBLISHED, Regime
from qif2hw.physics import (
    collocation,
    difference_residuals,
    differential_equation,
    distillation,
    distillation_residuals,
)
from qif2hw.train.residuals import Draw
from qif2hw.train.task import Model, Objective, Samples, Settings, Task

NU = 0.01 / math.pi
LAST = 0.99
ODD = 0
"""The equation and its conditions are odd in x, so is the solution: its front stays at x = 0."""
STEP_T, STEP_X = (0.002, 0.005), (0.0003, 0.0006)
"""Ranges of the finite steps, as parts of the domain: along x a tenth of the front."""


def exact(x: FloatArray, t: float) -> FloatArray:
    r"""The solution at positions ``x`` (points,) by Cole and Hopf, to 1e-10: a ratio of integrals over the heat kernel.

    :math:`u = -\int \sin(\pi z) f(z) e^{-\eta^2} d\eta / \int f(z) e^{-\eta^2} d\eta`, with
    :math:`z = x - \eta \sqrt{4 \nu t}` and :math:`f(z) = \exp(-\cos(\pi z) / 2 \pi \nu)`.  The integrands are analytic
    and vanish at the ends, where the trapezoidal rule converges exponentially.
    """
    eta = np.arange(-14.0, 14.0, 0.02)
    z = x[:, None] - eta * math.sqrt(4 * NU * t)
    exponent = -np.cos(np.pi * z) / (2 * np.pi * NU) - eta**2
    weight = np.exp(exponent - exponent.max(axis=1, keepdims=True))
    return -(np.sin(np.pi * z) * weight).sum(axis=1) / weight.sum(axis=1)


def test_set() -> Samples:
    """257 x 100 points."""
    x, t = np.linspace(-1.0, 1.0, 257), np.linspace(0.0, LAST, 100)
    u = np.stack([exact(x, at) for at in t], axis=1)
    points = np.stack(np.meshgrid(x, t, indexing="ij"), axis=-1).reshape(-1, 2)
    return Samples(PHYSICS.inputs(points), u.reshape(-1, 1))


def train_set(seed: int) -> Samples:
    """6579 points for the initial scaling and the diagnosis; collocation points are drawn anew in every step."""
    return Samples(PHYSICS.points(6579, np.random.default_rng(seed)), np.zeros((0, 1)))


PHYSICS = differential_equation(
    {"x": (-1.0, 1.0), "t": (0.0, LAST)},
    lambda u, u_t, u_x, u_xx: u_t + u * u_x - NU * u_xx,
    base=lambda x, t: -(math.pi * x).sin() * (-3 * t).exp(),
    factor=lambda x, t: t * (x.square() - 1),
)


def _objective(task: Task, model: Model, seed: int, teacher: Model | None) -> Objective:
    del teacher
    assert isinstance(model, QIFNetwork)

    def odd(x: Tensor) -> Tensor:
        x = x[: len(x) // 4]
        mirrored = torch.stack([1 - x[:, 0], x[:, 1]], dim=1)
        both = model(torch.cat([x, mirrored]))
        return (LAST * x[:, 1:] * (both[: len(x)] + both[len(x) :])).square().mean()

    return collocation(PHYSICS, model, seed, task.settings.batch or 500, odd)


def _residuals(task: Task, model: Model, seed: int, teacher: Model | None) -> Draw:
    del task, teacher
    assert isinstance(model, QIFNetwork)
    return difference_residuals(PHYSICS, model, seed, first=STEP_T, second=STEP_X, prefer=True, odd=ODD)


PUBLISHED_TASK = Task(
    name="burgers_pinn (published regime)",
    summary="Burgers' equation in the published regime",
    train_set=train_set,
    test_set=test_set,
    sizes=(2, 64, 64, 64, 64, 64, 2),
    scale=3.0,
    settings=Settings(steps=6000, learning_rate=3e-3, batch=500, optimizer="soap"),
    regime=replace(
        PUBLISHED, encode=((0.05, 1.38), (1.475, 1.95)), input_phases=(2.0, 2.0), input_spread=8.0, spread=8.0
    ),
    quantities=("u",),
    solution=PHYSICS.solution,
    host=PHYSICS.host((("x", ""), ("t", "")), ("u",), 1),
    objective=_objective,
    equation=PHYSICS,
)
"""The task in the published regime, trained on the physics."""

BURGERS = replace(
    PUBLISHED_TASK,
    name="burgers_pinn",
    summary="Burgers' equation with a front (PINN)",
    scale=1.0,
    settings=Settings(
        steps=16000,
        learning_rate=3e-3,
        optimizer="soap",
        qat_steps=3000,
        settle_steps=1000,
        qat_learning_rate=5e-4,
        batch=256,
    ),
    regime=Regime(),
    # Slopes of the front would outweigh everything else.
    objective=partial(distillation, PHYSICS),
    teacher=PUBLISHED_TASK,
)

TEACHER = replace(
    PUBLISHED_TASK,
    name="burgers_pinn (teacher of the odd part)",
    settings=Settings(steps=100, learning_rate=1e-4, batch=500, optimizer="soap", finish_steps=30),
    residuals=_residuals,
    teacher=PUBLISHED_TASK,
    starts_from_teacher=True,
)
"""The network of the published regime, its odd part trained to the end: its own error means nothing any more."""

BURGERS = replace(
    BURGERS,
    encoded=replace(
        BURGERS,
        sizes=(2, 64, 64, 64, 2),
        settings=Settings(steps=4000, learning_rate=3e-3, batch=256, optimizer="soap", finish_steps=80),
        objective=partial(distillation, PHYSICS, odd=ODD),
        residuals=partial(distillation_residuals, PHYSICS, odd=ODD),
        teacher=TEACHER,
    ),
)
"""The task."""
