"""Differences of results as one number: absolute, and relative to their spread or size where that makes sense."""

from dataclasses import dataclass

import numpy as np

from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.network import Network
from qif2hw.ir.readout import AnyOutput, FirstSpike, Product

_ROUNDING = 1e-12
"""Part of the largest possible result below which differences of spike times are their rounding."""
_LARGEST = 1e100


@dataclass(frozen=True, eq=False)
class Measure:
    """Root mean square of differences from ``exact`` (samples, outputs), in a unit.

    Parameters
    ----------
    exact
        The results.
    unit
        Their spread or size; None where that is zero, or too small to mean anything: then errors are absolute.
    """

    exact: FloatArray
    unit: float | None

    def __call__(self, value: FloatArray) -> float:
        """The error of results (samples, outputs), in the unit."""
        return self.of(value - self.exact)

    def of(self, difference: FloatArray) -> float:
        """The same of differences, of any shape."""
        return size(difference) / (self.unit or 1.0)

    def relative(self, error: float) -> float | None:
        """An error as a relative one; None where there are none."""
        return None if self.unit is None else error

    def absolute(self, error: float) -> float:
        """An error in the results' own unit."""
        return error * (self.unit or 1.0)


def by_spread(exact: FloatArray, least: float = 0.0) -> Measure:
    """Relative to the root mean square of ``exact`` (samples, outputs) around each output's mean.

    It means nothing up to ``least``.
    """
    return Measure(exact, _meaningful(size(exact - exact.mean(axis=0)), least))


def by_size(exact: FloatArray, least: float = 0.0) -> Measure:
    """Relative to the root mean square of all of ``exact`` (samples, outputs); it means nothing up to ``least``."""
    return Measure(exact, _meaningful(size(exact), least))


def _meaningful(unit: float, least: float) -> float | None:
    return unit if unit > least else None


def rounding_of(network: Network) -> float:
    """Size of results that are nothing but the rounding of spike times; `InputError` where squares would overflow."""

    def largest(output: AnyOutput) -> float:
        if isinstance(output, FirstSpike):
            return network.trial
        if isinstance(output, Product):
            return abs(output.scale) * largest(output.left) * largest(output.right)
        return float(np.abs(output.scale).max()) * network.trial

    sizes = [largest(output) for output in network.outputs]
    if max(sizes) > _LARGEST:
        raise InputError(f"results may reach {max(sizes):.3g}: use a readout scale that keeps them below {_LARGEST:g}")
    return _ROUNDING * max(sizes)


def check_not_zero(network: Network, exact: FloatArray) -> None:
    """`InputError` if relative errors of these results (samples, outputs) make no sense."""
    if by_size(exact, rounding_of(network)).unit is None:
        raise InputError("the network's results are all zero on the calibration inputs: there is no relative error")


def size(value: FloatArray) -> float:
    """Root mean square of all values of an array of any shape."""
    return float(np.sqrt(np.mean(value**2)))
