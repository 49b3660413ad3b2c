"""Plane-vector populations, compiled: equal to `qif2hw.engine.plane` in `qif2hw.engine.spec` bit for bit.

A rotation rounds in every step, so no step can be skipped.
"""

import math

import numba
import numpy as np
from numpy.typing import NDArray

from qif2hw.engine.fast_sums import add_payloads, add_spikes, add_squares
from qif2hw.ir.ptc import ANGLE_BITS, LATE_FRACTION, VECTOR_BITS, PlaneVector
from qif2hw.machinecode import compiled

Int64 = NDArray[np.int64]


def vector_numbers(curve: PlaneVector) -> tuple[Int64, Int64, Int64]:
    """A curve as the kernel takes it: constants, the angles that find a phase, and the start."""
    numbers = [
        curve.cosine, curve.sine, curve.back_cosine, curve.back_sine, curve.kick_gain, curve.kick_shift,
        curve.late_gain, curve.late_shift, curve.flush_gain, curve.flush_shift, curve.tick_gain,
        curve.trig_bits, curve.shear_drop,
    ]  # fmt: skip
    return np.array(numbers, np.int64), curve.angles.astype(np.int64), curve.start.astype(np.int64)


@compiled(inline="always")
def _rounded_shift(value: int, bits: int) -> int:
    return (value + ((1 << bits) >> 1)) >> bits


@compiled(inline="always")
def _rotate(x: int, y: int, cosine: int, sine: int, bits: int) -> tuple[int, int]:
    return _rounded_shift(x * cosine - y * sine, bits), _rounded_shift(x * sine + y * cosine, bits)


@compiled
def second_order_loss(a0: int, a1: int, m2: int, second: Int64) -> int:
    """`qif2hw.engine.curve.second_order_loss`, of the numbers of a `qif2hw.ir.ptc.SecondMoment`."""
    unequal = _rounded_shift(3 * a0 * m2, LATE_FRACTION + 1) - _rounded_shift(a1 * a1 * second[2], second[3])
    return _rounded_shift(m2 * second[0], second[1]) + unequal


@compiled(inline="always")
def _kick(x: int, y: int, a0: int, a1: int, a2: int, drop: int) -> tuple[int, int]:
    p, q, bits = _rounded_shift(x, drop), _rounded_shift(y, drop), LATE_FRACTION - drop
    low = y - _rounded_shift(a1 * q - a2 * p, bits)
    x, y = x + _rounded_shift(a1 * p - a0 * q, bits), max(low, 1) if y > 0 else low
    size = max(abs(x), abs(y))
    if (1 << (VECTOR_BITS - 1)) <= size < (1 << VECTOR_BITS):
        return x, y
    down = math.frexp(float(size))[1] - VECTOR_BITS
    if down < 0:
        return x << -down, y << -down
    return _rounded_shift(x, down), _rounded_shift(y, down)


@compiled
def _phase(x: int, y: int, threshold: int, angles: Int64) -> int:
    x, y = x << ANGLE_BITS, y << ANGLE_BITS
    angle = 0
    if x < 0:
        x, y, angle = y, -x, (threshold << ANGLE_BITS) >> 1
    for i in range(angles.size):
        if y > 0:
            x, y, angle = x + (y >> i), y - (x >> i), angle + angles[i]
        else:
            x, y, angle = x - (y >> i), y + (x >> i), angle - angles[i]
    return min(max(_rounded_shift(angle, ANGLE_BITS), 0), threshold - 1)


@compiled(parallel=True)
def run_vectors(  # type: ignore[no-untyped-def]
    start,
    source,
    late_in,
    flush_in,
    weight,
    shape,
    numbers,
    angles,
    initial,
    second,
    capacity,
    kept_step,
    kept,
    crossing,
):  # fmt: skip
    """Spikes and flush payloads of a population, by sample; ``count`` above ``capacity`` asks for more room."""
    samples, posts = start.shape[0], initial.shape[1]
    threshold, lateness_bits, trial_steps, depth, flush_drop = shape[0], shape[2], shape[3], shape[4], shape[6]
    most, trig_bits, drop = (1 << lateness_bits) - 1, numbers[11], numbers[12]
    count = np.zeros(samples, np.int64)
    out_step = np.empty((samples, capacity), np.int64)
    out_neuron = np.empty((samples, capacity), np.int64)
    out_late = np.empty((samples, capacity), np.int64)
    out_flush = np.empty((samples, posts), np.int64)
    for b in numba.prange(samples):
        vx, vy = initial[0].copy(), initial[1].copy()
        a0, a1, a2 = np.zeros(posts, np.int64), np.zeros(posts, np.int64), np.zeros(posts, np.int64)
        found = 0
        slot = 0
        for local in range(1, trial_steps + 1):
            n = local + depth
            begin, end = start[b, n - 1], start[b, n]
            add_spikes(source[begin:end], late_in[begin:end], weight, a0, a1)
            if second.size > 0:
                add_squares(source[begin:end], late_in[begin:end], weight, lateness_bits, a2)
            for i in range(posts):
                x, y = _rotate(vx[i], vy[i], numbers[0], numbers[1], trig_bits)
                fired = y < 0 or (y == 0 and x < 0)
                if fired:
                    x, y = -x, -y
                # What comparing and subtracting gives, bit by bit.
                late = min(y * numbers[10] // max(x, 1), most)
                over_x, over_y = x, y
                kick0 = _rounded_shift(a0[i] * numbers[4], numbers[5])
                kick1 = _rounded_shift(a1[i] * numbers[6], numbers[7])
                kick2 = 0
                if second.size > 0:
                    m2 = _rounded_shift(a2[i] * numbers[6], numbers[7])
                    kick2 = _rounded_shift(m2 * second[0], second[1])
                    kick0 -= second_order_loss(kick0, kick1, m2, second)
                x, y = _kick(x, y, kick0, kick1, kick2, drop)
                if local == trial_steps:
                    x, y = _rotate(x, y, numbers[2], -numbers[3], trig_bits)
                    if y < 0 or (y == 0 and x < 0):
                        x, y = -x, -y
                        if not fired:
                            x, y = 1 << (VECTOR_BITS - 1), 0
                        fired = False
                vx[i], vy[i] = x, y
                if fired:
                    if found < capacity:
                        out_step[b, found], out_neuron[b, found], out_late[b, found] = n, i, late
                        if kept_step.shape[1] > 0:
                            crossing[b, found, 0], crossing[b, found, 1] = over_x, over_y
                    found += 1
            if kept_step.shape[1] > 0 and (begin < end or local == trial_steps):
                kept_step[b, slot] = n
                kept[b, slot, 0], kept[b, slot, 1] = vx, vy
                slot += 1
        add_payloads(flush_in[b], weight, a1)
        for i in range(posts):
            x, y = _kick(vx[i], vy[i], _rounded_shift(a1[i] * numbers[8], numbers[9]), 0, 0, drop)
            out_flush[b, i] = _rounded_shift(_phase(x, y, threshold, angles), flush_drop)
        count[b] = found
    return count, out_step, out_neuron, out_late, out_flush
