"""One layer of QIF neurons, forward: the compiled kernel behind `qif2hw.nn.functional.dense`.

Each neuron is a plane vector (see `qif2hw.neuron`): an input spike shears it, time rotates it by an angle
whose sine and cosine the layer shares, and it fires when ``y`` turns negative, whereupon both coordinates
are negated.  The kernels keep ``x`` and ``y`` of all neurons of a sample in two arrays and treat 64 bytes of
them at a time.

A neuron whose length leaves the safe range is scaled by an exact power of two:
``length = 2^exponent * stored length``.
"""

import math

import numpy as np
from numba import njit

from qif2hw import neuron
from qif2hw.kernels.buffers import Workspace
from qif2hw.kernels.flush import TOGETHER, last_shear
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
    width,
)

BLOCK = 64
"""Neurons whose spikes are the bits of one integer."""

NEAR = 2.0**-22
"""Distance of a phase from Theta, in units of it, below which rounding may make them equal."""

TWICE = 16384
"""Bytes up to which vectors before and after a step lie apart: beyond, they would fill a first cache of 32 kB."""

_shear = njit(inline="always")(neuron.shear)
_rotate = njit(inline="always")(neuron.rotate)


@compiled(error_model="numpy", fastmath={"reassoc", "contract"})
def prepare(weight, phi0, r, omega, a, growth, start):  # type: ignore[no-untyped-def]
    """Fill ``a`` (pre + 1, padded post), ``growth`` and ``start`` of a `qif2hw.kernels.buffers.Layer`.

    Returns
    -------
    bool
        Whether all weights are finite and all phases in [0, Theta), those within rounding of Theta not counted.
    """
    post, pre = weight.shape
    pad = a.shape[1]
    zero = 0.0
    for n in range(post):
        for j in range(pre):
            zero += 0.0 * weight[n, j]
    fine = zero == 0.0
    for n in range(post):
        fine &= 0.0 <= phi0[n] < np.pi / omega * (1 - NEAR)
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
    return fine


@compiled
def workspace(spikes, most, pad, like):  # type: ignore[no-untyped-def]
    """Scratch arrays for ``spikes`` spikes, ``most`` steps and ``pad`` neurons, with the element type of ``like``."""
    size = max(spikes, most, pad)
    real, whole = np.empty((5, size)), np.empty((3, size), np.int32)
    return Workspace(
        aligned((2 * TOGETHER + 2) * pad, like), np.zeros(pad // BLOCK + 1, np.uint64),
        whole[0], whole[1], real[0], real[1], whole[2], room_for(spikes, like), real[2], real[3], real[4],
    )  # fmt: skip


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
