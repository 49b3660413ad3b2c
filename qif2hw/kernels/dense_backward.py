r"""One layer of QIF neurons, backward.

The kernel runs the recurrence of `qif2hw.kernels.dense` again.  With :math:`G_i = \sum_{k > i} g_k / R_k^2` over the
output spikes ``k`` after input event ``i`` (``g_k`` the loss's derivative with respect to their times),

.. math:: \partial L / \partial w_i = - y_i^2 G_i / (r \omega), \quad
          \partial L / \partial t_i = (R_{i+}^2 - R_{i-}^2) G_i, \quad
          \partial L / \partial \phi_0 = - G_0 .

:math:`G` changes at the neuron's output spikes alone.  A few vectors of neurons go through all steps of a sample with
their state in registers: there :math:`G` has one value up to the neuron's first output spike and another one behind it,
which needs no branch.  Before further spikes of a neuron, and before lengths are renormalised, the steps are
interrupted.  The same neurons take several samples one after the other, so that their weights and gradients stay in the
first cache.
"""

import math

import numpy as np
from numba import njit

from qif2hw import neuron
from qif2hw.kernels.buffers import Replay
from qif2hw.machinecode import compiled
from qif2hw.simd import (
    add_products,
    aligned,
    four_vectors,
    lanes_in,
    load,
    load_like,
    multiply_add,
    one_vector,
    splat_like,
    store,
    total,
    two_vectors,
    view,
    where_less,
    width,
)

_length_change = njit(inline="always")(neuron.length_change)


@compiled(inline="always")
def _turned(x, y, a, c, s):  # type: ignore[no-untyped-def]
    """`qif2hw.neuron.shear`, then `rotate`, with their roundings: those of the forward pass."""
    zero = splat_like(x, 0.0)
    x = multiply_add(zero - a, y, x)
    return multiply_add(c, x, zero - s * y), multiply_add(c, y, s * x)


SAMPLES = 16
"""Largest number of samples that the same neurons take one after the other."""

ROOM = 2**18
"""Bytes of the changes of their lengths: more would push weights out of the second cache."""


@compiled
def replay_room(samples, spikes, most, pad, wanted, pre, like):  # type: ignore[no-untyped-def]
    """Scratch arrays for up to ``samples`` samples, ``spikes`` output spikes, ``most`` steps and ``pad`` neurons.

    ``wanted`` and ``pre`` are the largest numbers of steps and of inputs of a layer of which gradients to times and to
    pseudo-phases are asked for.
    """
    lanes = width(like)
    each = (wanted + pre) * lanes * like.itemsize
    count = min(samples, SAMPLES)
    if each > 0:
        count = max(1, min(count, ROOM // each))
    vectors, changes, shifts = (2 + 5 * count) * pad, count * wanted * lanes, count * pre * lanes
    reals = aligned(vectors + changes + shifts + count * spikes, like)
    whole = np.empty((1 + 3 * count) * pad + count * (2 * spikes + most + 3), np.int32)
    # Views, as in `qif2hw.kernels.dense_chain`.
    at, after = vectors + changes + shifts, (1 + 3 * count) * pad
    return Replay(
        reals, whole, view(reals, 0, 1, pad)[0], view(reals, pad, 1, pad)[0], view(whole, 0, 1, pad)[0],
        view(reals, 2 * pad, count, pad), view(reals, (2 + count) * pad, count, pad),
        view(reals, (2 + 2 * count) * pad, count, pad),
        view(whole, pad, count, pad), view(whole, (1 + count) * pad, count, pad),
        view(reals, (2 + 3 * count) * pad, count, pad), view(reals, (2 + 4 * count) * pad, count, pad),
        view(whole, (1 + 2 * count) * pad, count, pad),
        view(reals, at, count, spikes),
        view(whole, after, count, spikes), view(whole, after + count * spikes, count, spikes),
        view(whole, after + 2 * count * spikes, count, most),
        view(whole, after + count * (2 * spikes + most), count, 3),
        view(reals, vectors, 1, changes)[0], view(reals, vectors + changes, 1, shifts)[0],
    )  # fmt: skip


@compiled
def _scaled(value, exponent):  # type: ignore[no-untyped-def]
    return value if exponent == 0 else math.ldexp(value, exponent)


@compiled(error_model="numpy")
def backward_layer(low, high, layer, record, grad, to_times, to_psi, weights, phases, room):  # type: ignore[no-untyped-def]
    """Turn gradients with respect to the results of `forward_layer` into those with respect to its arguments.

    ``weights`` and ``phases`` become this share of those to ``weight.T`` and ``phi0``, to be multiplied with
    ``-1 / (r omega)`` and -1.  ``to_times`` without columns is not asked for.
    """
    pad, lanes = layer.start.shape[1], width(layer.a)
    weights[:] = 0.0
    phases[:] = 0.0
    for first in range(low, high, room.numbers.shape[0]):
        last = min(high, first + room.numbers.shape[0])
        _begin(first, last, layer, record, grad, phases, room)
        v = 0
        while v + 4 * lanes <= pad:
            _neurons(four_vectors(layer.a), v, first, last, layer, record, to_times, to_psi, weights, room)
            v += 4 * lanes
        if v + 2 * lanes <= pad:
            _neurons(two_vectors(layer.a), v, first, last, layer, record, to_times, to_psi, weights, room)
            v += 2 * lanes
        if v < pad:
            _neurons(one_vector(layer.a), v, first, last, layer, record, to_times, to_psi, weights, room)


@compiled(error_model="numpy")
def _begin(low, high, layer, record, grad, phases, room):  # type: ignore[no-untyped-def]
    """Find, for the samples from ``low`` to ``high``, :math:`G` of each neuron and its changes."""
    for b in range(low, high):
        _begin_sample(b, b - low, layer, record, grad, phases, room)


@compiled(inline="always")
def _begin_sample(b, k, layer, record, grad, phases, room):  # type: ignore[no-untyped-def]
    grad_times, grad_psi, grad_next = grad
    place, fired_by, fired_in = record.place[b], record.fired_by[b], record.fired_in[b]
    length2, scale, spikes, many = record.length2[b], record.scale[b], record.fired[b], record.many[b]
    post, pad = grad_psi.shape[1], layer.start.shape[1]
    # base: G for lengths in units of 2^base_scale.
    base, base_scale, later, later_scale = room.base[k], room.base_scale[k], room.later[k], room.later_scale[k]
    rest, rest_scale, until, done, more = room.rest[k], room.rest_scale[k], room.until[k], room.done[k], room.more[k]
    flush = scaled = False
    for n in range(post):
        base[n] = (grad_next[b, n] - grad_psi[b, n] * (layer.omega / np.pi)) / record.end_length2[b, n]
    for n in range(post):
        flush |= base[n] != 0.0
        done[n] = many if base[n] != 0.0 else 0
    for n in range(post):
        base_scale[n] = record.end_scale[b, n]
        scaled |= base_scale[n] != 0
    for n in range(post, pad):
        base[n] = 0.0
        base_scale[n] = done[n] = 0
    for n in range(pad):
        later[n], later_scale[n], until[n] = 0.0, 0, np.inf
    for e in range(spikes):
        rest[e] = grad_times[b, np.uint32(place[e])]
    for e in range(spikes):
        rest[e] /= length2[e]
        scaled |= scale[e] != 0
    if scaled:
        for e in range(spikes - 1, -1, -1):
            own = np.uint32(fired_by[e])
            sooner, rest[e] = rest[e], base[own]
            rest_scale[e] = base_scale[own]
            base[own] = sooner + _scaled(rest[e], 2 * (scale[e] - base_scale[own]))
            base_scale[own] = scale[e]
    else:
        for e in range(spikes - 1, -1, -1):
            own = np.uint32(fired_by[e])
            rest[e], base[own] = base[own], rest[e] + base[own]
        for e in range(spikes):
            rest_scale[e] = 0
    others = 0
    for e in range(spikes):
        own = np.uint32(fired_by[e])
        done[own] = max(done[own], fired_in[e])
        if until[own] == np.inf:
            later[own], later_scale[own], until[own] = rest[e], rest_scale[e], fired_in[e]
        else:
            more[others] = e
            others += 1
    room.numbers[k, 0] = others
    room.numbers[k, 1] = _renormalisations(many, record.row[b], layer, room.grown[k])
    _in_units(0, pad, k, False, scaled, room)
    for n in range(post):
        phases[n] += room.g[k, n]
    room.numbers[k, 2] = flush


@compiled
def _renormalisations(many, row, layer, grown):  # type: ignore[no-untyped-def]
    """Steps before which lengths are renormalised; returns how many."""
    growth, limit = layer.growth, layer.limit
    strongest = 0.0
    for j in range(growth.size):
        strongest = max(strongest, growth[j])
    found = 0
    if strongest * many > limit:
        bits = 0.0
        for i in range(many):
            if bits > limit:
                grown[found] = i
                found += 1
                bits = 0.0
            bits += growth[row[i]]
    return found


@compiled
def _in_units(low, high, k, begun, scaled, room):  # type: ignore[no-untyped-def]
    """Write :math:`G` of some neurons in their present units, at the beginning or when steps have ``begun``."""
    g, g_later, base, later = room.g[k], room.g_later[k], room.base[k], room.later[k]
    base_scale, later_scale = room.base_scale[k], room.later_scale[k]
    if scaled:
        for n in range(low, high):
            exponent = room.exponent[n] if begun else 0
            g[n] = _scaled(base[n], 2 * (exponent - base_scale[n]))
            g_later[n] = _scaled(later[n], 2 * (exponent - later_scale[n]))
    else:
        for n in range(low, high):
            g[n], g_later[n] = base[n], later[n]


@compiled
def _neurons(like, v, low, high, layer, record, to_times, to_psi, weights, room):  # type: ignore[no-untyped-def]
    """The neurons from ``v`` on, as many as the vector ``like`` has lanes, in the samples from ``low`` to ``high``.

    The last ones, with those before them, write the gradients to times and pseudo-phases.
    """
    end, pad = v + lanes_in(like), layer.start.shape[1]
    wanted = to_times.shape[1] > 0
    for b in range(low, high):
        k = b - low
        x, y, exponent, done, more, fired_by = (
            room.x, room.y, room.exponent, room.done[k], room.more[k], record.fired_by[b]
        )  # fmt: skip
        others, breaks = room.numbers[k, 0], room.numbers[k, 1]
        last = 0
        for n in range(v, end):
            x[n], y[n], exponent[n] = layer.start[0, n], layer.start[1, n], 0
            last = max(last, done[n])
        if v == 0:
            _clear(k, record.many[b], record.cosine.shape[1], to_times.shape[1], to_psi.shape[1], layer.a, room)
        step = other = pause = 0
        while True:
            stop = last
            if pause < breaks:
                stop = min(stop, room.grown[k, pause])
            for m in range(other, others):
                if v <= fired_by[more[m]] < end:
                    stop = min(stop, record.fired_in[b, more[m]])
                    break
            _through(like, v, step, stop, b, k, layer, record, wanted, weights, room)
            step = stop
            if step == last:
                break
            if pause < breaks and room.grown[k, pause] == step:
                pause += 1
                _renormalise(v, end, room)
            while other < others and record.fired_in[b, more[other]] <= step:
                e = more[other]
                own = fired_by[e]
                if v <= own < end:
                    room.base[k, own], room.base_scale[k, own] = room.later[k, own], room.later_scale[k, own]
                    room.later[k, own], room.later_scale[k, own] = room.rest[k, e], room.rest_scale[k, e]
                    room.until[k, own] = record.fired_in[b, e]
                other += 1
            _in_units(v, end, k, True, True, room)
        if room.numbers[k, 2]:
            _last_shear(like, v, end, b, k, layer, record, to_psi.shape[1] > 0, weights, room)
        if end == pad:
            _write(b, k, layer, record, to_times, to_psi, room)


@compiled
def _renormalise(low, high, room):  # type: ignore[no-untyped-def]
    x, y = room.x, room.y
    for n in range(low, high):
        shift = math.frexp(max(abs(x[n]), abs(y[n])))[1]
        x[n] = math.ldexp(x[n], -shift)
        y[n] = math.ldexp(y[n], -shift)
        room.exponent[n] += shift


@compiled(inline="always")
def _through(like, v, step, stop, b, k, layer, record, wanted, weights, room):  # type: ignore[no-untyped-def]
    """Let some neurons of sample ``b`` go through the steps from ``step`` to ``stop``."""
    a, pad, change = layer.a, layer.start.shape[1], room.change
    cosine, sine, row = record.cosine[b], record.sine[b], record.row[b]
    lanes = width(a)
    at = (k * cosine.size + step) * lanes
    x, y, until = load_like(like, room.x, v), load_like(like, room.y, v), load_like(like, room.until[k], v)
    g, later = load_like(like, room.g[k], v), load_like(like, room.g_later[k], v)
    before = layer.growth.size - 1 if step == 0 else row[step - 1]
    kick = load_like(like, a, before * pad + v)
    now, one = splat_like(like, step), splat_like(like, 1)
    for i in range(step, stop):
        x, y = _turned(x, y, kick, splat_like(like, cosine[i]), splat_like(like, sine[i]))
        here = row[i] * pad + v
        kick = load_like(like, a, here)
        share = where_less(now, until, g, later)
        now = now + one
        if wanted:
            store(change, at, add_products(load(change, at), share, _length_change(x, y, kick)))
            at += lanes
        store(weights, here, multiply_add(y, y * share, load_like(like, weights, here)))
    store(room.x, v, x)
    store(room.y, v, y)


@compiled(inline="always")
def _last_shear(like, v, end, b, k, layer, record, wanted, weights, room):  # type: ignore[no-untyped-def]
    """Go back through the extra shear at the trial's end, which comes from the pseudo-phases."""
    psi, a, pad, shift = layer.psi[b], layer.a, layer.start.shape[1], room.shift
    g, g_later, until, done = room.g[k], room.g_later[k], room.until[k], room.done[k]
    for n in range(v, end):
        if done[n] < record.many[b]:
            g[n] = 0.0
        elif until[n] < np.inf:
            g[n] = g_later[n]
    y = load_like(like, room.y, v)
    share = y * (y * load_like(like, g, v))
    lanes = width(a)
    at = k * psi.size * lanes
    for j in range(psi.size):
        here = j * pad + v
        if wanted:
            store(shift, at, add_products(load(shift, at), share, load_like(like, a, here)))
            at += lanes
        store(weights, here, multiply_add(splat_like(like, psi[j]), share, load_like(like, weights, here)))


@compiled(inline="always")
def _clear(k, many, most, times, psi, a, room):  # type: ignore[no-untyped-def]
    """Begin the sums over neurons that the gradients to ``times`` times and ``psi`` pseudo-phases are."""
    zero, lanes = one_vector(a), width(a)
    if times > 0:
        for i in range(k * most, k * most + many):
            store(room.change, i * lanes, zero)
    if room.numbers[k, 2]:
        for j in range(k * psi, (k + 1) * psi):
            store(room.shift, j * lanes, zero)


@compiled(inline="always")
def _write(b, k, layer, record, to_times, to_psi, room):  # type: ignore[no-untyped-def]
    """Sum lanes, and write the gradients of a sample to times and pseudo-phases."""
    times, by_psi, source, lanes = to_times[b], to_psi[b], record.source[b], width(layer.a)
    at = k * source.size * lanes
    if times.size > 0:
        for q in range(times.size):
            times[q] = 0.0
        for i in range(record.many[b]):
            if source[i] >= 0:
                times[source[i]] = total(load(room.change, at))
            at += lanes
    at = k * by_psi.size * lanes
    if room.numbers[k, 2]:
        for j in range(by_psi.size):
            by_psi[j] = -total(load(room.shift, at)) / layer.omega
            at += lanes
    else:
        for j in range(by_psi.size):
            by_psi[j] = 0.0
