"""Pairs of corresponding spikes of two runs, and their timing errors."""

from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np
from numpy.typing import NDArray

from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.spikes import Spikes
from qif2hw.machinecode import compiled


@dataclass(frozen=True, eq=False)
class Matching:
    """Ordinary spikes of one population in two runs, paired.

    Parameters
    ----------
    expected, actual
        The spikes of the run that is right, and of the run that is judged.
    shape
        (samples, neurons).
    partner
        For every expected spike the index of its partner among the actual ones, -1 where it has none.
    """

    expected: Spikes
    actual: Spikes
    shape: tuple[int, int]
    partner: IntArray

    @cached_property
    def paired(self) -> IntArray:
        """Indices of the expected spikes that have a partner, (pairs,)."""
        return np.flatnonzero(self.partner >= 0)

    @cached_property
    def missing(self) -> IntArray:
        """Indices of the expected spikes that have none, (missing,)."""
        return np.flatnonzero(self.partner < 0)

    @cached_property
    def extra(self) -> IntArray:
        """Indices of the actual spikes that have none, (extra,)."""
        taken = np.zeros(len(self.actual), np.bool_)
        taken[self.partner[self.paired]] = True
        return np.flatnonzero(~taken)

    @cached_property
    def error(self) -> FloatArray:
        """Actual minus expected time of each pair of `paired`, (pairs,), in time units; positive is late."""
        return self.actual.time[self.partner[self.paired]] - self.expected.time[self.paired]


def match(expected: Spikes, actual: Spikes, shape: tuple[int, int], tolerance: float) -> Matching:
    """Pair the spikes of two runs of one population.

    Within each (sample, neuron) the k-th spike belongs to the k-th.  Only where the two runs have different numbers of
    spikes, the pairs are those of the alignment that keeps the order, pairs no spikes further apart than ``tolerance``,
    pairs as many as possible and, among those alignments, has the least sum of distances.

    Parameters
    ----------
    expected, actual
        Spikes sorted by sample, neuron, time.
    shape
        (samples, neurons).
    tolerance
        In time units.

    Raises
    ------
    InputError
        If spikes are not sorted, name a sample or neuron outside ``shape``, or have a time that is not finite.
    """
    start_expected, start_actual = _starts(expected, shape, "expected"), _starts(actual, shape, "actual")
    count_expected, count_actual = np.diff(start_expected), np.diff(start_actual)
    # k-th with k-th: the same place relative to the group's start.
    group = _group(expected, shape)
    place = np.arange(len(expected)) - start_expected[group]
    partner = np.where((count_expected == count_actual)[group], start_actual[group] + place, -1)
    unequal = np.flatnonzero((count_expected != count_actual) & (count_expected > 0) & (count_actual > 0))
    if unequal.size:
        _align_groups(unequal, start_expected, start_actual, expected.time, actual.time, tolerance, partner)
    return Matching(expected, actual, shape, partner)


def _group(spikes: Spikes, shape: tuple[int, int]) -> IntArray:
    return spikes.sample.astype(np.int64) * shape[1] + spikes.neuron


def _starts(spikes: Spikes, shape: tuple[int, int], which: str) -> IntArray:
    """First spike of every (sample, neuron), flattened, and one past the last."""
    for name, values, size in (("sample", spikes.sample, shape[0]), ("neuron", spikes.neuron, shape[1])):
        if len(values) and (values.min() < 0 or values.max() >= size):
            raise InputError(f"{which} spikes name {name} {values.min()} to {values.max()}: there are {size}")
    if not np.isfinite(spikes.time).all():
        raise InputError(f"{which} spikes have times that are not finite")
    group = _group(spikes, shape)
    step = np.diff(group)
    if (step < 0).any() or (np.diff(spikes.time)[step == 0] < 0).any():
        raise InputError(f"{which} spikes are not sorted by sample, neuron, time")
    return np.concatenate([[0], np.cumsum(np.bincount(group, minlength=shape[0] * shape[1]))])


@compiled
def _align_groups(
    groups: IntArray,
    start_expected: IntArray,
    start_actual: IntArray,
    expected: FloatArray,
    actual: FloatArray,
    tolerance: float,
    partner: NDArray[np.int64],
) -> None:
    """Best alignment of each group by dynamic programming over suffixes; fills ``partner``."""
    for g in groups:
        first, offset = start_expected[g], start_actual[g]
        n, m = start_expected[g + 1] - first, start_actual[g + 1] - offset
        pairs = np.zeros((n + 1, m + 1), np.int64)
        cost = np.zeros((n + 1, m + 1))
        move = np.zeros((n + 1, m + 1), np.int8)
        for i in range(n - 1, -1, -1):
            for j in range(m - 1, -1, -1):
                pairs[i, j], cost[i, j] = pairs[i + 1, j], cost[i + 1, j]
                if _better(pairs[i, j + 1], cost[i, j + 1], pairs[i, j], cost[i, j]):
                    pairs[i, j], cost[i, j], move[i, j] = pairs[i, j + 1], cost[i, j + 1], 1
                apart = abs(actual[offset + j] - expected[first + i])
                both, sum_ = pairs[i + 1, j + 1] + 1, cost[i + 1, j + 1] + apart
                if apart <= tolerance and _better(both, sum_, pairs[i, j], cost[i, j]):
                    pairs[i, j], cost[i, j], move[i, j] = both, sum_, 2
        i, j = 0, 0
        while i < n and j < m:
            if move[i, j] == 2:
                partner[first + i] = offset + j
            i, j = i + (move[i, j] != 1), j + (move[i, j] != 0)


@numba.njit(inline="always")
def _better(pairs: int, cost: float, other_pairs: int, other_cost: float) -> bool:
    return pairs > other_pairs or (pairs == other_pairs and cost < other_cost)
