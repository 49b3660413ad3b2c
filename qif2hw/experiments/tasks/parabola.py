"""The parabola ``x^2`` on [-1, 1]."""

import numpy as np

from qif2hw.ir.host_part.host import Host, Input, Output
from qif2hw.train.task import Samples, Settings, Task


def _grid(points: int) -> Samples:
    x = np.linspace(-1.0, 1.0, points)[:, None]
    return Samples((x + 1) / 2, x**2)


def train_set(seed: int) -> Samples:
    """100 points, uniform; the same for every seed."""
    del seed
    return _grid(100)


def test_set() -> Samples:
    """1000 points, uniform."""
    return _grid(1000)


PARABOLA = Task(
    name="parabola",
    summary="x^2 on [-1, 1], the published first example",
    train_set=train_set,
    test_set=test_set,
    sizes=(1, 32, 32, 2),
    host=Host((Input("x", -1.0, 1.0),), (Output("y"),)),
    settings=Settings(
        steps=2500,
        learning_rate=3e-3,
        optimizer="soap",
        qat_steps=1500,
        settle_steps=500,
        qat_learning_rate=5e-4,
        freeze_steps=10000,
    ),
)
"""The task."""
