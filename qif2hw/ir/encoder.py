"""Input groups: how numbers become spikes."""

from dataclasses import dataclass

from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray
from qif2hw.neuron import latency


@dataclass(frozen=True)
class Encoder:
    """Latency encoding of one input group: ``t = latest - x (latest - earliest)``, larger values spike first.

    Parameters
    ----------
    name
        Name of the group; projections refer to it.
    size
        Number of channels; each sends one spike.
    earliest, latest
        Spike times, in time units, of ``x = 1`` and ``x = 0``; strictly inside the trial.
    """

    name: str
    size: int
    earliest: float
    latest: float

    def __post_init__(self) -> None:
        if self.size < 1:
            raise InputError(f"input group '{self.name}' has size {self.size}: at least one channel is needed")
        if not self.earliest < self.latest:
            raise InputError(
                f"input group '{self.name}' encodes into ({self.earliest:g}, {self.latest:g}): "
                "the first must be smaller"
            )

    def times(self, x: FloatArray) -> FloatArray:
        """Spike times of inputs ``x`` in [0, 1], same shape."""
        return latency(x, self.earliest, self.latest)
