r"""The Ricker wavelet :math:`(1 - \rho^2 / 2 s^2) \exp(-\rho^2 / 2 s^2) / (\pi s^4)`, s = 0.8, on [-1, 1]^2."""

import numpy as np

from qif2hw.experiments.tasks.radial import radial_task
from qif2hw.ir.arrays import FloatArray
from qif2hw.train.task import Settings

WIDTH = 0.8


def wavelet(rho: FloatArray) -> FloatArray:
    """The wavelet at distances ``rho`` (points,) from the centre."""
    z = rho**2 / (2 * WIDTH**2)
    return (1 - z) * np.exp(-z) / (np.pi * WIDTH**4)


RICKER = radial_task(
    "ricker",
    "the Ricker wavelet on [-1, 1]^2",
    wavelet,
    (2, 32, 32, 2),
    Settings(
        steps=3000,
        learning_rate=3e-3,
        optimizer="soap",
        qat_steps=3000,
        settle_steps=1000,
        qat_learning_rate=5e-4,
        freeze_steps=20000,
        batch=256,
    ),
)
"""The task."""
