"""Populations that keep a phase, compiled: equal to `qif2hw.engine.curve` in `qif2hw.engine.spec` bit for bit.

A phase grows by the same count in every step, and a step in which nothing arrives does nothing else: with ``k`` steps
since the last arrival ``phase + k 2^phase_bits`` is the register, less a threshold for each crossing, and step and
lateness of the crossings are the bits of what is beyond.  So only steps in which something arrives are looked at.  Each
sample of a group has its own; they go through them side by side, and through the trial's last step together.
"""

from dataclasses import astuple

import numba
import numpy as np
from numpy.typing import NDArray

from qif2hw import simd_integers as vec
from qif2hw.engine.fast_arrivals import emit, next_step, put, receive, take, whole_vectors
from qif2hw.engine.fast_sums import add_payloads
from qif2hw.ir.ptc import CURVATURE_MAX, LATE_FRACTION, CotangentTables, PhaseWeightTable, Table, second_moment
from qif2hw.machinecode import compiled
from qif2hw.simd import lowest_bit
from qif2hw.simd_integers import LANES

Int64 = NDArray[np.int64]

_HALF = 1 << LATE_FRACTION - 1
_ONE_BIT = np.uint64(1)


def phase_numbers(curve: CotangentTables | PhaseWeightTable) -> tuple[Int64, Int64, Int64, Int64]:
    """A curve as the kernel takes it: scales, shapes, and two tables."""
    scales = [curve.kick_bits, curve.late_gain, curve.late_shift, curve.flush_gain, curve.flush_shift]
    if isinstance(curve, PhaseWeightTable):
        own = [1, curve.phase_spacing, curve.kick_spacing, *curve.shift.shape]
        tables = curve.shift.ravel().astype(np.int64), curve.twist.astype(np.int64)
    else:
        potential, phase = curve.to_potential, curve.to_phase
        own = [0, curve.edge, curve.limit, potential.first_octave, potential.mantissa_bits]
        own += [phase.first_octave, phase.mantissa_bits]
        tables = _with_rises(potential), _with_rises(phase)
    second = second_moment(curve)
    moments = np.array([] if second is None else astuple(second), np.int64)
    return np.array(scales + own, np.int64), moments, *tables


def _with_rises(table: Table) -> Int64:
    """Each knot in the upper half of a word, what the next one is above it in the lower half."""
    knots = table.knots.astype(np.int64)
    return (knots << 32) | (np.diff(knots, append=knots[-1:]) & 0xFFFFFFFF)


@compiled(inline="always")
def _rounded_shift(value, bits):  # type: ignore[no-untyped-def]
    return (value + ((1 << bits) >> 1)) >> bits


@compiled(inline="always")
def _look_up(table, first_octave, mantissa_bits, x):  # type: ignore[no-untyped-def]
    """Vector of values at ``x``: `qif2hw.engine.curve.look_up`, with octaves 0 and 1, spaced alike, as one."""
    octave = vec.bit_lengths(x | (1 << first_octave)) - (first_octave + 1)
    spacing = octave + (first_octave - mantissa_bits)
    entry = vec.gather(table, (octave << mantissa_bits) + (x >> spacing))
    unit = vec.splat(x, 1) << spacing
    rise = vec.cut(x, (entry << 32) >> 32)
    return vec.cut(x, entry >> 32) + ((rise * (x & (unit - 1)) + (unit >> 1)) >> spacing)


@compiled
def kick_by_cotangent(  # type: ignore[no-untyped-def]
    phase, sum0, sum1, sum2, kick_bits, threshold, numbers, second, to_potential, to_phase
):  # fmt: skip
    """Kick lanes by what arrived: all arrays of one type, int64 or, where everything is proven to fit, int32."""
    edge, limit = numbers[6], numbers[7]
    for j in range(0, phase.size, LANES):
        p = vec.load(phase, j)
        a0 = vec.load(sum0, j) << kick_bits
        a1 = vec.cut(p, _rounded_shift(vec.wide(vec.load(sum1, j)) * numbers[1], numbers[2]))
        back = vec.splat(p, threshold) - p
        # Beyond the ends of the cycle nothing is kicked, but everything is looked up.
        distance = vec.larger(vec.smaller(p, back), 0)
        size = vec.larger(_look_up(to_potential, numbers[8], numbers[9], distance), 0)
        v = vec.where(vec.less(p, back), vec.negative(size), size)
        arrived = ~vec.equal(a0 | a1, 0)
        change, factor, before = vec.wide(a0), vec.wide(a1), vec.wide(v)
        if second.size > 0:
            m2 = _rounded_shift(vec.wide(vec.load(sum2, j)) * numbers[1], numbers[2])
            arrived = arrived | ~vec.equal(m2, 0)
            unequal = _rounded_shift(change * m2 * 3, LATE_FRACTION + 1)
            common = _rounded_shift(factor * factor * second[2], second[3])
            curvature = _rounded_shift(m2 * (before + change + change) * second[4], second[5])
            loss = _rounded_shift(m2 * second[0], second[1]) + unequal - common
            factor = factor + vec.smaller(vec.larger(curvature, -CURVATURE_MAX), CURVATURE_MAX)
            kicked = before + change - loss + ((factor * (before + before + change) + _HALF) >> LATE_FRACTION)
        else:
            kicked = before + change + ((factor * vec.wide(v + v + a0) + _HALF) >> LATE_FRACTION)
        low = vec.less(kicked, 0)
        # Not the size first: the smallest integer has none.
        kicked = vec.smaller(vec.larger(kicked, -limit), limit)
        size = vec.cut(p, vec.where(low, vec.negative(kicked), kicked))
        distance = vec.larger(_look_up(to_phase, numbers[10], numbers[11], size), edge)
        moved = vec.where(low, distance, vec.splat(p, threshold) - distance)
        inside = arrived & vec.at_least(p, edge) & vec.at_least(back, edge)
        vec.store(phase, j, vec.where(inside, moved, p))


@compiled
def _kick_by_grid(phase, sum0, sum1, kick_bits, threshold, numbers, shift, twist):  # type: ignore[no-untyped-def]
    spacing, across, rows, columns = numbers[6], numbers[7], numbers[8], numbers[9]
    middle = (rows - 1) // 2 << across
    for i in range(phase.size):
        p, a0, a1 = phase[i], sum0[i] << kick_bits, _rounded_shift(sum1[i] * numbers[1], numbers[2])
        if (a0 == 0 and a1 == 0) or p <= 0 or p >= threshold:
            continue
        kick = min(max(a0 + middle, 0), 2 * middle)
        row = min(kick >> across, rows - 2)
        column, along = p >> spacing, p & ((1 << spacing) - 1)
        at = row * columns + column
        low = shift[at] + _rounded_shift((shift[at + 1] - shift[at]) * along, spacing)
        at += columns
        high = shift[at] + _rounded_shift((shift[at + 1] - shift[at]) * along, spacing)
        moved = p + low + _rounded_shift((high - low) * (kick - (row << across)), across)
        moved = min(max(moved, 0), threshold)
        turn = _twist(p, twist, spacing) + _twist(moved, twist, spacing)
        phase[i] = min(max(moved + _rounded_shift(a1 * turn, LATE_FRACTION), 1), threshold - 1)


@compiled
def _twist(phase, twist, spacing):  # type: ignore[no-untyped-def]
    k = min(phase >> spacing, twist.size - 2)
    return twist[k] + _rounded_shift((twist[k + 1] - twist[k]) * (phase - (k << spacing)), spacing)


@compiled
def _kick(  # type: ignore[no-untyped-def]
    phase, sum0, sum1, sum2, kick_bits, threshold, numbers, second, one, other
):  # fmt: skip
    if numbers[5] == 1:
        _kick_by_grid(phase, sum0, sum1, kick_bits, threshold, numbers, one, other)
    else:
        kick_by_cotangent(phase, sum0, sum1, sum2, kick_bits, threshold, numbers, second, one, other)


@compiled
def _advance(  # type: ignore[no-untyped-def]
    phase, ahead, now, first, posts, shape, ends, undone, buffer, count, crossing
):  # fmt: skip
    """Let phases grow by ``ahead`` and send what crosses; ``undone`` in the last step: the thresholds given back."""
    threshold, phase_bits, lateness_bits, overshoot = shape[0], shape[1], shape[2], shape[5]
    for j in range(0, phase.size, LANES):
        grown = vec.load(phase, j) + vec.load(ahead, j)
        vec.store(phase, j, grown)
        over = vec.bits_of(vec.at_least(grown, threshold))
        while over != 0:
            lane = j + lowest_bit(over)
            over &= over - _ONE_BIT
            s = lane // posts
            p = np.int64(phase[lane])
            while p >= threshold:
                p -= threshold
            # The earliest crossing is the one furthest beyond.
            turns = (np.int64(phase[lane]) - p) // threshold
            for turn in range(turns - 1, -1, -1):
                beyond = p + turn * threshold
                step, crossed = now[s] - (beyond >> phase_bits), beyond & ((1 << phase_bits) - 1)
                if ends and step == now[s] and crossed < overshoot:
                    undone[lane] = threshold
                    continue
                late = crossed >> (phase_bits - lateness_bits)
                k = emit(buffer, count, first + s, step, lane - s * posts, late)
                if k >= 0 and crossing.size > 0:
                    crossing[first + s, k, 0] = crossed
            phase[lane] = p


@compiled
def _run_group(  # type: ignore[no-untyped-def]
    first, size, start, step, source, late, flush_in, weight, phase0, shape, numbers, second, one, other,
    buffer, count, crossing, kept_step, kept, flush,
):  # fmt: skip
    posts, squares = phase0.size, second.size > 0
    threshold, phase_bits, lateness_bits, flush_drop = shape[0], shape[1], shape[2], shape[6]
    last = shape[3] + shape[4]
    lanes = whole_vectors(size * posts)
    phase = np.zeros(lanes, phase0.dtype)
    for s in range(size):
        put(phase0, phase, s)
    ahead, undone = np.zeros_like(phase), np.zeros_like(phase)
    a0, a1, a2 = np.zeros_like(phase), np.zeros_like(phase), np.zeros_like(phase)
    at, now, slot = start[first : first + size].copy(), np.zeros(size, np.int64), np.zeros(size, np.int64)
    waiting = size
    while waiting > 0:
        waiting = 0
        for s in range(size):
            part = slice(s * posts, (s + 1) * posts)
            end = start[first + s + 1]
            n = next_step(step, at[s], end, last)
            if n == last:
                ahead[part] = 0
                a0[part] = 0
                a1[part] = 0
                a2[part] = 0
                continue
            waiting += 1
            at[s] = receive(
                n, at[s], end, step, source, late, weight, squares, lateness_bits, a0[part], a1[part], a2[part]
            )
            ahead[part] = (n - now[s]) << phase_bits
            now[s] = n
        if waiting == 0:
            break
        _advance(phase, ahead, now, first, posts, shape, False, undone, buffer, count, crossing)
        _kick(phase, a0, a1, a2, numbers[0], threshold, numbers, second, one, other)
        if kept_step.shape[1] > 0:
            for s in range(size):
                if slot[s] == 0 or kept_step[first + s, slot[s] - 1] < now[s]:
                    kept_step[first + s, slot[s]] = now[s]
                    take(phase, s, kept[first + s, slot[s], 0])
                    slot[s] += 1
    for s in range(size):
        part = slice(s * posts, (s + 1) * posts)
        receive(
            last, at[s], start[first + s + 1], step, source, late, weight, squares, lateness_bits, a0[part], a1[part],
            a2[part],
        )  # fmt: skip
        ahead[part] = (last - now[s]) << phase_bits
        now[s] = last
    _advance(phase, ahead, now, first, posts, shape, True, undone, buffer, count, crossing)
    _kick(phase, a0, a1, a2, numbers[0], threshold, numbers, second, one, other)
    for i in range(size * posts):
        phase[i] = min(max(phase[i] - shape[5] + undone[i], 0), threshold - 1)
    total = np.empty(posts, np.int64)
    a1[:] = 0
    a2[:] = 0
    for s in range(size):
        if kept_step.shape[1] > 0:
            kept_step[first + s, slot[s]] = last
            take(phase, s, kept[first + s, slot[s], 0])
        add_payloads(flush_in[first + s], weight, total)
        for i in range(posts):
            a0[s * posts + i] = _rounded_shift(total[i] * numbers[3], numbers[4])
    _kick(phase, a0, a1, a2, 0, threshold, numbers, second, one, other)
    for s in range(size):
        for i in range(posts):
            flush[first + s, i] = _rounded_shift(np.int64(phase[s * posts + i]), flush_drop)


@compiled(parallel=True)
def run_phases(  # type: ignore[no-untyped-def]
    start, step, source, late, flush_in, weight, phase0, shape, numbers, second, one, other, group,
    buffer, count, crossing, kept_step, kept, flush,
):  # fmt: skip
    """Fill ``buffer`` with the spikes of a population, ``count`` with their numbers, ``flush`` with its payloads.

    ``phase0`` has the type of the lanes.
    """
    samples = start.size - 1
    for g in numba.prange(-(-samples // group)):
        first = g * group
        _run_group(
            first, min(group, samples - first), start, step, source, late, flush_in, weight, phase0, shape, numbers,
            second, one, other, buffer, count, crossing, kept_step, kept, flush,
        )  # fmt: skip
