"""What a group of samples receives, compiled: the samples of a group are run side by side, in lanes of vectors.

Lane ``s posts + i`` of a register is neuron ``i`` of the group's sample ``s``.  Arrays of lanes end with whole vectors;
nothing arrives at the lanes that are too many.
"""

import numpy as np

from qif2hw.engine.fast_spikes import LATE, NEURON, STEP
from qif2hw.engine.fast_sums import add_spikes
from qif2hw.machinecode import compiled
from qif2hw.simd_integers import LANES

GROUP_LANES = 4 * LANES
"""Lanes that a group of samples fills at least: so many that the next vector need not wait for the last one."""


def group_size(neurons: int, samples: int) -> int:
    """Samples of a group."""
    return min(max(1, GROUP_LANES // neurons), max(samples, 1))


@compiled
def whole_vectors(size):  # type: ignore[no-untyped-def]
    """``size`` rounded up to whole vectors."""
    return -(-size // LANES) * LANES


@compiled
def next_step(step, at, end, last):  # type: ignore[no-untyped-def]
    """The machine step in which the message ``at`` arrives, one after it was sent; ``last`` if there is none."""
    return min(np.int64(step[at]) + 1, last) if at < end else last


@compiled
def receive(n, at, end, step, source, late, weight, squares, lateness_bits, a0, a1, a2):  # type: ignore[no-untyped-def]
    """Sums of the messages from ``at`` on that arrive in step ``n``; the first message after them."""
    begin = at
    while at < end and step[at] + 1 == n:
        at += 1
    add_spikes(source[begin:at], late[begin:at], weight, squares, lateness_bits, a0, a1, a2)
    return at


@compiled
def put(values, lanes, s):  # type: ignore[no-untyped-def]
    """Write the values of a population's neurons to the lanes of sample ``s``."""
    # Not as an assignment of arrays, whose machine code takes seconds to make.
    for i in range(values.size):
        lanes[s * values.size + i] = values[i]


@compiled
def take(lanes, s, values):  # type: ignore[no-untyped-def]
    """Read the values of a population's neurons from the lanes of sample ``s``."""
    for i in range(values.size):
        values[i] = lanes[s * values.size + i]


@compiled(inline="always")
def emit(buffer, count, b, step, neuron, late):  # type: ignore[no-untyped-def]
    """Write a spike of sample ``b`` if there is room, and count it; its place, or -1."""
    k = count[b]
    count[b] = k + 1
    if k >= buffer.shape[1]:
        return -1
    buffer[b, k, STEP], buffer[b, k, NEURON], buffer[b, k, LATE] = step, neuron, late
    return k
