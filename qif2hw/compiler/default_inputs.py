"""Inputs on which the compiler measures what it does, where the user gives none."""

import numpy as np

from qif2hw.ir.arrays import FloatArray


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
