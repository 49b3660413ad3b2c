r"""Ripples :math:`0.25 \sin(4 \pi \rho) + 0.5` on [-1, 1]^2."""

import numpy as np

from qif2hw.ir.network import FloatArray
from qif2hw.nn.task import Samples, Settings, Task
from qif2hw.tasks import square


def ripples(rho: FloatArray) -> FloatArray:
    """The ripples at distances ``rho`` from the centre."""
    return 0.25 * np.sin(4 * np.pi * rho) + 0.5


def train_set(seed: int) -> Samples:
    """The grid of 100 x 100 points; the same for every seed."""
    del seed
    return square.samples(ripples, square.TRAIN_SIDE)


def test_set() -> Samples:
    """The grid of 300 x 300 points."""
    return square.samples(ripples, square.TEST_SIDE)


RIPPLE = Task(
    name="ripple",
    summary="ripples on [-1, 1]^2",
    domain=square.DOMAIN,
    train_set=train_set,
    test_set=test_set,
    sizes=(2, 64, 64, 64, 2),
    settings=Settings(
        steps=10000, learning_rate=5e-3, qat_steps=4000, settle_steps=1000, qat_learning_rate=1e-3, batch=128
    ),
)
"""The task."""
