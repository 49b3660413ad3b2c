r"""One layer of QIF neurons on a CUDA device, forward and backward: one thread per sample and neuron.

A thread keeps its neuron's vector in registers and goes through the events of its sample, in their order, with the
equations of `qif2hw.kernels.dense` and `qif2hw.kernels.dense_backward`.  An event is an input spike, or one of weight
zero: these bound the turn between two events, and the last one is the trial's end.  What an event adds to the gradients
of weights and of times is written for each neuron and sample apart, and summed by whoever calls: sums in a fixed order,
the same bits in every run.
"""

import math

import numpy as np
from numba import cuda

from qif2hw import neuron

THREADS = 256
"""Most threads of a block, which are neurons of one sample."""

AHEAD = 2
"""Events behind the last one that are read in advance, and not used."""

BITS = 20
"""Lengths are scaled by a power of two when they leave ``2^-BITS`` to ``2^BITS``."""

_SHORTEST, _LONGEST = 2.0**-BITS, 2.0**BITS

_shear = cuda.jit(device=True, inline=True)(neuron.shear)
_rotate = cuda.jit(device=True, inline=True)(neuron.rotate)
_length_change = cuda.jit(device=True, inline=True)(neuron.length_change)


def grid(batch: int, neurons: int) -> tuple[tuple[int, int], int]:
    """Blocks of a layer, those of neurons and of samples, and threads of each: warps, of 32, as full as can be."""
    blocks = -(-neurons // THREADS)
    return (blocks, batch), 32 * -(-neurons // (32 * blocks))


@cuda.jit(device=True, inline=True)
def _shift(x, y):  # type: ignore[no-untyped-def]
    """Exponent by which a vector is to be scaled; zero for most."""
    size = abs(x) + abs(y)
    return math.frexp(size)[1] if size > _LONGEST or size < _SHORTEST else 0


@cuda.jit(device=True, inline=True)
def _scaled(value, shift):  # type: ignore[no-untyped-def]
    return math.ldexp(value, int(shift)) if shift != 0 else value


@cuda.jit(device=True, inline=True)
def _turn(x, y, c, s):  # type: ignore[no-untyped-def]
    """A vector after a turn, in the range of lengths, and the exponent that it was scaled by."""
    x, y = _rotate(x, y, c, s)
    shift = _shift(x, y)
    return _scaled(x, -shift), _scaled(y, -shift), shift


@cuda.jit
def forward(a, start, turns, rows, live, spikes, marks, ends, counts):  # type: ignore[no-untyped-def]
    """Run a layer.

    Parameters
    ----------
    a, start
        Weights over r (pre + 1, post), the last row zero, and initial vectors (2, post).
    turns, rows
        Cosine and sine of the turn before each event (2, batch, events + `AHEAD`), and its row of ``a``.
    live
        Events of each sample (batch,).
    spikes, marks
        Results: vectors (2, batch, post, K) at the event that follows a spike, that event, and the exponent of the
        vector's length.
    ends, counts
        Results: vectors (2, batch, post) at the trial's end; spikes, which may be above K, and exponents.
    """
    n, b = cuda.grid(2)
    if n >= a.shape[1]:
        return
    n, b, room = np.uint64(n), np.uint64(b), spikes.shape[3]
    x, y = start[0, n], start[1, n]
    exponent = number = 0
    # What memory gives is asked for before it is used.
    c, s = turns[0, b, 0], turns[1, b, 0]
    kick, row = a[np.uint64(rows[b, 0]), n], np.uint64(rows[b, 1])
    for i in range(live[b]):
        after = np.uint64(i + 1)
        next_c, next_s, next_kick = turns[0, b, after], turns[1, b, after], a[row, n]
        row = np.uint64(rows[b, np.uint64(i + 2)])
        x, y, shift = _turn(x, y, c, s)
        exponent += shift
        if y < 0.0:
            x, y = -x, -y
            if number < room:
                k = np.uint64(number)
                spikes[0, b, n, k], spikes[1, b, n, k] = x, y
                marks[0, b, n, k], marks[1, b, n, k] = i, exponent
            number += 1
        x = _shear(x, y, kick)
        c, s, kick = next_c, next_s, next_kick
    ends[0, b, n], ends[1, b, n] = x, y
    counts[0, b, n], counts[1, b, n] = number, exponent


@cuda.jit
def backward(  # type: ignore[no-untyped-def]
    low, a, start, turns, rows, place, live, marks, counts, pull, g, to_weight, to_times
):
    r"""Turn gradients to the results into those to the arguments, for the samples from ``low`` on.

    Parameters
    ----------
    a, start, turns, rows, live, marks, counts
        As of `forward`.
    place
        Where the results of each event go (batch, events).
    pull
        Gradients to the times of spikes over the squared lengths there (batch, post, K); becomes :math:`G` after each
        spike.
    g
        :math:`G` at the trial's end (batch, post), in the units of ``counts``; becomes :math:`G_0`.
    to_weight, to_times
        Results (samples, events, post): :math:`y_i^2 G_i` and :math:`(R_{i+}^2 - R_{i-}^2) G_i`; ``to_times`` without
        rows is not asked for.
    """
    n, at = cuda.grid(2)
    if n >= a.shape[1]:
        return
    n, at, b = np.uint64(n), np.uint64(at), np.uint64(low + at)
    number = counts[0, b, n]
    base, scale = g[b, n], counts[1, b, n]
    for k in range(number - 1, -1, -1):
        q = np.uint64(k)
        sooner, pull[b, n, q] = pull[b, n, q], base
        base = _scaled(base, 2 * (marks[1, b, n, q] - scale)) + sooner
        scale = marks[1, b, n, q]
    base = _scaled(base, -2 * scale)
    g[b, n] = base
    x, y = start[0, n], start[1, n]
    exponent = fired = 0
    c, s = turns[0, b, 0], turns[1, b, 0]
    kick, row = a[np.uint64(rows[b, 0]), n], np.uint64(rows[b, 1])
    asked = to_times.shape[1] > 0
    for i in range(live[b]):
        after = np.uint64(i + 1)
        next_c, next_s, next_kick = turns[0, b, after], turns[1, b, after], a[row, n]
        row = np.uint64(rows[b, np.uint64(i + 2)])
        x, y, shift = _turn(x, y, c, s)
        base = _scaled(base, 2 * shift)
        exponent += shift
        if y < 0.0:
            x, y = -x, -y
            base = pull[b, n, np.uint64(fired)]
            fired += 1
            scale = marks[1, b, n, np.uint64(fired)] if fired < number else counts[1, b, n]
            base = _scaled(base, 2 * (exponent - scale))
        e = np.uint64(place[b, np.uint64(i)])
        to_weight[at, e, n] = y * y * base
        if asked:
            to_times[at, e, n] = _length_change(x, y, kick) * base
        x = _shear(x, y, kick)
        c, s, kick = next_c, next_s, next_kick
    for i in range(live[b], place.shape[1]):
        e = np.uint64(place[b, np.uint64(i)])
        to_weight[at, e, n] = 0.0
        if asked:
            to_times[at, e, n] = 0.0
