"""Errors of spikes with their causes and bounds: what a certificate consists of."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from qif2hw.ir.arrays import FloatArray

CERTIFIED, AT_END, AFTER_END, LOOSE = 0, 1, 2, 3
"""What is known of a spike, see `STATUS`."""
ARITHMETIC, ORDER, PAYLOAD, START = 0, 1, 2, 3
"""Columns of the causes."""
CAUSES = ("arithmetic", "order", "payload", "start")
"""Causes of errors: tables or rotation; spikes of unequal lateness in one step, applied together; bits of the lateness,
of phases sent in the flush, and of encoded inputs; initial phases."""
STATUS = {
    CERTIFIED: "certified",
    AT_END: "may lie on either side of the trial's end",
    AFTER_END: "follows a spike that may lie on either side of the trial's end",
    LOOSE: "no finite bound",
}
"""What is known of a spike."""


@dataclass(frozen=True, eq=False)
class SpikeErrors:
    """Errors of some spikes: time on the engine minus exact time, in time units.

    Parameters
    ----------
    error
        By cause, (..., causes): the first-order sum of the defects; the columns are those of `CAUSES`.
    radius
        Bound on the difference between the sum of the causes and the error, (...); infinite where there is none.
    status
        Which of `STATUS`, (...).
    """

    error: FloatArray
    radius: FloatArray
    status: NDArray[np.int8]

    @property
    def estimate(self) -> FloatArray:
        """Sum of the causes, (spikes,) or (samples, neurons)."""
        return self.error.sum(axis=-1)

    @property
    def bound(self) -> FloatArray:
        """Largest magnitude that the error can have, (spikes,) or (samples, neurons)."""
        return np.abs(self.estimate) + self.radius

    @classmethod
    def joined(cls, parts: Sequence["SpikeErrors"], axis: int = 0) -> "SpikeErrors":
        """Several, one behind the other."""
        return cls(*(np.concatenate([getattr(one, f.name) for one in parts], axis=axis) for f in fields(cls)))
