r"""Ripples :math:`0.25 \sin(4 \pi \rho) + 0.5` on [-1, 1]^2."""

import numpy as np

from qif2hw.experiments.tasks.radial import radial_task
from qif2hw.ir.arrays import FloatArray
from qif2hw.train.task import Settings


def ripples(rho: FloatArray) -> FloatArray:
    """The ripples at distances ``rho`` (points,) from the centre."""
    return 0.25 * np.sin(4 * np.pi * rho) + 0.5


RIPPLE = radial_task(
    "ripple",
    "ripples on [-1, 1]^2",
    ripples,
    (2, 64, 64, 64, 2),
    Settings(
        steps=6000,
        learning_rate=1e-2,
        optimizer="soap",
        finish_early=False,
        qat_steps=5000,
        settle_steps=1000,
        qat_learning_rate=1e-3,
        freeze_steps=24000,
        freeze_learning_rate=6e-3,
        batch=256,
    ),
)
"""The task."""
