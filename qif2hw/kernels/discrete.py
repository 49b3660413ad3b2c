"""Neurons in discrete time, forward and backward over all steps of a population in one pass.

Arrays are (steps, neurons).  Neurons are dealt out in blocks whose size does not depend on the number of threads, so
sums over neurons have the same bits on any number of them.  ``parameters`` are in the order of `PARAMETERS`.
"""

from numba import njit, prange

from qif2hw.discrete import maps
from qif2hw.machinecode import for_one_thread_and_all

PARAMETERS = ("centre", "c0", "c1", "c2", "d0", "d1", "gain", "threshold", "reset")
"""What a neuron is to the kernels: its `Relaxation`, gain of the input, threshold and reset."""

BLOCK = 2048
"""Neurons that go through all steps together; their states stay in the first cache."""

_potential = njit(inline="always")(maps.potential)
_relax = njit(inline="always")(maps.relax)
_relax_slope = njit(inline="always")(maps.relax_slope)


def blocks(neurons: int) -> int:
    """Number of blocks of a population."""
    return -(-neurons // BLOCK)


def _forward(x, u, v, s, parameters):  # type: ignore[no-untyped-def]
    """Write spikes ``s`` and potentials ``v``, one row per step; move the states ``u`` from start to end.

    ``x`` has one row per step, or one row that holds for all; ``v`` has as many, or one row that is written over.
    """
    centre, c0, c1, c2, d0, d1, gain, threshold, reset = parameters
    for block in prange(-(-u.size // BLOCK)):
        low, high = block * BLOCK, min(u.size, (block + 1) * BLOCK)
        for t in range(s.shape[0]):
            given, potentials, spikes = x[t % x.shape[0]], v[t % v.shape[0]], s[t]
            for i in range(low, high):
                y = _potential(_relax(u[i] - centre, c0, c1, c2, d0, d1), given[i], centre, gain)
                potentials[i] = y
                if y >= threshold:
                    spikes[i] = 1.0
                    u[i] = reset
                else:
                    # 0, but not a number where the potential is not finite.
                    spikes[i] = y - y
                    u[i] = y


def _backward(v, start, g, gu, x, window, rates, jump, parameters, gx, sums):  # type: ignore[no-untyped-def]
    """Gradients of inputs, first states and parameters, from those of spikes and last states.

    Parameters
    ----------
    v, start
        Potentials of all steps, and the states before the first.
    g, gu
        Gradients of spikes (steps, neurons), and of the last states (neurons,); ``gu`` becomes that of the first.
    x
        Inputs as in the forward pass; used for ``sums`` alone.
    window, rates
        Half width ``h`` of the surrogate in each step, and ``1 / (2 h)``.
    jump
        ``threshold - reset``, or 0 if the reset is not differentiated.
    gx
        Gradients of the inputs; with one row, the sum over steps.
    sums
        Gradients of the parameters (blocks, parameters) in float64; empty if they are not needed.
    """
    centre, c0, c1, c2, d0, d1, gain, threshold, reset = parameters
    zero = threshold - threshold
    steps = v.shape[0]
    for block in prange(-(-start.size // BLOCK)):
        low, high = block * BLOCK, min(start.size, (block + 1) * BLOCK)
        for t in range(steps - 1, -1, -1):
            half, rate = window[t], rates[t]
            potentials, outer, to = v[t], g[t], gx[t % gx.shape[0]]
            before = v[t - 1] if t > 0 else start
            if sums.shape[0] > 0:
                given = x[t % x.shape[0]]
                for i in range(low, high):
                    y = potentials[i]
                    fired = y >= threshold
                    surrogate = rate if abs(y - threshold) < half else zero
                    at_threshold = (outer[i] - gu[i] * jump) * surrogate
                    gv = at_threshold + (zero if fired else gu[i])
                    u = reset if before[i] >= threshold else before[i]
                    w = u - centre
                    relaxed = _relax(w, c0, c1, c2, d0, d1)
                    share = gv / (d0 + d1 * w)
                    sums[block, 0] += gv * (1.0 - _relax_slope(w, relaxed, c1, c2, d0, d1))
                    sums[block, 1] += share
                    sums[block, 2] += share * w
                    sums[block, 3] += share * w * w
                    sums[block, 4] -= share * relaxed
                    sums[block, 5] -= share * relaxed * w
                    sums[block, 6] += gv * given[i]
                    sums[block, 7] -= at_threshold
                    sums[block, 8] += gu[i] if fired else zero
            sum_up = gx.shape[0] == 1 and t < steps - 1
            for i in range(low, high):
                y = potentials[i]
                surrogate = rate if abs(y - threshold) < half else zero
                gv = (outer[i] - gu[i] * jump) * surrogate + (zero if y >= threshold else gu[i])
                to[i] = gain * gv + (to[i] if sum_up else zero)
                u = reset if before[i] >= threshold else before[i]
                w = u - centre
                gu[i] = gv * _relax_slope(w, _relax(w, c0, c1, c2, d0, d1), c1, c2, d0, d1)


forward, forward_parallel = for_one_thread_and_all(_forward, error_model="numpy")
backward, backward_parallel = for_one_thread_and_all(_backward, error_model="numpy")
