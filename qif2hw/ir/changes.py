"""How the spikes of two runs of a stepped network differ."""

import math
from dataclasses import dataclass

import numpy as np

from qif2hw.ir.arrays import ByValue, IntArray
from qif2hw.ir.stepped import SteppedRun


@dataclass(frozen=True, eq=False)
class SpikeChanges(ByValue):
    """Spikes of one population, compared at every sample, time step and neuron.

    Parameters
    ----------
    spikes
        Of the expected run, by time step.
    missing, extra
        Those that the other run lacks, and those that it alone has, by time step.
    """

    spikes: IntArray
    missing: IntArray
    extra: IntArray

    def __add__(self, other: "SpikeChanges") -> "SpikeChanges":
        return SpikeChanges(self.spikes + other.spikes, self.missing + other.missing, self.extra + other.extra)

    @property
    def changed(self) -> int:
        """Missing and extra spikes together; one that moves to another step is one of each."""
        return int(self.missing.sum() + self.extra.sum())

    @property
    def share(self) -> float:
        """Changed spikes over the expected ones; infinite if there are changes, but no expected spike."""
        spikes = int(self.spikes.sum())
        return self.changed / spikes if spikes else (math.inf if self.changed else 0.0)


def spike_changes(expected: SteppedRun, actual: SteppedRun) -> dict[str, SpikeChanges]:
    """Compare the spikes of every population."""
    found = {}
    for name, fired in expected.spikes.items():
        other = actual.spikes[name]
        found[name] = SpikeChanges(
            *(np.sum(kind, axis=(0, 2), dtype=np.int64) for kind in (fired, fired & ~other, other & ~fired))
        )
    return found


def together(changes: dict[str, SpikeChanges]) -> SpikeChanges:
    """All populations in one."""
    return sum(list(changes.values())[1:], start=next(iter(changes.values())))
