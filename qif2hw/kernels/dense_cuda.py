r"""One layer of QIF neurons on a CUDA device, forward and backward: one thread per sample and neuron.

A thread keeps its neuron's vector in registers and goes through the input spikes of its sample, in their order, with
the equations of `qif2hw.kernels.dense` and `qif2hw.kernels.dense_backward`.  What a spike adds to the gradients of
weights and of times is written for each neuron and sample apart, and summed by whoever calls: sums in a fixed order,
the same bits in every run.
"""

import math

from numba import cuda

from qif2hw import neuron
from qif2hw.kernels.steps import WIDEST

THREADS = 128
"""Threads of a block, which are neurons of one sample."""

BITS = 20
"""Lengths are scaled by a power of two when they leave ``2^-BITS`` to ``2^BITS``."""

_SHORTEST, _LONGEST = 2.0**-BITS, 2.0**BITS

_shear = cuda.jit(device=True, inline=True)(neuron.shear)
_rotate = cuda.jit(device=True, inline=True)(neuron.rotate)
_length_change = cuda.jit(device=True, inline=True)(neuron.length_change)


def blocks(batch: int, neurons: int) -> tuple[int, int]:
    """Blocks of a layer: those of neurons, for each sample."""
    return -(-neurons // THREADS), batch


@cuda.jit(device=True, inline=True)
def _shift(x, y):  # type: ignore[no-untyped-def]
    """Exponent by which a vector is to be scaled; zero for most."""
    size = abs(x) + abs(y)
    return math.frexp(size)[1] if size > _LONGEST or size < _SHORTEST else 0


@cuda.jit(device=True, inline=True)
def _scaled(value, shift):  # type: ignore[no-untyped-def]
    return math.ldexp(value, int(shift)) if shift != 0 else value


@cuda.jit
def forward(  # type: ignore[no-untyped-def]
    a, start, clock, cosine, sine, wide, row, count, turn, omega, times, length2, scale, number, end, end_scale
):  # fmt: skip
    """Run a layer.

    Parameters
    ----------
    a, start
        Weights over r (pre, post), and initial vectors (2, post).
    clock
        Times of the sample's events in order, behind a zero, (batch, events + 1), the trial's end behind them.
    cosine, sine, wide
        Of the step up to each event, and how many steps of `WIDEST` come before it (batch, events).
    row, count
        Row of ``a`` of each event; events of each sample, without the trial's end (batch,).
    turn, omega
        Cosine and sine of `WIDEST`; angular speed.
    times, length2, scale, number
        Results: spikes (batch, post, K), the squared lengths and exponents at them; their number (batch, post), which
        may be above K.
    end, end_scale
        Results: vectors (2, batch, post) at the trial's end, and their exponents.
    """
    n, b = cuda.grid(2)
    if n >= a.shape[1]:
        return
    x, y = start[0, n], start[1, n]
    exponent = spikes = 0
    for i in range(count[b] + 1):
        steps = wide[b, i]
        for step in range(steps + 1):
            c, s = (cosine[b, i], sine[b, i]) if step == steps else (turn[0], turn[1])
            x, y = _rotate(x, y, c, s)
            shift = _shift(x, y)
            if shift != 0:
                x, y = _scaled(x, -shift), _scaled(y, -shift)
                exponent += shift
            if math.copysign(1.0, y) < 0.0:
                x, y = -x, -y
                if spikes < times.shape[2]:
                    at = clock[b, i + 1] if step == steps else clock[b, i] + (step + 1) * WIDEST / omega
                    times[b, n, spikes] = at - math.atan2(float(y), float(x)) / omega
                    length2[b, n, spikes] = x * x + y * y
                    scale[b, n, spikes] = exponent
                spikes += 1
        if i < count[b]:
            x = _shear(x, y, a[row[b, i], n])
    number[b, n] = spikes
    end[0, b, n], end[1, b, n], end_scale[b, n] = x, y, exponent


@cuda.jit
def backward(  # type: ignore[no-untyped-def]
    a, start, cosine, sine, wide, row, place, count, turn, length2, scale, number, g_times, g_end, end_scale,
    later, to_weight, to_times, to_phase,
):  # fmt: skip
    r"""Turn gradients to the results into those to the arguments.

    Parameters
    ----------
    a, start, cosine, sine, wide, row, count, turn, length2, scale, number, end_scale
        As of `forward`.
    place
        Input spike of each event, in ``0 .. spikes`` (batch, spikes): live ones first, then all others.
    g_times, g_end
        Gradients to the spikes (batch, post, K), and :math:`G` at the trial's end in the units of ``end_scale``.
    later
        Scratch (batch, post, K): :math:`G` after each spike.
    to_weight, to_times
        Results (batch, spikes, post): :math:`y_i^2 G_i` and :math:`(R_{i+}^2 - R_{i-}^2) G_i`; ``to_times`` without
        rows is not asked for.
    to_phase
        Result: :math:`G_0` (batch, post).
    """
    n, b = cuda.grid(2)
    if n >= a.shape[1]:
        return
    spikes = number[b, n]
    base, base_scale = g_end[b, n], end_scale[b, n]
    for k in range(spikes - 1, -1, -1):
        later[b, n, k] = base
        base = _scaled(base, 2 * (scale[b, n, k] - base_scale)) + g_times[b, n, k] / length2[b, n, k]
        base_scale = scale[b, n, k]
    g = _scaled(base, -2 * base_scale)
    to_phase[b, n] = g
    x, y = start[0, n], start[1, n]
    exponent = fired = 0
    for i in range(count[b]):
        steps = wide[b, i]
        for step in range(steps + 1):
            c, s = (cosine[b, i], sine[b, i]) if step == steps else (turn[0], turn[1])
            x, y = _rotate(x, y, c, s)
            shift = _shift(x, y)
            if shift != 0:
                x, y, g = _scaled(x, -shift), _scaled(y, -shift), _scaled(g, 2 * shift)
                exponent += shift
            if math.copysign(1.0, y) < 0.0:
                x, y = -x, -y
                g = later[b, n, fired]
                fired += 1
                after = scale[b, n, fired] if fired < spikes else end_scale[b, n]
                g = _scaled(g, 2 * (exponent - after))
        kick = a[row[b, i], n]
        to_weight[b, place[b, i], n] = y * y * g
        if to_times.shape[1] > 0:
            to_times[b, place[b, i], n] = _length_change(x, y, kick) * g
        x = _shear(x, y, kick)
    for i in range(count[b], place.shape[1]):
        to_weight[b, place[b, i], n] = 0.0
        if to_times.shape[1] > 0:
            to_times[b, place[b, i], n] = 0.0
