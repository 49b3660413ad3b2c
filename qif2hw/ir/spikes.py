"""What a run returns: spikes and results, in time units and, from an integer machine, in steps."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from qif2hw.ir.arrays import ByValue, FloatArray


@dataclass(frozen=True, eq=False)
class Spikes(ByValue):
    """Ordinary spikes of one population, sorted by sample, neuron, time.

    ``sample``, ``neuron`` (int32) and ``time`` (float64, time units) have one entry per spike.
    """

    sample: NDArray[np.int32]
    neuron: NDArray[np.int32]
    time: FloatArray

    def __len__(self) -> int:
        return int(self.time.size)


@dataclass(frozen=True, eq=False)
class StepSpikes(ByValue):
    """Ordinary spikes of one population on the machine, sorted by sample, neuron, step; all int32, one entry per spike.

    Spike ``k`` is that of ``neuron[k]`` in sample ``sample[k]``; all have shape (spikes,).  ``step`` is the machine
    step it was sent in, ``lateness`` how late it was, in ticks.
    """

    sample: NDArray[np.int32]
    neuron: NDArray[np.int32]
    step: NDArray[np.int32]
    lateness: NDArray[np.int32]

    def __len__(self) -> int:
        return int(self.step.size)

    @classmethod
    def of(cls, rows: NDArray[np.int64]) -> "StepSpikes":
        """From rows (sample, neuron, step, lateness), in any order."""
        rows = rows[np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0]))].astype(np.int32)
        return cls(*(np.ascontiguousarray(rows[:, k]) for k in range(4)))


@dataclass(frozen=True, eq=False)
class MachineOutput(ByValue):
    """First spikes of the output populations, concatenated: arrays (samples, output neurons), int32.

    ``step`` is the machine step of the first ordinary spike, -1 where the neuron did not fire within the trial;
    ``lateness`` its lateness in ticks (0 then); ``flush`` the phase, in counts shifted right by ``flush_drop``, that
    the neuron sent in the flush step.
    """

    step: NDArray[np.int32]
    lateness: NDArray[np.int32]
    flush: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Run:
    """Result of executing a network on one backend.

    Parameters
    ----------
    backend
        ``reference``, ``engine``, ``lava`` or ``loihi2``.
    y
        Decoded result (samples, outputs).
    spike_time
        First spike times of the output neurons (samples, output neurons), time units, pseudospikes included.
    ordinary
        Whether that spike is an ordinary one, same shape.
    spikes
        All ordinary spikes by population, in time units.
    machine, step_spikes
        From integer backends: the same in steps and ticks.
    seconds
        Wall-clock time of the execution.
    """

    backend: str
    y: FloatArray
    spike_time: FloatArray
    ordinary: NDArray[np.bool_]
    spikes: dict[str, Spikes]
    machine: MachineOutput | None = None
    step_spikes: dict[str, StepSpikes] = field(default_factory=dict)
    seconds: float = 0.0

    def __repr__(self) -> str:
        spikes = sum(len(found) for found in self.spikes.values())
        results = " x ".join(map(str, self.y.shape))
        return f"Run({self.backend}: {results} results, {spikes} spikes in {self.seconds:.3g} s)"
