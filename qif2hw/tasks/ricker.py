r"""The Ricker wavelet :math:`(1 - \rho^2 / 2 s^2) \exp(-\rho^2 / 2 s^2) / (\pi s^4)`, s = 0.8, on [-1, 1]^2."""

import numpy as np

from qif2hw.ir.network import FloatArray
from qif2hw.nn.task import Samples, Settings, Task
from qif2hw.tasks import square

WIDTH = 0.8


def wavelet(rho: FloatArray) -> FloatArray:
    """The wavelet at distances ``rho`` from the centre."""
    z = rho**2 / (2 * WIDTH**2)
    return (1 - z) * np.exp(-z) / (np.pi * WIDTH**4)


def train_set(seed: int) -> Samples:
    """The grid of 100 x 100 points; the same for every seed."""
    del seed
    return square.samples(wavelet, square.TRAIN_SIDE)


def test_set() -> Samples:
    """The grid of 300 x 300 points."""
    return square.samples(wavelet, square.TEST_SIDE)


RICKER = Task(
    name="ricker",
    summary="the Ricker wavelet on [-1, 1]^2",
    domain=square.DOMAIN,
    train_set=train_set,
    test_set=test_set,
    sizes=(2, 32, 32, 2),
    settings=Settings(
        steps=6000, learning_rate=1e-2, qat_steps=3000, settle_steps=1500, qat_learning_rate=5e-4, batch=256
    ),
)
"""The task."""
