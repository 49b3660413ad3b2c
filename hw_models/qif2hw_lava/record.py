"""Spikes that Processes record while they run."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qif2hw.ir.spikes import Keep


class SpikeLog:
    """Rows (sample, neuron, step, lateness) of all ordinary spikes of a population."""

    def __init__(self) -> None:
        self.parts: list[NDArray[Any]] = [np.empty((0, 4), np.int64)]

    def add(self, first_sample: int, n: int, flag: NDArray[Any], payload: NDArray[Any]) -> None:
        """Note the spikes of machine step ``n``; arrays (copies, neurons)."""
        sample, neuron = np.nonzero(flag)
        if sample.size:
            late = payload[sample, neuron]
            self.parts.append(np.stack([sample + first_sample, neuron, np.full_like(sample, n), late], axis=1))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All rows, (spikes, 4), for a file."""
        return {"rows": np.concatenate(self.parts)}


class SpikeCounts:
    """Number of ordinary spikes of every neuron of a population, without the samples that only fill up a round."""

    def __init__(self, samples: int, size: int) -> None:
        self.samples = samples
        self.counts = np.zeros(size, np.int64)

    def add(self, first_sample: int, n: int, flag: NDArray[Any], payload: NDArray[Any]) -> None:
        """Count the spikes of machine step ``n``; arrays (copies, neurons)."""
        self.counts += np.count_nonzero(flag[: self.samples - first_sample], axis=0)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The counts, (neurons,), for a file."""
        return {"counts": self.counts}


def spike_record(keep: Keep, samples: int, size: int) -> SpikeLog | SpikeCounts:
    """What notes the spikes of a population as a run keeps them."""
    return SpikeLog() if keep == "spikes" else SpikeCounts(samples, size)


class FirstSpikes:
    """First ordinary spike and flush of every neuron: arrays (rounds * copies, neurons)."""

    def __init__(self, rounds: int, copies: int, size: int) -> None:
        self.copies = copies
        self.step = np.full((rounds * copies, size), -1, np.int64)
        self.lateness = np.zeros_like(self.step)
        self.flush = np.zeros_like(self.step)

    def add(self, current: int, n: int, flag: NDArray[Any], payload: NDArray[Any]) -> None:
        """Note what was sent in machine step ``n``, (copies, neurons); a payload without a flag is the flush."""
        part = slice(current * self.copies, (current + 1) * self.copies)
        new = (flag != 0) & (self.step[part] < 0)
        self.step[part][new] = n
        self.lateness[part][new] = payload[new]
        self.flush[part] += np.where(flag == 0, payload, 0)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All three, of their shape, for a file."""
        return {"step": self.step, "lateness": self.lateness, "flush": self.flush}
