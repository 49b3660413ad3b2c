r"""One layer of QIF neurons, forward and backward: the compiled kernels behind `qif2hw.nn.functional.dense`.

Each neuron is a plane vector (see `qif2hw.neuron`): an input spike shears it, time rotates it by an angle
whose sine and cosine the layer shares, and it fires when ``y`` turns negative, whereupon both coordinates
are negated.  The kernels keep ``x`` and ``y`` of all neurons of a sample in two arrays and treat 64 bytes of
them at a time.

The backward kernel runs the same recurrence again.  With :math:`G_i = \sum_{k > i} g_k / R_k^2` over the
output spikes ``k`` after input event ``i`` (``g_k`` the loss's derivative with respect to their times),

.. math:: \partial L / \partial w_i = - y_i^2 G_i / (r \omega), \quad
          \partial L / \partial t_i = (R_{i+}^2 - R_{i-}^2) G_i, \quad
          \partial L / \partial \phi_0 = - G_0 .

A neuron whose length leaves the safe range is scaled by an exact power of two:
``length = 2^exponent * stored length``.
"""

import math

import numpy as np
from numba import njit

from qif2hw import neuron
from qif2hw.kernels.buffers import Workspace
from qif2hw.kernels.flush import TOGETHER, back_through_last_shear, last_shear
from qif2hw.kernels.sorting import arrange, room_for, settle
from qif2hw.kernels.steps import polar_angles, steps, turn
from qif2hw.machinecode import compiled
from qif2hw.simd import (
    aligned,
    below_zero,
    greatest,
    load,
    lowest_bit,
    maximum,
    mirrored,
    splat,
    store,
    total,
    width,
)

BLOCK = 64
"""Neurons whose spikes are the bits of one integer."""

TWICE = 16384
"""Bytes up to which vectors before and after a step lie apart: beyond, they would fill a first cache of 32 kB."""

_shear = njit(inline="always")(neuron.shear)
_rotate = njit(inline="always")(neuron.rotate)
_length_change = njit(inline="always")(neuron.length_change)


@compiled(error_model="numpy")
def prepare(weight, phi0, r, omega, a, growth, start):  # type: ignore[no-untyped-def]
    """Fill ``a`` (pre + 1, padded post), ``growth`` and ``start`` of a `qif2hw.kernels.buffers.Layer`."""
    post, pre = weight.shape
    pad = a.shape[1]
    for j in range(pre + 1):
        for n in range(pad):
            a[j, n] = 0.0
        if j < pre:
            # One loop to transpose and one to divide: together they do not vectorise.
            for n in range(post):
                a[j, n] = weight[n, j]
            if r != 1.0:
                for n in range(post):
                    a[j, n] /= r
        strongest = splat(a, 0.0)
        for v in range(0, pad, width(a)):
            change = load(a[j], v)
            strongest = maximum(strongest, mirrored(change, change))
        growth[j] = math.log2(1.0 + greatest(strongest))
    for n in range(a.shape[1]):
        start[0, n] = math.cos(omega * phi0[n]) if n < post else 0.0
        start[1, n] = math.sin(omega * phi0[n]) if n < post else 0.0


@compiled
def workspace(spikes, most, pad, like):  # type: ignore[no-untyped-def]
    """Scratch arrays for ``spikes`` spikes, ``most`` steps and ``pad`` neurons, with the element type of ``like``."""
    size = max(spikes, most, pad)
    real, rest, whole = np.empty((5, size)), np.empty((2, size), like.dtype), np.empty((5, size), np.int32)
    vectors = aligned((2 * TOGETHER + 3) * pad, like)
    return Workspace(
        vectors[pad:], vectors[:pad], np.zeros(pad // BLOCK + 1, np.uint64),
        whole[0], whole[1], real[0], real[1], whole[2], room_for(spikes, like),
        real[2], real[3], real[4], rest[0], whole[3], rest[1], whole[4],
    )  # fmt: skip


@compiled
def _scaled(value, exponent):  # type: ignore[no-untyped-def]
    return value if exponent == 0 else math.ldexp(value, exponent)


@compiled
def _renormalise(x, y, size, exponent):  # type: ignore[no-untyped-def]
    for n in range(size):
        shift = math.frexp(max(abs(x[n]), abs(y[n])))[1]
        x[n] = math.ldexp(x[n], -shift)
        y[n] = math.ldexp(y[n], -shift)
        exponent[n] += shift


@compiled(inline="always")
def _record(work, record, b, step, at, pad, block, spikes, room):  # type: ignore[no-untyped-def]
    """Write down the spikes of a block of neurons in a step, whose vectors begin ``at``; returns how many by now."""
    bits = work.crossed[block // BLOCK]
    while bits != 0:
        n = np.uint64(block + lowest_bit(bits))
        bits &= bits - np.uint64(1)
        if spikes < room:
            e = np.uint64(spikes)
            work.late_x[e], work.late_y[e] = work.state[np.uint64(at) + n], work.state[np.uint64(at + pad) + n]
            record.fired_by[b, e], record.fired_in[b, e], record.scale[b, e] = n, step, work.exponent[n]
        spikes += 1
    return spikes


@compiled(error_model="numpy")
def forward_layer(low, high, layer, sequence, count, out, record, work):  # type: ignore[no-untyped-def]
    """Run a layer on the samples from ``low`` to ``high``.

    ``sequence`` (batch, pre * depth) and ``count`` (batch,) say where in ``layer.times`` the input spikes are, almost
    in temporal order, unless ``count`` is -1.  ``record.place`` and ``record.fired`` become the same of output spikes.

    Returns
    -------
    int
        Largest number of spikes of a neuron, above K if the results are incomplete; -1 if an input time is
        negative or not a number.
    """
    times, psi, a, growth, start, depth, omega, trial, limit = layer
    out_times, out_psi, out_next = out
    many, cosine, sine, row, source, fired, fired_by, fired_in, place, length2, _, end_length2, end_scale = record
    post = out_psi.shape[1]
    room = out_times.shape[1]
    capacity = room // post
    pre = psi.shape[1]
    pad = start.shape[1]
    state, crossed, exponent, number = work.state, work.crossed, work.exponent, work.number
    step_time, angle, order = work.step_time, work.angle, work.order
    late_x, late_y, late = work.late_x, work.late_y, work.late
    largest = 0
    for b in range(low, high):
        if count[b] < 0:
            events = arrange(times[b], trial, work.room, order)
        else:
            events = settle(times[b], trial, work.room, order, sequence[b], count[b])
        if events < 0:
            return -1
        many[b] = steps(times[b], order, events, depth, pre, trial, omega, step_time, angle, row[b], source[b])
        turn(angle, many[b], cosine[b], sine[b])
        # The vectors lie in two places by turns, and come to rest in that of the sample.
        waiting = (b - low) % TOGETHER
        now = then = 2 * pad * waiting
        if 4 * pad * a.itemsize <= TWICE:
            now, then = (2 * pad * TOGETHER, then) if many[b] % 2 else (now, 2 * pad * TOGETHER)
        for v in range(0, pad, width(a)):
            store(state, now + v, load(start[0], v))
            store(state, now + pad + v, load(start[1], v))
        for n in range(pad):
            exponent[n], number[n] = 0, 0
        crossed[:] = 0
        spikes = 0
        before = pre * pad
        grown = 0.0
        for i in range(many[b] + 1):
            if i == many[b] or grown > limit or now == then:
                for block in range(0, pad, BLOCK):
                    spikes = _record(work, record, b, i - 1, now, pad, block, spikes, room)
                    crossed[block // BLOCK] = 0
                if i == many[b]:
                    break
                if grown > limit:
                    _renormalise(state[now : now + pad], state[now + pad : now + 2 * pad], post, exponent)
                    grown = 0.0
            c, s = splat(state, cosine[b, i]), splat(state, sine[b, i])
            for block in range(0, pad, BLOCK):
                fires = np.uint64(0)
                for v in range(block, min(block + BLOCK, pad), width(a)):
                    here, height = load(state, now + v), load(state, now + pad + v)
                    here, height = _rotate(_shear(here, height, load(a, before + v)), height, c, s)
                    fires |= below_zero(height) << np.uint64(v - block)
                    store(state, then + v, mirrored(here, height))
                    store(state, then + pad + v, mirrored(height, height))
                # Spikes are written down a step later: its arithmetic hides the cost of mispredicted branches.
                spikes = _record(work, record, b, i - 1, now, pad, block, spikes, room)
                crossed[block // BLOCK] = fires
            now, then = then, now
            before = row[b, i] * pad
            grown += growth[row[b, i]]
        if spikes > room:
            largest = max(largest, capacity + 1)
            spikes = room
        fired[b] = spikes
        polar_angles(late_x, late_y, spikes, late)
        for q in range(room):
            out_times[b, q] = np.inf
        for e in range(spikes):
            length2[b, e] = late_x[e] * late_x[e] + late_y[e] * late_y[e]
            late[e] /= omega
        for e in range(spikes):
            own = np.uint32(fired_by[b, e])
            k = number[own]
            number[own] = k + 1
            if k < capacity:
                at = own * np.uint32(capacity) + np.uint32(k)
                place[b, e] = at
                out_times[b, at] = step_time[np.uint32(fired_in[b, e])] - late[e]
        for n in range(post):
            largest = max(largest, number[n])
        for n in range(post):
            end_scale[b, n] = exponent[n]
        if waiting + 1 < TOGETHER and b + 1 < high:
            continue
        first = b - waiting
        last_shear(state, waiting + 1, psi, first, a, pad)
        for e in range(first, b + 1):
            at = 2 * pad * (e - first)
            x, y = state[at : at + pad], state[at + pad : at + 2 * pad]
            polar_angles(x, y, post, late)
            for n in range(post):
                out_psi[e, n] = late[n] / np.pi
                out_next[e, n] = trial + (np.pi - late[n]) / omega
                end_length2[e, n] = x[n] * x[n] + y[n] * y[n]
    return largest


@compiled(error_model="numpy")
def backward_layer(low, high, layer, record, grad, to_times, to_psi, weights, phases, work):  # type: ignore[no-untyped-def]
    """Turn gradients with respect to the results of `forward_layer` into those with respect to its arguments.

    ``weights`` and ``phases`` become this share of those to ``weight.T`` and ``phi0``, to be multiplied with
    ``-1 / (r omega)`` and -1.
    """
    psi, a, growth, start, omega, limit = layer.psi, layer.a, layer.growth, layer.start, layer.omega, layer.limit
    many, cosine, sine, row, source, fired, fired_by, fired_in, place, length2, scale, end_length2, end_scale = record
    grad_times, grad_psi, grad_next = grad
    post = grad_psi.shape[1]
    pre = psi.shape[1]
    pad = start.shape[1]
    x, y, exponent = work.state[:pad], work.state[pad : 2 * pad], work.exponent
    g, base, base_scale, rest, rest_scale = work.g, work.base, work.base_scale, work.rest, work.rest_scale
    weights[:] = 0.0
    phases[:] = 0.0
    g[:pad] = 0.0
    for b in range(low, high):
        for n in range(pad):
            x[n], y[n], exponent[n] = start[0, n], start[1, n], 0
        # base: G for lengths in units of 2^base_scale; g: the same in the present units of each neuron.
        spikes = fired[b]
        flush = scaled = False
        for n in range(post):
            base[n] = (grad_next[b, n] - grad_psi[b, n] * (omega / np.pi)) / end_length2[b, n]
        for n in range(post):
            flush |= base[n] != 0.0
        for n in range(post):
            base_scale[n] = end_scale[b, n]
            scaled |= end_scale[b, n] != 0
        for e in range(spikes):
            rest[e] = grad_times[b, np.uint32(place[b, e])]
        for e in range(spikes):
            rest[e] /= length2[b, e]
            scaled |= scale[b, e] != 0
        if scaled:
            for e in range(spikes - 1, -1, -1):
                own = np.uint32(fired_by[b, e])
                more, later = rest[e], base[own]
                rest[e], rest_scale[e] = later, base_scale[own]
                base[own] = more + _scaled(later, 2 * (scale[b, e] - base_scale[own]))
                base_scale[own] = scale[b, e]
            for n in range(post):
                g[n] = _scaled(base[n], -2 * base_scale[n])
        else:
            for e in range(spikes - 1, -1, -1):
                own = np.uint32(fired_by[b, e])
                rest[e], base[own] = base[own], rest[e] + base[own]
            for e in range(spikes):
                rest_scale[e] = 0
            for n in range(post):
                g[n] = base[n]
        for n in range(post):
            phases[n] += g[n]
        for q in range(to_times.shape[1]):
            to_times[b, q] = 0.0
        spike = 0
        before = pre * pad
        grown = 0.0
        for i in range(many[b]):
            if grown > limit:
                _renormalise(x, y, post, exponent)
                grown = 0.0
                for n in range(post):
                    g[n] = _scaled(base[n], 2 * (exponent[n] - base_scale[n]))
            while spike < spikes and fired_in[b, spike] == i:
                n = fired_by[b, spike]
                base[n], base_scale[n] = rest[spike], rest_scale[spike]
                g[n] = _scaled(base[n], 2 * (exponent[n] - base_scale[n]))
                spike += 1
            c, s = splat(x, cosine[b, i]), splat(x, sine[b, i])
            now = row[b, i] * pad
            change = splat(x, 0.0)
            for v in range(0, pad, width(a)):
                here, height = load(x, v), load(y, v)
                here, height = _rotate(_shear(here, height, load(a, before + v)), height, c, s)
                store(x, v, here)
                store(y, v, height)
                share = load(g, v)
                change = change + share * _length_change(here, height, load(a, now + v))
                store(weights, now + v, load(weights, now + v) + height * (height * share))
            if source[b, i] >= 0:
                to_times[b, source[b, i]] = total(change)
            before = now
            grown += growth[row[b, i]]
        if flush:
            back_through_last_shear(y, g, psi[b], a, pad, omega, weights, to_psi[b])
        else:
            for j in range(pre):
                to_psi[b, j] = 0.0
