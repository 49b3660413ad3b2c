"""Differences of results as one number: relative to their spread, or to their size."""

import numpy as np

from qif2hw.ir.arrays import FloatArray

_LEAST = 1e-300


def error_by_spread(value: FloatArray, exact: FloatArray) -> float:
    """Root mean square of ``value - exact``, (samples, outputs), over that of ``exact`` around each output's mean."""
    spread = np.sqrt(np.mean((exact - exact.mean(axis=0)) ** 2))
    return float(np.sqrt(np.mean((value - exact) ** 2)) / max(spread, _LEAST))


def error_by_size(value: FloatArray, exact: FloatArray) -> float:
    """Root mean square of ``value - exact`` over that of ``exact``, both (samples, outputs)."""
    return float(np.sqrt(np.mean((value - exact) ** 2)) / max(size(exact), _LEAST))


def size(value: FloatArray) -> float:
    """Root mean square of all values of an array."""
    return float(np.sqrt(np.mean(value**2)))
