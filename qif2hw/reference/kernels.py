"""Compiled loops of the reference: one population at a time, all samples in parallel.

A neuron is kept as its plane vector ``(x, y)``, ``y >= 0`` (see `qif2hw.neuron`).  Between two events the
whole population turns by the same angle, so an event costs a few multiplications per neuron and one ``atan2``
per emitted spike.
"""

import math

import numba
import numpy as np
from numpy.typing import NDArray

from qif2hw import neuron
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.synapses import BySource
from qif2hw.machinecode import compiled

_rotate = numba.njit(inline="always")(neuron.rotate)
_shear = numba.njit(inline="always")(neuron.shear)


@compiled
def _turn(x: FloatArray, y: FloatArray, angle: float) -> int:
    """Rotate all vectors by an angle in [0, pi); how many left the upper half plane (or lie on its edge)."""
    c, s = math.cos(angle), math.sin(angle)
    low = 0
    for j in range(x.size):
        x[j], y[j] = _rotate(x[j], y[j], c, s)
        low += y[j] <= 0.0
    return low


@compiled
def _kick(x: FloatArray, y: FloatArray, shears: BySource, source: int) -> None:
    if shears.rows.size > 0:
        row = shears.rows[source]
        for j in range(x.size):
            x[j] = _shear(x[j], y[j], row[j])
        return
    for k in range(shears.begin[source], shears.begin[source + 1]):
        j = shears.post[k]
        x[j] = _shear(x[j], y[j], shears.weight[k])


@compiled
def _renew(x: FloatArray, y: FloatArray) -> None:
    """Scale every vector to a length near one by a power of two, which is exact."""
    for j in range(x.size):
        _, exponent = math.frexp(max(abs(x[j]), y[j]))
        x[j], y[j] = math.ldexp(x[j], -exponent), math.ldexp(y[j], -exponent)


@compiled
def _trial(
    event_time: FloatArray,
    event_channel: NDArray[np.int32],
    shears: BySource,
    phi0: FloatArray,
    omega: float,
    trial: float,
    renew: int,
    spike_time: FloatArray,
    spike_neuron: NDArray[np.int32],
    end: FloatArray,
) -> int:
    """One sample of `propagate`."""
    events, capacity = event_time.size, spike_time.size
    order = np.argsort(event_time)
    x, y = end[0], end[1]
    for j in range(phi0.size):
        x[j], y[j] = math.cos(omega * phi0[j]), math.sin(omega * phi0[j])
    now, found = 0.0, 0
    for k in range(events + 1):
        time = event_time[order[k]] if k < events else trial
        if time > now:
            angle = omega * (time - now)
            turns = int(angle / math.pi)
            angle -= turns * math.pi
            if angle < 0.0:
                turns, angle = turns - 1, angle + math.pi
            if _turn(x, y, angle) > 0 or turns > 0:
                for j in range(x.size):
                    crossings = turns
                    if y[j] < 0.0 or (y[j] == 0.0 and x[j] < 0.0):
                        x[j], y[j] = -x[j], 0.0 - y[j]
                        crossings += 1
                    for back in range(crossings - 1, -1, -1):
                        if found < capacity:
                            since = (math.atan2(y[j], x[j]) + back * math.pi) / omega
                            spike_time[found] = max(time - since, now)
                            spike_neuron[found] = j
                        found += 1
            now = time
        if k < events:
            _kick(x, y, shears, event_channel[order[k]])
        if k % renew == renew - 1:
            _renew(x, y)
    return found


@compiled(parallel=True)
def propagate(
    start: IntArray,
    event_time: FloatArray,
    event_channel: NDArray[np.int32],
    shears: BySource,
    phi0: FloatArray,
    omega: float,
    trial: float,
    renew: int,
    spike_time: FloatArray,
    spike_neuron: NDArray[np.int32],
    end: FloatArray,
    count: IntArray,
) -> None:
    """Run one population through a trial.

    Parameters
    ----------
    start, event_time, event_channel
        Arriving spikes: those of sample ``b`` are ``start[b]:start[b + 1]``, in any order, none after
        ``trial``.
    shears
        ``w / r`` of every synapse, by channel.
    phi0, omega
        Initial phases, and the angular speed.
    trial
        Length of the trial.
    renew
        Number of events after which the vectors, which only matter by their direction, are scaled back to a
        length near one.
    spike_time, spike_neuron
        Filled with the ordinary spikes, (samples, capacity), in an order that is chronological for each
        neuron.
    end
        Filled with the plane vectors at the trial's end, (samples, 2, neurons).
    count
        Filled with the number of spikes, (samples,).  Those beyond the capacity are counted and not written:
        call again with larger buffers.
    """
    for b in numba.prange(count.size):
        events = slice(start[b], start[b + 1])
        count[b] = _trial(
            event_time[events],
            event_channel[events],
            shears,
            phi0,
            omega,
            trial,
            renew,
            spike_time[b],
            spike_neuron[b],
            end[b],
        )


@compiled
def collect(
    start: IntArray,
    size: int,
    buffer_time: FloatArray,
    buffer_neuron: NDArray[np.int32],
    sample: NDArray[np.int32],
    neuron_: NDArray[np.int32],
    time: FloatArray,
) -> None:
    """Pack the buffers (samples, capacity) of `propagate` into one entry per spike, sorted by sample, neuron, time.

    ``start`` (samples + 1,) says where each sample begins in ``sample``, ``neuron_`` and ``time`` (spikes,).
    """
    position = np.empty(size + 1, np.int64)
    for b in range(start.size - 1):
        found = start[b + 1] - start[b]
        position[:] = 0
        position[0] = start[b]
        for k in range(found):
            position[buffer_neuron[b, k] + 1] += 1
        for j in range(size):
            position[j + 1] += position[j]
        for k in range(found):
            j = buffer_neuron[b, k]
            at = position[j]
            position[j] += 1
            sample[at], neuron_[at], time[at] = b, j, buffer_time[b, k]


@compiled
def place(
    position: IntArray,
    start: IntArray,
    channel: NDArray[np.int32],
    time: FloatArray,
    first_channel: int,
    into_channel: NDArray[np.int32],
    into_time: FloatArray,
) -> None:
    """Copy the spikes of one source behind those already placed, channels shifted; ``position`` moves on.

    ``position`` (samples,) is where the next spike of each sample goes, ``start`` (samples + 1,) where each sample
    begins in ``channel`` and ``time`` (spikes,).
    """
    for b in range(position.size):
        for k in range(start[b], start[b + 1]):
            into_channel[position[b]] = channel[k] + first_channel
            into_time[position[b]] = time[k]
            position[b] += 1
