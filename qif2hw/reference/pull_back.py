"""Compiled loop of the derivatives: one block of neurons of a population, all samples in parallel.

A neuron is kept as its plane vector, whose length only matters relative to what it was before: it starts at 1 and is
scaled back by powers of two where shears are so large that its square would leave the range of float64.
"""

import math
from typing import Any

import numba
import numpy as np

from qif2hw import neuron
from qif2hw.machinecode import compiled

_rotate = numba.njit(inline="always")(neuron.rotate)
_shear = numba.njit(inline="always")(neuron.shear)
_length_change = numba.njit(inline="always")(neuron.length_change)
_weight_slope = numba.njit(inline="always")(neuron.spike_weight_slope)
_phase_slope = numba.njit(inline="always")(neuron.spike_phase_slope)


# Sums may be taken in the order of the vector instructions; what is not finite stays so.
@compiled(parallel=True, error_model="numpy", fastmath={"reassoc", "contract", "arcp"})
def pull_back(  # type: ignore[no-untyped-def]
    start: Any, time: Any, channel: Any, shears: Any, psi: Any, begin: Any, r: float, omega: float, trial: float,
    renew: int, own_start: Any, own_time: Any, pull_time: Any, pull_end: Any, low: int,
    to_weight: Any, to_phi0: Any, to_time: Any, to_psi: Any,
):  # fmt: skip
    """Derivatives of spike times and final angles become those of weights, phases, input times and pseudo-phases.

    Parameters
    ----------
    start, time, channel
        Input spikes in temporal order; those of sample ``b`` are ``start[b]:start[b + 1]``.
    shears
        ``w / r`` of the block, (channels, neurons).
    psi
        Pseudo-phases of the sources, (samples, channels).
    begin
        Plane vectors at the start, of length 1, (2, neurons).
    r, omega, trial
        Of the population, and the trial's length.
    renew
        Number of input spikes after which lengths are scaled back.
    own_start, own_time
        Output spikes of the population sorted by sample, neuron, time: those of neuron ``i`` in sample ``b`` begin at
        ``own_start[b * neurons + i]``.
    pull_time, pull_end
        What arrived from above for output spikes (spikes, rows) and final angles (samples, neurons, rows).
    low
        First neuron of the block.
    to_weight
        Filled: (samples, rows, channels, block), zero before; empty if it is not wanted.
    to_phi0
        Filled at the block: (samples, rows, neurons).
    to_time, to_psi
        Added to: (input spikes, rows) and (samples, channels, rows); empty if they are not wanted.
    """
    channels, size = shears.shape
    rows, posts = pull_time.shape[1], pull_end.shape[1]
    for b in numba.prange(start.size - 1):
        first, events = start[b], start[b + 1] - start[b]
        times = time[first : first + events]
        height, change = np.empty((events, size)), np.empty((events, size))
        scale = np.empty((events // renew + 1, size))
        spike = own_start[b * posts + low]
        spikes = own_start[b * posts + low + size] - spike
        spiking, before, length2 = np.empty(spikes, np.int64), np.empty(spikes, np.int64), np.empty(spikes)
        for i in range(size):
            for k in range(own_start[b * posts + low + i] - spike, own_start[b * posts + low + i + 1] - spike):
                spiking[k], before[k] = i, np.searchsorted(times, own_time[spike + k])
        order = np.argsort(before, kind="mergesort")
        x, y = begin[0].copy(), begin[1].copy()
        now, seen = 0.0, 0
        for e in range(events):
            while seen < spikes and before[order[seen]] <= e:
                k = order[seen]
                length2[k] = x[spiking[k]] ** 2 + y[spiking[k]] ** 2
                seen += 1
            c, s = math.cos(omega * (times[e] - now)), math.sin(omega * (times[e] - now))
            now = times[e]
            kick, up, grow = shears[channel[first + e]], height[e], change[e]
            for i in range(size):
                turned, risen = _rotate(x[i], y[i], c, s)
                up[i], grow[i] = risen, _length_change(turned, risen, kick[i])
                x[i], y[i] = _shear(turned, risen, kick[i]), risen
            if e % renew == renew - 1:
                for i in range(size):
                    shift = math.frexp(max(abs(x[i]), abs(y[i])))[1]
                    x[i], y[i] = math.ldexp(x[i], -shift), math.ldexp(y[i], -shift)
                    scale[e // renew, i] = math.ldexp(1.0, -2 * shift)
        while seen < spikes:
            k = order[seen]
            length2[k] = x[spiking[k]] ** 2 + y[spiking[k]] ** 2
            seen += 1
        c, s = math.cos(omega * (trial - now)), math.sin(omega * (trial - now))
        flush = np.zeros(size)
        for j in range(channels):
            if psi[b, j] != 0.0:
                for i in range(size):
                    flush[i] += psi[b, j] * shears[j, i]
        rise, slope = np.empty((rows, size)), np.empty(size)
        for i in range(size):
            x[i], y[i] = _rotate(x[i], y[i], c, s)
            flush[i] = _shear(x[i], y[i], flush[i]) ** 2 + y[i] ** 2
        for q in range(rows):
            some = False
            for i in range(size):
                # t' = T + (pi - theta') / omega stands for the final angle.
                rise[q, i] = -omega * pull_end[b, low + i, q] / flush[i]
                slope[i] = _weight_slope(y[i], 1.0, r, omega) * rise[q, i]
                some = some or slope[i] != 0.0
            for j in range(channels if some else 0):
                if to_weight.size and psi[b, j] != 0.0:
                    weight = to_weight[b, q, j]
                    for i in range(size):
                        weight[i] += slope[i] * psi[b, j]
                if to_psi.size:
                    total = 0.0
                    for i in range(size):
                        total += slope[i] * shears[j, i]
                    to_psi[b, j, q] += total * r
        for e in range(events - 1, -1, -1):
            while seen > 0 and before[order[seen - 1]] > e:
                seen -= 1
                k = order[seen]
                for q in range(rows):
                    rise[q, spiking[k]] += pull_time[spike + k, q] / length2[k]
            if e % renew == renew - 1:
                for q in range(rows):
                    for i in range(size):
                        rise[q, i] *= scale[e // renew, i]
            up, grow = height[e], change[e]
            for q in range(rows):
                gain = rise[q]
                if to_weight.size:
                    weight = to_weight[b, q, channel[first + e]]
                    for i in range(size):
                        weight[i] += _weight_slope(up[i], 1.0, r, omega) * gain[i]
                if to_time.size:
                    total = 0.0
                    for i in range(size):
                        total += grow[i] * gain[i]
                    to_time[first + e, q] += total
        while seen > 0:
            seen -= 1
            k = order[seen]
            for q in range(rows):
                rise[q, spiking[k]] += pull_time[spike + k, q] / length2[k]
        for q in range(rows):
            for i in range(size):
                to_phi0[b, q, low + i] = _phase_slope(1.0) * rise[q, i]
