r"""Beltrami flow: the Navier-Stokes equations with :math:`\nu = 1` on [-1, 1]^2 x [0, 1].

:math:`u = -\cos x \sin y \, e^{-2t}`, :math:`v = \sin x \cos y \, e^{-2t}`,
:math:`p = -(\cos 2x + \cos 2y) e^{-4t} / 4`; initial and boundary values are given, the pressure is not.
"""

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from qif2hw.ir.arrays import FloatArray
from qif2hw.nn.network import QIFNetwork
from qif2hw.nn.regime import PUBLISHED, Regime
from qif2hw.physics import Physics, Value, collocation, distillation, joined
from qif2hw.train.task import Model, Objective, Samples, Settings, Task

SIDE = 40
COS, SIN = math.cos(1.0), math.sin(1.0)


def test_set() -> Samples:
    """40^3 points, uniform."""
    line, time = np.linspace(-1.0, 1.0, SIDE), np.linspace(0.0, 1.0, SIDE)
    points = np.stack(np.meshgrid(line, line, time, indexing="ij"), axis=-1).reshape(-1, 3)
    x, y, t = points.T
    u, v = -np.cos(x) * np.sin(y) * np.exp(-2 * t), np.sin(x) * np.cos(y) * np.exp(-2 * t)
    return Samples(PHYSICS.inputs(points), np.stack([u, v], axis=1))


def train_set(seed: int) -> Samples:
    """30^3 points for the initial scaling and the diagnosis; collocation points are drawn anew in every step."""
    return Samples(PHYSICS.points(30**3, np.random.default_rng(seed)), np.zeros((0, 2)))


def _base(c: Value) -> Value:
    """Initial values, and the change of the boundary values carried inside by Coons' bilinear blending."""
    x, y, t = c[:, :1], c[:, 1:2], c[:, 2:]
    change = 1 - (-2 * t).exp()
    blend_u = COS * y.sin() + SIN * y * (x.cos() - COS)
    blend_v = COS * x.sin() + SIN * x * (y.cos() - COS)
    u = -x.cos() * y.sin() + change * blend_u
    v = x.sin() * y.cos() - change * blend_v
    return joined([u, v, 0 * t])


def _factor(c: Value) -> Value:
    x, y, t = c[:, :1], c[:, 1:2], c[:, 2:]
    inside = 0.2 * t * (1 - x.square()) * (1 - y.square())
    return joined([inside, inside, 0 * t + 1])


def _equations(c: Tensor, u: Tensor, gradient: Tensor, second: Tensor) -> Tensor:
    del c
    along_x, along_y, along_t = gradient.unbind(-1)
    carried = along_t + u[:, :1] * along_x + u[:, 1:2] * along_y - second.sum(-1)
    return torch.stack(
        [carried[:, 0] + along_x[:, 2], carried[:, 1] + along_y[:, 2], along_x[:, 0] + along_y[:, 1]], dim=1
    )


PHYSICS = Physics(((-1.0, 1.0), (-1.0, 1.0), (0.0, 1.0)), ((0, 0), (1, 1)), _base, _factor, _equations)


def solution(x: FloatArray, y: FloatArray) -> FloatArray:
    """Velocities (samples, 2) of inputs ``x`` (samples, 3) and results ``y`` (samples, 3)."""
    return PHYSICS.solution(x, y)[:, :2]


def _objective(task: Task, model: Model, seed: int, teacher: Model | None) -> Objective:
    del teacher
    assert isinstance(model, QIFNetwork)
    return collocation(PHYSICS, model, seed, task.settings.batch or 200)


def _distil(task: Task, model: Model, seed: int, teacher: Model | None) -> Objective:
    assert isinstance(model, QIFNetwork)
    return distillation(PHYSICS, task, model, seed, teacher, reach=0.05)


PUBLISHED_TASK = Task(
    name="navier_stokes_pinn (published regime)",
    summary="Beltrami flow in the published regime",
    train_set=train_set,
    test_set=test_set,
    sizes=(3, 64, 64, 64, 64, 64, 6),
    settings=Settings(steps=3000, learning_rate=3e-3, batch=200, optimizer="soap"),
    regime=replace(PUBLISHED, encode=((0.05, 0.65), (0.7, 1.3), (1.35, 1.95))),
    quantities=("u", "v"),
    solution=solution,
    host=PHYSICS.host((("x", ""), ("y", ""), ("t", "")), ("u", "v"), 3),
    objective=_objective,
    equation=PHYSICS,
)
"""The task in the published regime, trained on exact derivatives."""

NAVIER_STOKES = replace(
    PUBLISHED_TASK,
    name="navier_stokes_pinn",
    summary="Beltrami flow, the Navier-Stokes equations (PINN)",
    settings=Settings(
        steps=9000, learning_rate=3e-3, optimizer="soap", qat_steps=1500, qat_learning_rate=5e-4, batch=256
    ),
    regime=Regime(),
    objective=_distil,
    teacher=PUBLISHED_TASK,
)
"""The task."""
