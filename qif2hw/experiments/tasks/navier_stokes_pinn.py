r"""Beltrami flow: the Navier-Stokes equations with :math:`\nu = 1` on [-1, 1]^2 x [0, 1].

:math:`u = -\cos x \sin y \, e^{-2t}`, :math:`v = \sin x \cos y \, e^{-2t}`,
:math:`p = -(\cos 2x + \cos 2y) e^{-4t} / 4`; initial and boundary values are given, the pressure is not.
"""

import math
from dataclasses import replace
from functools import partial

import numpy as np
from torch import Tensor

from qif2hw.ir.arrays import FloatArray
from qif2hw.nn.network import QIFNetwork
from qif2hw.nn.regime import PUBLISHED, Regime
from qif2hw.physics import Value, collocation, differential_equation, distillation, distillation_residuals
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


def _base(x: Value, y: Value, t: Value) -> tuple[Value | float, ...]:
    """Initial values, and the change of the boundary values carried inside by Coons' bilinear blending."""
    change = 1 - (-2 * t).exp()
    blend_u = COS * y.sin() + SIN * y * (x.cos() - COS)
    blend_v = COS * x.sin() + SIN * x * (y.cos() - COS)
    return -x.cos() * y.sin() + change * blend_u, x.sin() * y.cos() - change * blend_v, 0.0


def _factor(x: Value, y: Value, t: Value) -> tuple[Value | float, ...]:
    inside = 0.2 * t * (1 - x.square()) * (1 - y.square())
    return inside, inside, 1.0


def _residual(
    u: Tensor, v: Tensor, u_x: Tensor, u_y: Tensor, u_t: Tensor, v_x: Tensor, v_y: Tensor, v_t: Tensor,
    p_x: Tensor, p_y: Tensor, u_xx: Tensor, u_yy: Tensor, v_xx: Tensor, v_yy: Tensor,
) -> tuple[Tensor, ...]:  # fmt: skip
    along = u_t + u * u_x + v * u_y - (u_xx + u_yy) + p_x
    across = v_t + u * v_x + v * v_y - (v_xx + v_yy) + p_y
    return along, across, u_x + v_y


PHYSICS = differential_equation(
    {"x": (-1.0, 1.0), "y": (-1.0, 1.0), "t": (0.0, 1.0)},
    _residual,
    quantities=("u", "v", "p"),
    base=_base,
    factor=_factor,
)


def solution(x: FloatArray, y: FloatArray) -> FloatArray:
    """Velocities (samples, 2) of inputs ``x`` (samples, 3) and results ``y`` (samples, 3)."""
    return PHYSICS.solution(x, y)[:, :2]


def _objective(task: Task, model: Model, seed: int, teacher: Model | None) -> Objective:
    del teacher
    assert isinstance(model, QIFNetwork)
    return collocation(PHYSICS, model, seed, task.settings.batch or 200)


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
    objective=partial(distillation, PHYSICS, reach=0.05),
    teacher=PUBLISHED_TASK,
)

NAVIER_STOKES = replace(
    NAVIER_STOKES,
    encoded=replace(
        NAVIER_STOKES,
        sizes=(3, 64, 64, 64, 6),
        settings=Settings(steps=4000, learning_rate=3e-3, batch=256, optimizer="soap", finish_steps=80),
        objective=partial(distillation, PHYSICS),
        residuals=partial(distillation_residuals, PHYSICS),
    ),
)
"""The task."""
