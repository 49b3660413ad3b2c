r"""One layer of QIF neurons in the algebra of truncated Taylor polynomials, forward and backward.

A *jet* is a value with its derivatives along a few directions: coefficient 0 is the value, ``i = 1 .. n`` the first
derivatives, then one coefficient per chosen pair ``(i, j)``, the second derivative.  Input spike times are jets, and
so are the output spike times; weights are numbers.

The recurrence is linear in the plane vector ``z`` (see `qif2hw.neuron`) with matrices of determinant 1, so a small
turn at any event has the same effect on the direction of ``z`` as some turn ``sigma`` at the start.  The kernel
carries, next to ``z``, one more solution ``Y`` of the same recurrence with ``det(z, Y) = 1``, and ``sigma`` as a jet:

.. math:: R^2 = |z|^2, \quad e = z \cdot Y, \quad S_i = \sigma_i, \quad G_{ij} = \sigma_{ij}

A shear leaves ``S`` and ``G`` as they are; a rotation by an angle with derivatives ``phi_i, phi_ij`` adds

.. math:: S_i \mathrel{+}= \varphi_i R^2, \qquad
          G_{ij} \mathrel{+}= \varphi_{ij} R^2 + 2 e (\varphi_i h_j + \varphi_j h_i), \quad h = S + \varphi R^2 / 2,

and the angle's own derivatives are ``theta_i = S_i / R^2``, ``theta_ij = (G_ij - 2 S_i S_j e / R^2) / R^2``.  The time
of a spike follows from the angle ``theta`` turned since, ``t = t_step - theta / omega``, a linear equation.

``Y`` is unique up to a multiple of ``z``: when lengths have grown, both are scaled by powers of two and ``Y`` is put at
a right angle to ``z`` again, so that no digits are lost.  The adjoint is in `qif2hw.kernels.jets_adjoint`.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit, prange

from qif2hw import neuron
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.kernels.sorting import arrange, room_for
from qif2hw.kernels.steps import polar_angles, steps, turn
from qif2hw.machinecode import compiled, for_one_thread_and_all
from qif2hw.simd import Ints, below_zero, load, lowest_bit, splat, store, width

_shear = njit(inline="always")(neuron.shear)
_rotate = njit(inline="always")(neuron.rotate)
_turn_second = njit(inline="always")(neuron.turn_second)
_angle_second = njit(inline="always")(neuron.angle_second)

REBASE_AFTER = 8.0
"""Growth of a vector, in bits, after which ``Y`` is put at a right angle to it."""


class JetLayer(NamedTuple):
    """Inputs and parameters: as `qif2hw.kernels.buffers.Layer`, with jets of times (coefficients, batch, pre * depth).

    ``left[p], right[p]`` are the directions, from 0, of the ``p``-th second derivative; ``n`` is the number of
    directions.
    """

    times: FloatArray
    a: FloatArray
    growth: FloatArray
    start: FloatArray
    left: IntArray
    right: IntArray
    n: int
    depth: int
    r: float
    omega: float
    trial: float
    most: int


class JetRecord(NamedTuple):
    """For the backward kernel: order of events, and ``R^2, e, |Y|^2, S, G`` at output spikes and at the trial's end."""

    order: Ints
    events: Ints
    fired: Ints
    fired_by: Ints
    fired_in: Ints
    at_spike: FloatArray
    at_end: FloatArray


@compiled
def angles_of_steps(times, b, many, source, omega, now, phi):  # type: ignore[no-untyped-def]
    """Derivatives of every step's time, ``now``, and of its angle, ``phi`` (steps, coefficients)."""
    for i in range(many):
        for m in range(1, times.shape[0]):
            before = now[i - 1, m] if i > 0 else 0.0
            if source[i] >= 0:
                now[i, m] = times[m, b, source[i]]
            else:
                # A step that only divides a wide gap lies a constant time after the one before; the last one is at T.
                now[i, m] = before if i < many - 1 else 0.0
            phi[i, m] = omega * (now[i, m] - before)


@compiled
def begin(start, state, pad, rows):  # type: ignore[no-untyped-def]
    """Rows ``x, y`` of ``state`` as at time 0, ``Y`` at a right angle, no derivatives yet."""
    state[: rows * pad] = 0.0
    for n in range(pad):
        state[n], state[pad + n] = start[0, n], start[1, n]
        state[2 * pad + n], state[3 * pad + n] = -start[1, n], start[0, n]


@compiled
def advance(old, source, new, target, a, row, pad, c, s, phi, n, left, right):  # type: ignore[no-untyped-def]
    """Shear by a row of the weights, then rotate: from ``old[source:]`` to ``new[target:]``, rows z, Y, S, G."""
    cosine, sine = splat(a, c), splat(a, s)
    for v in range(0, pad, width(a)):
        kick = load(a, row + v)
        y, dual_y = load(old, source + pad + v), load(old, source + 3 * pad + v)
        x, y = _rotate(_shear(load(old, source + v), y, kick), y, cosine, sine)
        dual_x, dual_y = _rotate(_shear(load(old, source + 2 * pad + v), dual_y, kick), dual_y, cosine, sine)
        store(new, target + v, x)
        store(new, target + pad + v, y)
        store(new, target + 2 * pad + v, dual_x)
        store(new, target + 3 * pad + v, dual_y)
        r2, e = x * x + y * y, x * dual_x + y * dual_y
        for p in range(left.size):
            i, j, k = left[p], right[p], (4 + n + p) * pad + v
            first, other = load(old, source + (4 + i) * pad + v), load(old, source + (4 + j) * pad + v)
            fi, fj, fij = splat(a, phi[1 + i]), splat(a, phi[1 + j]), splat(a, phi[1 + n + p])
            store(new, target + k, load(old, source + k) + _turn_second(fi, fj, fij, first, other, e, r2))
        for i in range(n):
            k = (4 + i) * pad + v
            store(new, target + k, load(old, source + k) + splat(a, phi[1 + i]) * r2)


@compiled
def _invariants(state, at, pad, m):  # type: ignore[no-untyped-def]
    x, y, dual_x, dual_y = state[at + m], state[at + pad + m], state[at + 2 * pad + m], state[at + 3 * pad + m]
    return x * x + y * y, x * dual_x + y * dual_y, dual_x * dual_x + dual_y * dual_y


@compiled
def frame(state, at, pad, m):  # type: ignore[no-untyped-def]
    """Scale ``kappa``, a power of two, and multiple ``c`` of `rebase` for neuron ``m``."""
    r2, e, _ = _invariants(state, at, pad, m)
    return math.ldexp(1.0, -math.frexp(max(abs(state[at + m]), abs(state[at + pad + m])))[1]), -e / r2


@compiled(error_model="numpy")
def rebase(state, at, pad, post, n, left, right):  # type: ignore[no-untyped-def]
    """``z -> kappa z``, ``Y -> (Y + c z) / kappa`` at a right angle to ``z``, and ``S, G`` with them."""
    for m in range(post):
        kappa, c = frame(state, at, pad, m)
        for p in range(left.size):
            k = at + (4 + n + p) * pad + m
            both = state[at + (4 + left[p]) * pad + m] * state[at + (4 + right[p]) * pad + m]
            state[k] = kappa * kappa * (state[k] + 2.0 * c * both)
        for i in range(n):
            state[at + (4 + i) * pad + m] *= kappa * kappa
        for k in (at + m, at + pad + m):
            state[k + 2 * pad] = (state[k + 2 * pad] + c * state[k]) / kappa
            state[k] *= kappa


@compiled
def _note(state, pad, m, rows, into):  # type: ignore[no-untyped-def]
    into[0], into[1], into[2] = _invariants(state, 0, pad, m)
    for k in range(4, rows):
        into[k - 1] = state[k * pad + m]


def _forward(layer, chunks, out_times, out_theta, record):  # type: ignore[no-untyped-def]
    """Run every sample; returns as `qif2hw.kernels.dense.forward_layer` does."""
    batch = layer.times.shape[1]
    largest = np.zeros(chunks, np.int64)
    for chunk in prange(chunks):
        largest[chunk] = _forward_share(
            chunk * batch // chunks, (chunk + 1) * batch // chunks, layer, out_times, out_theta, record
        )
    return -1 if largest.min() < 0 else largest.max()


forward, forward_parallel = for_one_thread_and_all(_forward)


@compiled(error_model="numpy")
def _forward_share(low, high, layer, out_times, out_theta, record):  # type: ignore[no-untyped-def]
    times, a, growth, start, left, right, n, depth, _, omega, trial, most = layer
    size, _, post, capacity = out_times.shape
    pad, rows = start.shape[1], 3 + size
    room, pre = record.fired_by.shape[1], growth.size - 1
    cosine, sine, step_time, angle = np.empty(most), np.empty(most), np.empty(most), np.empty(most)
    row, source, room_to_sort = np.empty(most, np.int32), np.empty(most, np.int32), room_for(most, start)
    now, phi = np.empty((most, size)), np.empty((most, size))
    state = np.empty(rows * pad)
    late_x, late_y, late = np.empty(max(room, pad)), np.empty(max(room, pad)), np.empty(max(room, pad))
    number = np.empty(pad, np.int32)
    largest = 0
    for b in range(low, high):
        value, order = times[0, b], record.order[b]
        count = arrange(value, trial, room_to_sort, order)
        if count < 0:
            return -1
        record.events[b] = count
        many = steps(value, order, count, depth, pre, trial, omega, step_time, angle, row, source)
        turn(angle, many, cosine, sine)
        angles_of_steps(times, b, many, source, omega, now, phi)
        begin(start, state, pad, rows)
        number[:] = 0
        spikes, before, grown = 0, pre * pad, 0.0
        for i in range(many):
            if grown > REBASE_AFTER:
                rebase(state, 0, pad, post, n, left, right)
                grown = 0.0
            advance(state, 0, state, 0, a, before, pad, cosine[i], sine[i], phi[i], n, left, right)
            for v in range(0, pad, width(a)):
                crossed = below_zero(load(state, pad + v))
                while crossed != 0:
                    m = v + lowest_bit(crossed)
                    crossed &= crossed - np.uint64(1)
                    for k in range(m, 4 * pad, pad):
                        state[k] = -state[k]
                    if spikes < room:
                        late_x[spikes], late_y[spikes] = state[m], state[pad + m]
                        record.fired_by[b, spikes], record.fired_in[b, spikes] = m, i
                        _note(state, pad, m, rows, record.at_spike[b, spikes])
                    spikes += 1
            before = row[i] * pad
            grown += growth[row[i]]
        if spikes > room:
            largest = max(largest, capacity + 1)
            spikes = room
        record.fired[b] = spikes
        polar_angles(late_x, late_y, spikes, late)
        out_times[0, b] = np.inf
        out_times[1:, b] = 0.0
        for q in range(spikes):
            m, i = record.fired_by[b, q], record.fired_in[b, q]
            if number[m] < capacity:
                at, slot = record.at_spike[b, q], number[m]
                out_times[0, b, m, slot] = step_time[i] - late[q] / omega
                for k in range(1, size):
                    out_times[k, b, m, slot] = now[i, k] - _angle_coefficient(at, k, n, left, right) / omega
            number[m] += 1
            largest = max(largest, number[m])
        polar_angles(state[:pad], state[pad : 2 * pad], post, late)
        for m in range(post):
            _note(state, pad, m, rows, record.at_end[b, m])
            out_theta[0, b, m] = late[m]
            for k in range(1, size):
                out_theta[k, b, m] = _angle_coefficient(record.at_end[b, m], k, n, left, right)
    return largest


@compiled(error_model="numpy")
def _angle_coefficient(at, k, n, left, right):  # type: ignore[no-untyped-def]
    """Coefficient ``k`` of the angle from ``R^2, e, |Y|^2, S, G``."""
    if k <= n:
        return at[2 + k] / at[0]
    p = k - n - 1
    return _angle_second(at[2 + k], at[3 + left[p]], at[3 + right[p]], at[1], at[0])
