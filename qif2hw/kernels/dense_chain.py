"""The compiled kernels of a chain of layers: one parallel loop over samples each way, through all its layers.

`forward` and `backward` run on one thread, `forward_parallel` and `backward_parallel` on all, with the same
bits as result.
"""

import numpy as np
from numba import njit, prange

from qif2hw import neuron
from qif2hw.kernels.buffers import (
    DEPTH,
    ENDS,
    GROWTH,
    MOST,
    PAD,
    PARAMETERS,
    SIZE,
    SPIKES,
    START,
    STEPS,
    A,
    Layer,
    Record,
    Spikes,
)
from qif2hw.kernels.dense import forward_layer, prepare, workspace
from qif2hw.kernels.dense_backward import backward_layer, replay_room
from qif2hw.machinecode import compiled, for_one_thread_and_all
from qif2hw.simd import aligned, load, store, view, view_at, width

_latency = njit(inline="always")(neuron.latency)
_difference = njit(inline="always")(neuron.difference)

SMALL = 2**17
"""Weights of a chain up to which partial sums of their gradients, added up as they come, stay in a second cache."""

FAR = 4
"""What it costs to read a number from another core's cache, in reads from the own one."""


@compiled
def _spikes(chain, out, level):  # type: ignore[no-untyped-def]
    """Times, pseudo-phases and next spikes of a level; ``out`` is the chain's, or gradients with respect to it."""
    table = chain.table
    batch = chain.counts.shape[2]
    size, depth = table[level, SIZE], table[level, DEPTH]
    ends = chain.spikes - table[1, SPIKES] + table[level, ENDS] - table[1, ENDS]
    return Spikes(
        view(out, table[level, SPIKES] - table[1, SPIKES], batch, size * depth),
        view(out, ends, batch, size),
        view(out, ends + chain.ends - table[1, ENDS], batch, size),
    )


@compiled
def _layer(chain, level):  # type: ignore[no-untyped-def]
    """Inputs and parameters of the layer that makes a level, and its record.

    All are views: what keeps its memory alive is counted, atomically, whenever a row of it is taken.
    """
    table = chain.table
    batch = chain.counts.shape[2]
    pre, depth, post, pad = table[level - 1, SIZE], table[level - 1, DEPTH], table[level, SIZE], table[level, PAD]
    most, at = table[level, MOST], table[level, STEPS]
    a, growth = table[level, A], table[level, GROWTH]
    here, ends, room = table[level, SPIKES], table[level, ENDS], table[level, DEPTH] * post
    before = _spikes(chain, chain.out, level - 1)
    times, psi = (chain.times, chain.psi) if level == 1 else (before.times, before.psi)
    return Layer(
        times,
        psi,
        view(chain.a, a, 1, (pre + 1) * pad)[0],
        view(chain.growth, growth, 1, pre + 1)[0],
        view(chain.start, table[level, START], 2, pad),
        depth,
        chain.omega,
        chain.trial,
        chain.limit,
    ), Record(
        chain.counts[0, level],
        view(chain.turns, at, batch, most),
        view(chain.turns, at + chain.steps, batch, most),
        view(chain.visits, at, batch, most),
        view(chain.visits, at + chain.steps, batch, most),
        chain.counts[1, level],
        view(chain.marks, here + chain.spikes, batch, room),
        view(chain.marks, here + 2 * chain.spikes, batch, room),
        view(chain.marks, here, batch, room),
        view(chain.lengths, here, batch, room),
        view(chain.marks, here + 3 * chain.spikes, batch, room),
        view(chain.lengths, ends + chain.spikes, batch, post),
        view(chain.marks, ends + 4 * chain.spikes, batch, post),
    )


@compiled
def _workspace(chain):  # type: ignore[no-untyped-def]
    """Room for any layer of the chain."""
    spikes = most = pad = 0
    for level in range(chain.counts.shape[1]):
        spikes = max(spikes, chain.table[level, SIZE] * chain.table[level, DEPTH])
        most = max(most, chain.table[level, MOST])
        pad = max(pad, chain.table[level, PAD])
    return workspace(spikes, most, pad, chain.a)


@compiled
def _replay_room(chain, samples, to):  # type: ignore[no-untyped-def]
    """Room for any layer of the chain, backward."""
    spikes = most = pad = wanted = pre = 0
    for level in range(1, chain.counts.shape[1]):
        spikes = max(spikes, chain.table[level, SIZE] * chain.table[level, DEPTH])
        most = max(most, chain.table[level, MOST])
        pad = max(pad, chain.table[level, PAD])
        if level > 1 or to.times.shape[1] > 0:
            wanted = max(wanted, chain.table[level, MOST])
        if level > 1 or to.psi.shape[1] > 0:
            pre = max(pre, chain.table[level - 1, SIZE])
    return replay_room(samples, spikes, most, pad, wanted, pre, chain.a)


@compiled
def _prepare(chain, level):  # type: ignore[no-untyped-def]
    table = chain.table
    pre, post, pad = table[level - 1, SIZE], table[level, SIZE], table[level, PAD]
    growth = table[level, GROWTH]
    return prepare(
        view_at(chain.a, chain.parameters[level, 0], post, pre),
        view_at(chain.a, chain.parameters[level, 1], 1, post)[0],
        chain.r,
        chain.omega,
        view(chain.a, table[level, A], pre + 1, pad),
        chain.growth[growth : growth + pre + 1],
        view(chain.start, table[level, START], 2, pad),
    )


@compiled
def _encode(low, high, chain):  # type: ignore[no-untyped-def]
    batch, size = chain.times.shape
    earliest = view_at(chain.a, chain.parameters[-1, 0], 1, size)[0]
    latest = view_at(chain.a, chain.parameters[-1, 1], 1, size)[0]
    values = view_at(chain.a, chain.values, batch, size)
    inside = True
    for b in range(low, high):
        for n in range(size):
            inside &= 0.0 <= values[b, n] <= 1.0
            chain.times[b, n] = _latency(values[b, n], earliest[n], latest[n])
    return inside


@compiled
def _read(low, high, out, depth, chain):  # type: ignore[no-untyped-def]
    outputs = chain.y.shape[1]
    scale = view_at(chain.a, chain.parameters[0, 0], 1, outputs)[0]
    offset = view_at(chain.a, chain.parameters[0, 1], 1, outputs)[0]
    for b in range(low, high):
        for n in range(chain.first.shape[1]):
            time = out.times[b, n * depth]
            chain.first[b, n] = out.next[b, n] if np.isinf(time) else time
        for m in range(outputs):
            chain.y[b, m] = _difference(chain.first[b, 2 * m], chain.first[b, 2 * m + 1], scale[m], offset[m])


@compiled
def _read_back(low, high, out, depth, chain, to_y, to_first, to):  # type: ignore[no-untyped-def]
    """Add to the gradients ``to`` of the last level what comes from the readout; addresses are zero for nothing."""
    batch, size = chain.first.shape
    outputs = chain.y.shape[1]
    scale = view_at(chain.a, chain.parameters[0, 0], 1, outputs)[0]
    by_y, by_first = view_at(chain.a, to_y, batch, outputs), view_at(chain.a, to_first, batch, size)
    for b in range(low, high):
        for n in range(size):
            change = by_first[b, n] if to_first != 0 else 0.0
            if to_y != 0 and n // 2 < outputs:
                share = by_y[b, n // 2] * scale[n // 2]
                change += share if n % 2 else -share
            if np.isinf(out.times[b, n * depth]):
                to.next[b, n] += change
            else:
                to.times[b, n * depth] += change


def _forward(chain, chunks, largest):  # type: ignore[no-untyped-def]
    """Run every sample of a batch through all layers, in ``chunks`` parallel parts.

    ``largest`` (levels) becomes the largest number of spikes of a neuron, above a level's room if its results and
    those of later levels are incomplete, and -1 where an input time is negative or not a number.  The first one, for
    the inputs, is 0, or more if parameters or input values should be looked at: some may be out of their range.
    """
    _, levels, batch = chain.counts.shape
    most = np.zeros((chunks, levels), np.int64)
    odd = np.zeros(levels, np.int64)
    chain.counts[1, 0] = -1
    for level in prange(1, levels):
        odd[level] = 0 if _prepare(chain, level) else 1
    for chunk in prange(chunks):
        _forward_share(chunk * batch // chunks, (chunk + 1) * batch // chunks, chain, most[chunk])
    for level in range(levels):
        largest[level] = 0
        for chunk in range(chunks):
            if largest[level] >= 0:
                largest[level] = max(largest[level], most[chunk, level]) if most[chunk, level] >= 0 else -1
    largest[0] += odd.sum()


forward, forward_parallel = for_one_thread_and_all(_forward)


@compiled
def _forward_share(low, high, chain, largest):  # type: ignore[no-untyped-def]
    work = _workspace(chain)
    if chain.values != 0:
        largest[0] = 0 if _encode(low, high, chain) else 1
    for level in range(1, chain.counts.shape[1]):
        layer, record = _layer(chain, level)
        out = _spikes(chain, chain.out, level)
        size = chain.table[level - 1, SIZE] * chain.table[level - 1, DEPTH]
        sequence = view(chain.marks, chain.table[level - 1, SPIKES], chain.counts.shape[2], size)
        largest[level] = forward_layer(low, high, layer, sequence, chain.counts[1, level - 1], out, record, work)
        if not 0 <= largest[level] <= chain.table[level, DEPTH]:
            return
    if chain.y.size > 0:
        _read(low, high, out, chain.table[level, DEPTH], chain)


def _backward(chain, chunks, threads, to):  # type: ignore[no-untyped-def]
    """Gradients with respect to everything that goes into a chain, from those with respect to its levels.

    Sums over the batch go through ``chunks`` partial sums in a fixed order: the result does not depend on the
    number of threads.  The first thread's are added up as it goes.
    """
    batch = chain.counts.shape[2]
    own = chunks // threads
    folded = own > 1 and chain.a.size <= SMALL
    kept = 2 if folded else own
    parts = kept + chunks - own
    weights = aligned(parts * chain.a.size, chain.a).reshape(parts, chain.a.size)
    phases = np.empty((parts, chain.start.size), chain.a.dtype)
    for thread in prange(threads):
        for chunk in range(thread * chunks // threads, (thread + 1) * chunks // threads):
            part = min(chunk, kept - 1) if chunk < own else chunk - own + kept
            backward_share(
                chunk * batch // chunks, (chunk + 1) * batch // chunks, chain, to, weights[part], phases[part]
            )  # fmt: skip
            if folded and 0 < chunk < own:
                _add(weights[0], weights[1])
                _add(phases[0], phases[1])
    first, rest = 1 if folded else own, chunks - own
    for thread in prange(threads):
        _add_rows(
            chain, first_row(chain.growth.size, thread, threads, first, rest),
            first_row(chain.growth.size, thread + 1, threads, first, rest),
            kept - first + 1, parts, weights.reshape(-1), phases.reshape(-1), to,
        )  # fmt: skip


backward, backward_parallel = for_one_thread_and_all(_backward)


@compiled
def _passed_on(chain, room, level, low, high):  # type: ignore[no-untyped-def]
    """Gradients with respect to a level, of the samples from ``low`` to ``high`` alone."""
    size, depth = chain.table[level, SIZE], chain.table[level, DEPTH]
    ends = (high - low) * size * depth - low * size
    return Spikes(
        view(room, -low * size * depth, high, size * depth),
        view(room, ends, high, size),
        view(room, ends + (high - low) * size, high, size),
    )


@compiled
def backward_share(low, high, chain, to, weights, phases):  # type: ignore[no-untyped-def]
    """The backward pass of the samples from ``low`` to ``high``.

    ``weights`` and ``phases`` become sums over them, laid out as `Chain.a` and `Chain.start`, without the factors that
    `qif2hw.kernels.dense_backward.backward_layer` names.
    """
    table = chain.table
    last = chain.counts.shape[1] - 1
    work = _replay_room(chain, high - low, to)
    rooms = np.empty((2, (high - low) * (table[:, SIZE] * (table[:, DEPTH] + 2)).max()), chain.a.dtype)
    for level in range(last, 0, -1):
        grad = _passed_on(chain, rooms[level % 2], level, low, high)
        given = _spikes(chain, view_at(chain.a, to.given[2], 1, chain.out.size)[0], level)
        _receive(low, high, grad.times, level < last, given.times, to.given[2] != 0)
        _receive(low, high, grad.psi, level < last, given.psi, to.given[2] != 0)
        _receive(low, high, grad.next, False, given.next, to.given[2] != 0)
        if level == last and chain.y.size > 0:
            out = _spikes(chain, chain.out, level)
            _read_back(low, high, out, table[level, DEPTH], chain, to.given[0], to.given[1], grad)
        before = _passed_on(chain, rooms[(level - 1) % 2], level - 1, low, high)
        to_times, to_psi = (to.times, to.psi) if level == 1 else (before.times, before.psi)
        layer, record = _layer(chain, level)
        a, start, pad = table[level, A], table[level, START], table[level, PAD]
        backward_layer(
            low, high, layer, record, grad, to_times, to_psi,
            view(weights, a, 1, layer.growth.size * pad)[0], view(phases, start, 1, pad)[0], work,
        )  # fmt: skip


@compiled
def _receive(low, high, grad, inner, given, any_given):  # type: ignore[no-untyped-def]
    """Add the loss's own gradients of a level, if any, to those that inner levels get from the next layer."""
    for b in range(low, high):
        for n in range(grad.shape[1]):
            if not inner:
                grad[b, n] = given[b, n] if any_given else 0.0
            elif any_given:
                grad[b, n] += given[b, n]


@compiled
def first_row(rows, thread, threads, first, rest):  # type: ignore[no-untyped-def]
    """First of the rows of weights that a thread sums, where the first thread made ``first`` parts, others ``rest``.

    All get done at one time: the fewer parts a thread made itself, the fewer rows it takes.
    """
    others = threads - 1
    if thread == 0 or others == 0:
        return rows * min(thread, 1)
    own = rest / others
    by_first, by_other = first + FAR * rest, own + FAR * (first + rest - own)
    cut = int(rows * by_other / (by_other + others * by_first))
    return cut + (rows - cut) * (thread - 1) // others


@compiled
def _add(sums, more):  # type: ignore[no-untyped-def]
    for n in range(sums.size):
        sums[n] += more[n]


@compiled
def _add_rows(chain, low, high, first, parts, weights, phases, to):  # type: ignore[no-untyped-def]
    """Sum the gradients of rows of weights, and with the last row of a layer those of its initial phases."""
    table = chain.table
    factor = -1.0 / (chain.r * chain.omega)
    for level in range(1, table.shape[0]):
        pre, post, pad = table[level - 1, SIZE], table[level, SIZE], table[level, PAD]
        begin, here = table[level, GROWTH], table[level, PARAMETERS]
        for j in range(max(low - begin, 0), min(high - begin, pre)):
            at = table[level, A] + j * pad
            _sum_parts(weights, first, parts, at, pad)
            for n in range(post):
                to.parameters[here + n * pre + j] = weights[at + n] * factor
        if low <= begin + pre < high:
            at = table[level, START]
            _sum_parts(phases, first, parts, at, pad)
            for n in range(post):
                to.parameters[here + post * pre + n] = -phases[at + n]


@compiled
def _sum_parts(flat, first, parts, low, size):  # type: ignore[no-untyped-def]
    """Add to ``flat[low : low + size]``, of the first part, those of the parts from ``first`` on, in order."""
    stride = flat.size // parts
    for at in range(low, low + size, width(flat)):
        sums = load(flat, at)
        for part in range(first, parts):
            sums = sums + load(flat, part * stride + at)
        store(flat, at, sums)
