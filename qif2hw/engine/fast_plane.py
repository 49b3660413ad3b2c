"""Plane-vector populations, compiled: equal to `qif2hw.engine.plane` in `qif2hw.engine.spec` bit for bit.

A rotation rounds in every step, so no step can be skipped; but a step in which nothing arrives is a rotation and a
shift alone, since a shear by nothing changes nothing.  The samples of a group go through the steps together.
"""

from dataclasses import astuple

import numba
import numpy as np
from numpy.typing import NDArray

from qif2hw import simd_integers as vec
from qif2hw.engine.fast_arrivals import emit, next_step, put, receive, take, whole_vectors
from qif2hw.engine.fast_sums import add_payloads
from qif2hw.ir.ptc import ANGLE_BITS, LATE_FRACTION, VECTOR_BITS, PlaneVector
from qif2hw.machinecode import compiled
from qif2hw.simd import lowest_bit
from qif2hw.simd_integers import LANES

Int64 = NDArray[np.int64]

_ONE_BIT = np.uint64(1)


def vector_numbers(curve: PlaneVector) -> tuple[Int64, Int64, Int64]:
    """A curve as the kernel takes it: constants, the second moment's, and the angles that find a phase."""
    numbers = [
        curve.cosine, curve.sine, curve.back_cosine, curve.back_sine, curve.kick_gain, curve.kick_shift,
        curve.late_gain, curve.late_shift, curve.flush_gain, curve.flush_shift, curve.tick_gain,
        curve.trig_bits, curve.shear_drop,
    ]  # fmt: skip
    second = [] if curve.second is None else astuple(curve.second)
    return np.array(numbers, np.int64), np.array(second, np.int64), curve.angles.astype(np.int64)


@compiled(inline="always")
def _rounded_shift(value, bits):  # type: ignore[no-untyped-def]
    return (value + ((1 << bits) >> 1)) >> bits


@compiled(inline="always")
def _rotate(x, y, cosine, sine, bits):  # type: ignore[no-untyped-def]
    # Products of 32-bit numbers, which machines multiply faster than those of 64.
    c, s = vec.wide(vec.splat(x, cosine)), vec.wide(vec.splat(x, sine))
    p, q = vec.wide(x), vec.wide(y)
    across, up = _rounded_shift(p * c - q * s, bits), _rounded_shift(p * s + q * c, bits)
    return vec.cut(x, across), vec.cut(x, up)


@compiled(inline="always")
def _below(x, y):  # type: ignore[no-untyped-def]
    return vec.less(y, 0) | (vec.equal(y, 0) & vec.less(x, 0))


@compiled(inline="always")
def _turned(mask, value):  # type: ignore[no-untyped-def]
    return vec.where(mask, vec.negative(value), value)


@compiled(inline="always")
def _normalise(x, y):  # type: ignore[no-untyped-def]
    size = vec.larger(vec.larger(x, vec.negative(x)), vec.larger(y, vec.negative(y)))
    down = vec.bit_lengths(size) - VECTOR_BITS
    left, right = vec.larger(vec.negative(down), 0), vec.larger(down, 0)
    # One of the shifts is by nothing.
    half = (vec.splat(x, 1) << right) >> 1
    return ((x << left) + half) >> right, ((y << left) + half) >> right


@compiled(inline="always")
def _shear(x, y, a0, a1, a2, drop):  # type: ignore[no-untyped-def]
    """The vector after a kick, of 64 bits, not shifted; the factors have 64 bits."""
    wide_x, wide_y, bits = vec.wide(x), vec.wide(y), LATE_FRACTION - drop
    p, q = _rounded_shift(wide_x, drop), _rounded_shift(wide_y, drop)
    turned = wide_x + _rounded_shift(a1 * p - a0 * q, bits)
    low = wide_y - _rounded_shift(a1 * q - a2 * p, bits)
    return turned, vec.where(vec.less(wide_y, 1), low, vec.larger(low, 1))


@compiled
def _send(  # type: ignore[no-untyped-def]
    bits, j, across, up, n, first, posts, lateness_bits, tick_gain, buffer, count, crossing
):  # fmt: skip
    """Send the spikes of lanes from ``j`` on whose ``bits`` are set; they crossed with the vectors given."""
    while bits != 0:
        k = lowest_bit(bits)
        bits &= bits - _ONE_BIT
        s = (j + k) // posts
        x, y = np.int64(across[k]), np.int64(up[k])
        # What comparing and subtracting gives, bit by bit.
        late = min(y * tick_gain // max(x, 1), (1 << lateness_bits) - 1)
        at = emit(buffer, count, first + s, n, j + k - s * posts, late)
        if at >= 0 and crossing.size > 0:
            crossing[first + s, at, 0], crossing[first + s, at, 1] = x, y


@compiled
def _turn(  # type: ignore[no-untyped-def]
    x, y, steps, n, first, posts, lateness_bits, numbers, across, up, buffer, count, crossing
):  # fmt: skip
    """Steps ``n`` and following in which nothing arrives."""
    cosine, sine, bits = numbers[0], numbers[1], numbers[11]
    for k in range(steps):
        for j in range(0, x.size, LANES):
            vx, vy = _rotate(vec.load(x, j), vec.load(y, j), cosine, sine, bits)
            below = _below(vx, vy)
            vx, vy = _turned(below, vx), _turned(below, vy)
            fired = vec.bits_of(below)
            if fired != 0:
                vec.store(across, 0, vx)
                vec.store(up, 0, vy)
                _send(
                    fired, j, across, up, n + k, first, posts, lateness_bits, numbers[10], buffer, count, crossing
                )  # fmt: skip
            vx, vy = _normalise(vx, vy)
            vec.store(x, j, vx)
            vec.store(y, j, vy)


@compiled
def _kick(  # type: ignore[no-untyped-def]
    x, y, sum0, sum1, sum2, ends, n, first, posts, lateness_bits, numbers, second, across, up, buffer, count, crossing
):  # fmt: skip
    """Step ``n``, in which something arrives or the trial ``ends``."""
    drop, bits = numbers[12], numbers[11]
    for j in range(0, x.size, LANES):
        vx, vy = _rotate(vec.load(x, j), vec.load(y, j), numbers[0], numbers[1], bits)
        below = _below(vx, vy)
        vx, vy = _turned(below, vx), _turned(below, vy)
        vec.store(across, 0, vx)
        vec.store(up, 0, vy)
        like = vec.load(sum0, j)
        a0 = vec.wide(vec.cut(like, _rounded_shift(vec.wide(like) * numbers[4], numbers[5])))
        a1 = vec.wide(vec.cut(like, _rounded_shift(vec.wide(vec.load(sum1, j)) * numbers[6], numbers[7])))
        a2 = vec.splat(a0, 0)
        if second.size > 0:
            m2 = _rounded_shift(vec.wide(vec.load(sum2, j)) * numbers[6], numbers[7])
            a2 = _rounded_shift(m2 * second[0], second[1])
            unequal = _rounded_shift(a0 * m2 * 3, LATE_FRACTION + 1)
            common = _rounded_shift(a1 * a1 * second[2], second[3])
            a0 = a0 - (a2 + unequal - common)
        wide_x, wide_y = _shear(vx, vy, a0, a1, a2, drop)
        wide_x, wide_y = _normalise(wide_x, wide_y)
        vx, vy = vec.cut(vx, wide_x), vec.cut(vx, wide_y)
        if ends:
            # A spike that turning back to the trial's end undoes came after it.
            vx, vy = _rotate(vx, vy, numbers[2], -numbers[3], bits)
            undone = _below(vx, vy)
            vx, vy = _turned(undone, vx), _turned(undone, vy)
            # What fired in an earlier step and is undone stays fired: it sends no pseudo-phase.
            stays = undone & ~below
            vx = vec.where(stays, vec.splat(vx, 1 << VECTOR_BITS - 1), vx)
            vy = vec.where(stays, vec.splat(vy, 0), vy)
            below = below & ~undone
        vec.store(x, j, vx)
        vec.store(y, j, vy)
        fired = vec.bits_of(below)
        if fired != 0:
            _send(fired, j, across, up, n, first, posts, lateness_bits, numbers[10], buffer, count, crossing)


@compiled
def _flush(x, y, pull, threshold, flush_drop, drop, angles):  # type: ignore[no-untyped-def]
    """Overwrite ``pull`` by the payloads of vectors kicked by it."""
    for j in range(0, x.size, LANES):
        vx, vy = vec.load(x, j), vec.load(y, j)
        a0 = vec.load(pull, j)
        none = vec.splat(a0, 0)
        p, q = _shear(vx, vy, a0, none, none, drop)
        p, q = _normalise(p, q)
        p, q = p << ANGLE_BITS, q << ANGLE_BITS
        left = vec.less(p, 0)
        p, q = vec.where(left, q, p), vec.where(left, vec.negative(p), q)
        angle = vec.where(left, vec.splat(p, (threshold << ANGLE_BITS) >> 1), none)
        for i in range(angles.size):
            up = ~vec.less(q, 1)
            across, along = _turned(up, p >> i), _turned(up, q >> i)
            p, q = p - along, q + across
            angle = angle - _turned(up, vec.splat(angle, angles[i]))
        phase = vec.smaller(vec.larger(_rounded_shift(angle, ANGLE_BITS), 0), threshold - 1)
        vec.store(pull, j, _rounded_shift(phase, flush_drop))


@compiled
def _run_group(  # type: ignore[no-untyped-def]
    first, size, start, step, source, late, flush_in, weight, initial, zero, shape, numbers, second, angles,
    buffer, count, crossing, kept_step, kept, flush,
):  # fmt: skip
    posts, squares = initial.shape[1], second.size > 0
    lateness_bits, depth = shape[2], shape[4]
    last = shape[3] + depth
    lanes = whole_vectors(size * posts)
    x, y = np.zeros(lanes, np.int32), np.zeros(lanes, np.int32)
    a0, a1, a2 = np.zeros(lanes, zero.dtype), np.zeros(lanes, zero.dtype), np.zeros(lanes, zero.dtype)
    across, up = np.empty(LANES, np.int32), np.empty(LANES, np.int32)
    at, slot = start[first : first + size].copy(), np.zeros(size, np.int64)
    for s in range(size):
        put(initial[0], x, s)
        put(initial[1], y, s)
        # Before its first step a population waits, and takes nothing.
        while at[s] < start[first + s + 1] and step[at[s]] < depth:
            at[s] += 1
    n = depth + 1
    while n <= last:
        soonest = last
        for s in range(size):
            soonest = min(soonest, next_step(step, at[s], start[first + s + 1], last))
        _turn(
            x, y, soonest - n, n, first, posts, lateness_bits, numbers, across, up, buffer, count, crossing
        )  # fmt: skip
        n = soonest
        for s in range(size):
            part = slice(s * posts, (s + 1) * posts)
            before = at[s]
            at[s] = receive(
                n, before, start[first + s + 1], step, source, late, weight, squares, lateness_bits, a0[part], a1[part],
                a2[part],
            )  # fmt: skip
        _kick(
            x, y, a0, a1, a2, n == last, n, first, posts, lateness_bits, numbers, second, across, up, buffer, count,
            crossing,
        )  # fmt: skip
        if kept_step.shape[1] > 0:
            for s in range(size):
                begin = start[first + s]
                if n == last or (at[s] > begin and step[at[s] - 1] + 1 == n):
                    kept_step[first + s, slot[s]] = n
                    take(x, s, kept[first + s, slot[s], 0])
                    take(y, s, kept[first + s, slot[s], 1])
                    slot[s] += 1
        n += 1
    total, pull = np.empty(posts, np.int64), np.zeros(lanes, np.int64)
    for s in range(size):
        add_payloads(flush_in[first + s], weight, total)
        for i in range(posts):
            pull[s * posts + i] = _rounded_shift(total[i] * numbers[8], numbers[9])
    _flush(x, y, pull, shape[0], shape[6], numbers[12], angles)
    for s in range(size):
        take(pull, s, flush[first + s])


@compiled(parallel=True)
def run_vectors(  # type: ignore[no-untyped-def]
    start, step, source, late, flush_in, weight, initial, zero, shape, numbers, second, angles, group,
    buffer, count, crossing, kept_step, kept, flush,
):  # fmt: skip
    """Fill ``buffer`` with the spikes of a population, ``count`` with their numbers, ``flush`` with its payloads.

    ``initial`` (2, neurons) are the vectors at the start, ``zero`` an array of the type that holds what arrives.
    """
    samples = start.size - 1
    for g in numba.prange(-(-samples // group)):
        first = g * group
        _run_group(
            first, min(group, samples - first), start, step, source, late, flush_in, weight, initial, zero, shape,
            numbers, second, angles, buffer, count, crossing, kept_step, kept, flush,
        )  # fmt: skip
