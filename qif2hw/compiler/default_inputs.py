"""Inputs on which the compiler measures what it does, where the user gives none."""

from collections.abc import Sequence

import numpy as np

from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.stepped import Frames
from qif2hw.ir.stepped_program import ProgramFrames

WHOLE_SAMPLES = 17
"""Samples of inputs that are integers already."""


def spread(samples: int, channels: int) -> FloatArray:
    """Evenly spread points of the unit cube, (samples, channels).

    An additive recurrence with the powers of the root of ``g^(n+1) = g + 1``.

    References
    ----------
    M. Roberts, *The unreasonable effectiveness of quasirandom sequences*, 2018.
    """
    g = 2.0
    for _ in range(60):
        g = (1.0 + g) ** (1.0 / (channels + 1))
    step = g ** -np.arange(1.0, channels + 1)
    return (0.5 + np.outer(np.arange(samples), step)) % 1.0


def whole_inputs(groups: Sequence[Frames] | Sequence[ProgramFrames]) -> FloatArray:
    """Spikes, or values in [0, 1], for input groups that have units: (samples, 1, inputs), the same in every step."""
    points = spread(WHOLE_SAMPLES, sum(group.size for group in groups))
    unit = np.concatenate([np.full(group.size, group.unit, np.float64) for group in groups])
    return (np.rint(points / unit) * unit)[:, None]
