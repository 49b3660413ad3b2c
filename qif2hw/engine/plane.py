"""The plane-vector neuron in integers, part of the specification.

The state is ``(x, y)``, of which only the direction counts; it is shifted so that the larger coordinate has
``VECTOR_BITS`` bits.
"""

import numpy as np

from qif2hw.engine.integers import MEASURED_BITS, Int, bit_length, keep, rounded_shift, shifted_within, within
from qif2hw.ir.ptc import ANGLE_BITS, LATE_FRACTION, STATE_BITS, TRIG_BITS, VECTOR_BITS, PlaneVector

LONGEST = 1 << VECTOR_BITS
"""Largest coordinate of a normalised vector; rounding may make it this."""


def rotate(x: Int, y: Int, cosine: int, sine: int, bits: int = TRIG_BITS) -> tuple[Int, Int]:
    """Turn by a fixed angle, whose cosine and sine have ``bits`` fraction bits: four products, each pair rounded once.

    Both may have a factor of at most 1 in common.
    """
    across, up = keep("rotation product", x * cosine - y * sine), keep("rotation product", x * sine + y * cosine)
    return (
        keep("vector", rounded_shift(across, bits), STATE_BITS),
        keep("vector", rounded_shift(up, bits), STATE_BITS),
    )


def shear(x: Int, y: Int, a0: Int, a1: Int, a2: Int, drop: int = 0) -> tuple[Int, Int]:
    """``x += a1 x - a0 y``, ``y += a2 x - a1 y``; a direction above the axis stays above it.

    The products take the coordinates without their ``drop`` lowest bits.
    """
    p, q = rounded_shift(x, drop), rounded_shift(y, drop)
    turned = x + rounded_shift(keep("shear product", a1 * p - a0 * q), LATE_FRACTION - drop)
    lowered = y - rounded_shift(keep("shear product", a1 * q - a2 * p), LATE_FRACTION - drop)
    return turned, np.where(y > 0, np.maximum(lowered, 1), lowered)


def normalise(x: Int, y: Int) -> tuple[Int, Int]:
    """Shift both coordinates by one count of bits: left exactly, right with rounding."""
    x, y = keep("sheared vector", x, MEASURED_BITS), keep("sheared vector", y, MEASURED_BITS)
    down = bit_length(np.maximum(np.abs(x), np.abs(y))) - VECTOR_BITS
    right, left = np.maximum(down, 0), np.maximum(-down, 0)
    half = (np.int64(1) << right) >> 1

    def shifted(value: Int) -> Int:
        # What is shifted left is shorter than LONGEST.
        short = shifted_within(np.clip(value, -LONGEST, LONGEST), left, LONGEST)
        return within(np.where(down > 0, (value + half) >> right, short), -LONGEST, LONGEST)

    return shifted(x), shifted(y)


def cross(x: Int, y: Int) -> tuple[Int, Int, Int]:
    """Whether the vector left the upper half plane, as 0 or 1, and the vector, turned back by half a turn if it did."""
    fired = ((y < 0) | ((y == 0) & (x < 0))).astype(np.int64)
    return (1 - 2 * fired) * x, np.abs(y), fired


def ticks_late(curve: PlaneVector, x: Int, y: Int, most: int) -> Int:
    """Ticks since the crossing, rounded down: the small angle ``y / x`` in units of a tick, at most ``most``.

    ``most`` is one less than a power of two: a comparison and a subtraction give each bit, no division.
    """
    rest, unit, ticks = keep("lateness product", y * curve.tick_gain), np.maximum(x, 1), np.zeros_like(x)
    for bit in reversed(range(most.bit_length())):
        part = unit << bit
        reached = rest >= part
        rest, ticks = np.where(reached, rest - part, rest), np.where(reached, ticks + (1 << bit), ticks)
    return ticks


def phase_of(curve: PlaneVector, threshold: int, x: Int, y: Int) -> Int:
    """Angle in phase counts, in ``[0, threshold)``: turns by ``atan(2^-i)`` towards ``y = 0`` are added up."""
    x, y = x << ANGLE_BITS, y << ANGLE_BITS
    left = x < 0
    x, y = np.where(left, y, x), np.where(left, -x, y)
    angle = np.where(left, (threshold << ANGLE_BITS) >> 1, 0)
    for i, turn in enumerate(curve.angles.astype(np.int64)):
        up = y > 0
        x, y = np.where(up, x + (y >> i), x - (y >> i)), np.where(up, y - (x >> i), y + (x >> i))
        x, y = keep("vector while its angle is found", x), keep("vector while its angle is found", y)
        angle = keep("angle", np.where(up, angle + turn, angle - turn))
    return np.clip(rounded_shift(angle, ANGLE_BITS), 0, threshold - 1)
