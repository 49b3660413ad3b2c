r"""A population of QIF neurons with feedback of its own spikes, event by event, forward and backward.

Events are, in strict temporal order: input spikes, spikes of the population, and with a delay their arrivals.  The
neuron that fires next is the one whose vector has the smallest ``x / y``; one arc tangent gives when.

Backward replays a sample, keeping its trajectory, and goes through the events in reverse.  With ``G_n`` as in
`qif2hw.kernels.dense`, an event that shears neuron ``n`` by ``a_n`` at ``t_i`` has

.. math:: \partial L / \partial w_n = - y_n^2 G_n / (r \omega), \qquad
          \partial L / \partial t_i = \sum_n (R_{n+}^2 - R_{n-}^2) G_n ;

if it is a spike ``p`` of the population itself, that is its share in the total derivative by ``t_p``, which is
complete when the spike's own event is reached, and enters ``G`` of the neuron that fired it as
``dL/dt_p / R_p^2``: gradients through spikes of spikes of any generation.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from qif2hw import neuron
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.kernels.sorting import arrange, room_for
from qif2hw.machinecode import compiled
from qif2hw.simd import Ints

_shear = njit(inline="always")(neuron.shear)
_rotate = njit(inline="always")(neuron.rotate)
_length_change = njit(inline="always")(neuron.length_change)

INPUT, SPIKE, ARRIVAL = 0, 1, 2
_LARGE, _SMALL = 2.0**200, 2.0**-200


class Recurrent(NamedTuple):
    """Inputs and parameters: times (batch, pre * depth), weights over r by source (pre, N) and (N, N), vectors (2, N).

    The feedback has a zero diagonal where it is instantaneous: a neuron that just fired does not feel its own spike.
    """

    times: FloatArray
    a: FloatArray
    feedback: FloatArray
    start: FloatArray
    depth: int
    omega: float
    trial: float
    delay: float


class Log(NamedTuple):
    """Events of each sample (batch, room): kind, input spike or spike it is about, angle turned since the last one.

    ``events`` are their numbers (batch,), ``fired`` the neuron of each spike (batch, room).
    """

    kind: NDArray[np.int8]
    about: Ints
    angle: FloatArray
    events: IntArray
    fired: Ints


@compiled
def _turn(x, y, angle):  # type: ignore[no-untyped-def]
    c, s = math.cos(angle), math.sin(angle)
    for n in range(x.size):
        x[n], y[n] = _rotate(x[n], y[n], c, s)


@compiled
def _kick(x, y, exponent, a):  # type: ignore[no-untyped-def]
    for n in range(x.size):
        x[n] = _shear(x[n], y[n], a[n])
        largest = max(abs(x[n]), abs(y[n]))
        if largest > _LARGE or largest < _SMALL:
            shift = math.frexp(largest)[1]
            x[n], y[n] = math.ldexp(x[n], -shift), math.ldexp(y[n], -shift)
            exponent[n] += shift


@compiled
def _next(x, y):  # type: ignore[no-untyped-def]
    """Neuron that fires next, and the angle until then."""
    first, best = 0, np.inf
    for n in range(x.size):
        if y[n] < 0.0 or (y[n] == 0.0 and x[n] < 0.0):
            # On the threshold, give or take the rounding of the last turn.
            return n, 0.0
        if y[n] > 0.0 and x[n] / y[n] < best:
            first, best = n, x[n] / y[n]
    if best == np.inf:
        return first, math.pi
    return first, math.atan2(y[first], -x[first])


@compiled
def _fire(x, y, m):  # type: ignore[no-untyped-def]
    x[m], y[m] = math.hypot(x[m], y[m]), 0.0


@compiled
def forward(layer, out_times, out_theta, log):  # type: ignore[no-untyped-def]
    """Run every sample; ``out_theta`` are the angles at the trial's end, before the extra shear.

    Returns
    -------
    tuple[int, int]
        Largest numbers of spikes of a neuron and of events of a sample: with too little room for either, run again.
        -1 for a time that is negative or not a number.
    """
    times, a, feedback, start, depth, omega, trial, delay = layer
    batch, size, capacity = out_times.shape
    inputs, room = times.shape[1], log.kind.shape[1]
    order, room_to_sort = np.empty(inputs, np.int32), room_for(inputs, times)
    exponent, number, spike_time = np.empty(size, np.int32), np.empty(size, np.int64), np.empty(room)
    most_spikes, most_events = 0, 0
    out_times[:] = np.inf
    for b in range(batch):
        count = arrange(times[b], trial, room_to_sort, order)
        if count < 0:
            return -1, -1
        x, y = start[0].copy(), start[1].copy()
        exponent[:] = 0
        number[:] = 0
        now, arrived, returned, spikes, done = 0.0, 0, 0, 0, 0
        while True:
            outside = times[b, order[arrived]] if arrived < count else np.inf
            feedback_time = spike_time[returned] + delay if delay > 0.0 and returned < spikes else np.inf
            until = min(outside, feedback_time, trial)
            m, angle = _next(x, y)
            if done == room:
                # No room for the log: return much more than there is, so that it grows quickly.
                most_events = 2 * room
                break
            if now + angle / omega <= until:
                _turn(x, y, angle)
                now += angle / omega
                _fire(x, y, m)
                log.kind[b, done], log.about[b, done], log.fired[b, spikes] = SPIKE, spikes, m
                spike_time[spikes] = now
                if number[m] < capacity:
                    out_times[b, m, number[m]] = now
                number[m] += 1
                most_spikes = max(most_spikes, number[m])
                spikes += 1
                if delay == 0.0:
                    _kick(x, y, exponent, feedback[m])
            else:
                angle = omega * (until - now)
                _turn(x, y, angle)
                now = until
                if outside <= min(feedback_time, trial):
                    log.kind[b, done], log.about[b, done] = INPUT, order[arrived]
                    _kick(x, y, exponent, a[order[arrived] // depth])
                    arrived += 1
                elif feedback_time <= trial:
                    log.kind[b, done], log.about[b, done] = ARRIVAL, returned
                    _kick(x, y, exponent, feedback[log.fired[b, returned]])
                    returned += 1
                else:
                    break
            log.angle[b, done] = angle
            done += 1
        log.events[b] = done
        for n in range(size):
            out_theta[b, n] = math.atan2(max(y[n], 0.0), x[n])
    return most_spikes, most_events


@compiled(error_model="numpy")
def backward(layer, log, grad_times, grad_theta, to_times, to_a, to_feedback, to_phi0):  # type: ignore[no-untyped-def]
    """Gradients to input times, both weights (by source, still over ``r``) and initial phases."""
    _, a, feedback, start, depth, omega, _, delay = layer
    batch, size, _ = grad_times.shape
    most = max(1, log.events.max())
    path_x, path_y, unit = np.empty((most, size)), np.empty((most, size)), np.empty((most, size), np.int32)
    exponent, scale = np.empty(size, np.int32), np.empty(size, np.int32)
    g, pull, number = np.empty(size), np.empty(most), np.empty(size, np.int64)
    to_times[:] = 0.0
    to_a[:] = 0.0
    to_feedback[:] = 0.0
    to_phi0[:] = 0.0
    for b in range(batch):
        x, y = start[0].copy(), start[1].copy()
        exponent[:] = 0
        number[:] = 0
        for e in range(log.events[b]):
            _turn(x, y, log.angle[b, e])
            about = log.about[b, e]
            if log.kind[b, e] == SPIKE:
                m = log.fired[b, about]
                _fire(x, y, m)
                pull[about] = grad_times[b, m, number[m]]
                number[m] += 1
            path_x[e], path_y[e], unit[e] = x, y, exponent
            if log.kind[b, e] == INPUT:
                _kick(x, y, exponent, a[about // depth])
            elif log.kind[b, e] == ARRIVAL or delay == 0.0:
                _kick(x, y, exponent, feedback[log.fired[b, about]])
        for n in range(size):
            g[n], scale[n] = -omega * grad_theta[b, n] / (x[n] * x[n] + y[n] * y[n]), exponent[n]
        for e in range(log.events[b] - 1, -1, -1):
            kind, about = log.kind[b, e], log.about[b, e]
            for n in range(size):
                if unit[e, n] != scale[n]:
                    g[n], scale[n] = math.ldexp(g[n], 2 * (unit[e, n] - scale[n])), unit[e, n]
            if kind == INPUT:
                to_times[b, about] = _pull_back(path_x[e], path_y[e], g, a[about // depth], to_a[about // depth])
            elif kind == ARRIVAL or delay == 0.0:
                m = log.fired[b, about]
                pull[about] += _pull_back(path_x[e], path_y[e], g, feedback[m], to_feedback[m])
            if kind == SPIKE:
                m = log.fired[b, about]
                g[m] += pull[about] / (path_x[e, m] * path_x[e, m])
        for n in range(size):
            to_phi0[n] -= math.ldexp(g[n], -2 * scale[n])
    to_a /= -omega
    to_feedback /= -omega


@compiled
def _pull_back(x, y, g, a, to_a):  # type: ignore[no-untyped-def]
    """Gradient to the time of an event; adds ``y^2 G`` to ``to_a``."""
    change = 0.0
    for n in range(x.size):
        change += g[n] * _length_change(x[n], y[n], a[n])
        to_a[n] += y[n] * (y[n] * g[n])
    return change
