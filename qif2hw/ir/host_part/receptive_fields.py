r"""Gaussian receptive fields: a number as the activities of several neurons, each with a value it answers to most."""

from dataclasses import dataclass

import numpy as np

from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.host_part.expression import Expression

MOST_FIELDS = 1 << 12


@dataclass(frozen=True)
class ReceptiveFields:
    r"""Activities :math:`\exp(-(u - c_k)^2 / 2 \sigma^2)` of ``count`` fields of a number ``u`` in [0, 1].

    Centres :math:`c_k` lie evenly on [0, 1], both ends included; :math:`\sigma` is ``overlap`` times their distance.
    Activities are in (0, 1]: a latency encoder makes spike times of them, the closest field spikes first.

    Parameters
    ----------
    count
        Number of fields, 2 to `MOST_FIELDS`.
    overlap
        Width of a field in units of the distance between two.

    Raises
    ------
    InputError
        For another number of fields or an overlap that is not positive.
    """

    count: int
    overlap: float = 1.0

    def __post_init__(self) -> None:
        if type(self.count) is not int or not 2 <= self.count <= MOST_FIELDS:
            raise InputError(f"{self.count} receptive fields per input: a number from 2 to {MOST_FIELDS} is needed")
        if not 0 < self.overlap < np.inf:
            raise InputError(f"overlap {self.overlap:g} of receptive fields: a positive number is needed")

    @property
    def centres(self) -> FloatArray:
        """Centres of the fields, (count,)."""
        return np.linspace(0.0, 1.0, self.count)

    @property
    def gain(self) -> float:
        r"""``1 / sigma``: activities are :math:`\exp(-d^2 / 2)` of ``d = gain (u - centre)``."""
        return (self.count - 1) / self.overlap

    def activities(self, u: Expression) -> Expression:
        """Activities (samples, count) of one number ``u`` (samples, 1)."""
        return (-0.5 * ((u - self.centres) * self.gain).square()).exp()

    def distance(self, activity: FloatArray) -> FloatArray:
        """How far a number is from the centre of a field with this ``activity`` in (0, 1], of any shape."""
        return np.sqrt(-2.0 * np.log(activity)) / self.gain
