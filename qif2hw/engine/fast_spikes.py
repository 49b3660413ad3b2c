"""Spikes of a block of samples in the orders in which they are needed, compiled.

A kernel writes what each sample's neurons send into a row of a buffer, in any order that is chronological for each
neuron.  `collect` makes of it the spikes by neuron, which results have, and the messages by step, which the next
population receives.  Both are counted into place: no comparisons, and the same order on any number of threads.
"""

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from qif2hw.machinecode import compiled

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

STEP, NEURON, LATE = 0, 1, 2
"""Columns of a row of a buffer."""


class Messages(NamedTuple):
    """Spikes of one group of senders by sample and machine step, and their flush.

    Those of sample ``b`` are entries ``start[b]`` to ``start[b + 1]`` of ``step``, ``source`` and ``late``, sorted by
    step.  ``flush`` has shape (samples, senders).
    """

    start: Int64
    step: Int32
    source: Int32
    late: Int32
    flush: Int64


def starts(count: Int64) -> Int64:
    """Where the spikes of each sample begin, and at last the number of all of them."""
    return np.concatenate([[0], np.cumsum(count)])


def by_step(buffer: Int32, count: Int64, steps: int, flush: Int64) -> Messages:
    """Messages of a buffer (samples, capacity, 3), of which sample ``b`` fills the first ``count[b]`` rows."""
    start = starts(count)
    columns = np.empty((3, start[-1]), np.int32)
    _by_step(buffer, start, steps + 2, columns)
    return Messages(start, columns[STEP], columns[NEURON], columns[LATE], flush)


def by_neuron(buffer: Int32, count: Int64, neurons: int, crossing: Int32, into: Int32) -> tuple[Int32, Int32]:
    """The same rows sorted by sample, neuron, step: sample, and the three columns.

    ``into`` (spikes, registers) is filled with ``crossing`` (samples, capacity, registers) in that order; it is empty
    where nothing is asked for.
    """
    start = starts(count)
    sample, columns = np.empty(start[-1], np.int32), np.empty((3, start[-1]), np.int32)
    _by_neuron(buffer, start, neurons, sample, columns, crossing, into)
    return sample, columns


def merge(parts: list[Messages], steps: int) -> Messages:
    """The messages of several groups as those of one, whose senders are numbered through."""
    if len(parts) == 1:
        return parts[0]
    count = np.sum([np.diff(part.start) for part in parts], axis=0)
    buffer = np.empty((count.size, int(count.max(initial=0)), 3), np.int32)
    filled, offset = np.zeros_like(count), 0
    for part in parts:
        _append(*part[:4], offset, buffer, filled)
        offset += part.flush.shape[1]
    return by_step(buffer, count, steps, np.concatenate([part.flush for part in parts], axis=1))


@compiled
def _append(start, step, source, late, offset, buffer, filled):  # type: ignore[no-untyped-def]
    for b in range(filled.size):
        for k in range(start[b], start[b + 1]):
            row = buffer[b, filled[b]]
            row[STEP], row[NEURON], row[LATE] = step[k], source[k] + offset, late[k]
            filled[b] += 1


@compiled
def _places(buffer, found, column, place):  # type: ignore[no-untyped-def]
    """Where the rows with each value of a column begin."""
    place[:] = 0
    for k in range(found):
        place[buffer[k, column] + 1] += 1
    for value in range(1, place.size):
        place[value] += place[value - 1]


@compiled(parallel=True)
def _by_step(buffer, start, width, columns):  # type: ignore[no-untyped-def]
    for b in numba.prange(start.size - 1):
        rows, found = buffer[b], start[b + 1] - start[b]
        place = np.empty(width + 1, np.int64)
        _places(rows, found, STEP, place)
        for k in range(found):
            at = start[b] + place[rows[k, STEP]]
            place[rows[k, STEP]] += 1
            for c in range(3):
                columns[c, at] = rows[k, c]


@compiled(parallel=True)
def _by_neuron(buffer, start, neurons, sample, columns, crossing, into):  # type: ignore[no-untyped-def]
    for b in numba.prange(start.size - 1):
        rows, found = buffer[b], start[b + 1] - start[b]
        place = np.empty(neurons + 1, np.int64)
        _places(rows, found, NEURON, place)
        for k in range(found):
            at = start[b] + place[rows[k, NEURON]]
            place[rows[k, NEURON]] += 1
            sample[at] = b
            for c in range(3):
                columns[c, at] = rows[k, c]
            # Element by element: machine code of an assignment of arrays takes seconds to make.
            for c in range(into.shape[1] if into.size > 0 else 0):
                into[at, c] = crossing[b, k, c]
