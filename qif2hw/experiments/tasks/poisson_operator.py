r"""The solution operator of :math:`-u'' = f`, :math:`u(\pm 1) = 0`, for random ``f`` (DeepONet).

``f`` is a Gaussian random field of unit variance with the kernel :math:`\exp(-(x - x')^2 / 2)`, seen at 51 points.
"""

import numpy as np
import torch
from numpy.polynomial import chebyshev
from torch import Tensor

from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.host_part.expression import formula, given
from qif2hw.ir.host_part.host import Host, Input, Output, X, Y
from qif2hw.nn.deeponet import DeepONet
from qif2hw.nn.regime import Regime
from qif2hw.train.loop import batch_of
from qif2hw.train.task import Model, Objective, Samples, Settings, Task

SENSORS = np.linspace(-1.0, 1.0, 51)
FUNCTIONS = 800
LENGTH = 1.0
REACH = 5.0
"""Values of ``f`` in +-5 are scaled to [0, 1]."""
DEGREE = 32
"""Of the interpolating polynomials: the kernel is analytic, and they are exact to rounding."""


def fields(count: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Functions ``f`` and solutions ``u`` at the sensors, both (functions, 51).

    ``f`` is drawn at Chebyshev's points and its interpolating polynomial integrated twice.
    """
    nodes = np.cos(np.pi * (np.arange(DEGREE + 1) + 0.5) / (DEGREE + 1))
    values, vectors = np.linalg.eigh(np.exp(-0.5 * ((nodes[:, None] - nodes) / LENGTH) ** 2))
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    drawn = np.random.default_rng([seed, count]).standard_normal((count, DEGREE + 1)) @ root.T
    # At Chebyshev's points the least squares fit of full degree is the interpolant.
    f = np.linalg.solve(chebyshev.chebvander(nodes, DEGREE), drawn.T)
    twice = -chebyshev.chebint(f, 2)
    left, right = chebyshev.chebval(-1.0, twice), chebyshev.chebval(1.0, twice)
    line = np.multiply.outer(0.5 * (1 - SENSORS), left) + np.multiply.outer(0.5 * (1 + SENSORS), right)
    return chebyshev.chebval(SENSORS, f), chebyshev.chebval(SENSORS, twice) - line.T


def _rows(f: FloatArray, u: FloatArray) -> Samples:
    points = np.tile((SENSORS + 1) / 2, len(f))[:, None]
    functions = np.repeat(np.clip(0.5 + 0.5 * f / REACH, 0.0, 1.0), len(SENSORS), axis=0)
    return Samples(np.concatenate([functions, points], axis=1), u.reshape(-1, 1))


def train_set(seed: int) -> Samples:
    """800 functions at 51 points each; the same functions for every seed."""
    del seed
    return _rows(*fields(FUNCTIONS, 0))


def test_set() -> Samples:
    """800 other functions at 51 points each."""
    return _rows(*fields(FUNCTIONS, 1))


def _host() -> Host:
    sensors = tuple(Input(f"f({c:.2g})", -REACH, REACH) for c in SENSORS)
    c = given(X, len(SENSORS) + 1)[:, -1:]
    return Host((*sensors, Input("x", -1.0, 1.0)), (Output("u"),), formula((1 - c.square()) * given(Y, 1)))


def solution(x: FloatArray, y: FloatArray) -> FloatArray:
    """``u = (1 - c^2) y``, (samples, 1), with ``c`` the last column of ``x``: zero at both ends."""
    c = 2 * x[:, -1:] - 1
    return (1 - c**2) * y


def mean_relative_l2(y: FloatArray, truth: FloatArray) -> float:
    """Relative L2 error of each function, averaged; ``y`` and ``truth`` are (functions * 51, 1)."""
    difference, expected = (y - truth).reshape(-1, len(SENSORS)), truth.reshape(-1, len(SENSORS))
    return float((np.linalg.norm(difference, axis=1) / np.linalg.norm(expected, axis=1)).mean())


def _make(task: Task, seed: int) -> Model:
    outputs = task.sizes[-1]
    hidden = task.sizes[1:-1]
    branch = task.branch_inputs
    return DeepONet(
        (branch, *hidden, outputs),
        (task.sizes[0] - branch, *hidden, outputs),
        scale=task.scale,
        regime=task.regime,
        seed=seed,
        trunk_fields=task.fields,
    )


def _objective(task: Task, model: Model, seed: int, teacher: Model | None) -> Objective:
    """Mean over functions of the squared relative error."""
    del teacher
    assert isinstance(model, DeepONet)
    x, y = train_set(seed)
    functions = torch.from_numpy(x[:: len(SENSORS), :-1].copy())
    points = torch.from_numpy(x[: len(SENSORS), -1:].copy())
    u = torch.from_numpy(y.reshape(-1, len(SENSORS)))
    inside = 1 - (2 * points[:, 0] - 1).square()

    def loss(step: int) -> Tensor:
        chosen = batch_of(len(functions), task.settings.batch, seed, step)
        f, wanted = (functions, u) if chosen is None else (functions[chosen], u[chosen])
        results, late = model.grid(f, points)
        difference = inside * results - wanted
        return (difference.square().sum(1) / wanted.square().sum(1)).mean() + late

    return loss


POISSON_OPERATOR = Task(
    name="poisson_operator",
    summary="the solution operator of Poisson's equation (DeepONet, branch 51-64-128, trunk 1-64-128)",
    train_set=train_set,
    test_set=test_set,
    sizes=(52, 64, 128),
    scale=0.25,
    settings=Settings(
        steps=12000,
        learning_rate=3e-3,
        qat_steps=1500,
        settle_steps=500,
        qat_learning_rate=5e-4,
        batch=50,
        optimizer="soap",
    ),
    quantities=("u",),
    solution=solution,
    host=_host(),
    metric=mean_relative_l2,
    branch_inputs=len(SENSORS),
    block=len(SENSORS),
    make=_make,
    objective=_objective,
    # Outputs spike a little earlier than usual, so that a shorter trial is enough: finer steps for the same number.
    regime=Regime(trial=5.6, output_phases=(1.6, 1.1), margin=0.2),
)
"""The task."""
