"""The phase transition curve in integers: tables, part of the specification.

`kick` is what arriving spikes do to a phase register, for both kinds of table.
"""

import numpy as np
from numpy.typing import NDArray

from qif2hw.ir.ptc import BEND_MAX, LATE_FRACTION, CotangentTables, PhaseWeightTable, SecondMoment, Table

Int = NDArray[np.int64]


def rounded_shift(value: Int, bits: int) -> Int:
    """``floor(value / 2^bits + 1/2)``."""
    return (value + ((1 << bits) >> 1)) >> bits


def bit_length(value: Int) -> Int:
    """Position of the highest set bit plus one, 0 for 0; values in [0, 2^53)."""
    return np.frexp(value.astype(np.float64))[1].astype(np.int64)


def look_up(table: Table, x: Int) -> Int:
    """Table value at ``x >= 0``: linear between the knots, rounded half up.

    Octave ``j = max(0, bit_length(x) - first_octave)`` starts at knot ``j 2^m`` and at ``x = 0`` (``j = 0``) or
    ``2^(first_octave + j - 1)``; its knots lie ``2^s`` apart, ``s = first_octave - m + max(0, j - 1)``.
    """
    octave = np.maximum(bit_length(x) - table.first_octave, 0)
    spacing = table.first_octave - table.mantissa_bits + np.maximum(octave - 1, 0)
    start = np.where(octave > 0, np.int64(1) << (table.first_octave + np.maximum(octave - 1, 0)), 0)
    index = (octave << table.mantissa_bits) + ((x - start) >> spacing)
    fraction = (x - start) & ((np.int64(1) << spacing) - 1)
    knots = table.knots.astype(np.int64)
    left = knots[index]
    right = knots[np.minimum(index + 1, knots.size - 1)]
    return left + (((right - left) * fraction + ((np.int64(1) << spacing) >> 1)) >> spacing)


def potential(tables: CotangentTables, threshold: int, phase: Int) -> Int:
    """``v = -cot(theta)`` of phases in ``[edge, threshold - edge]``: negative in the first half of the cycle."""
    early = 2 * phase < threshold
    size = np.maximum(look_up(tables.to_potential, np.where(early, phase, threshold - phase)), 0)
    return np.where(early, -size, size)


def phase_of(tables: CotangentTables, threshold: int, v: Int) -> Int:
    """Phase of a potential, after saturation; never nearer than ``edge`` to an end."""
    distance = np.maximum(look_up(tables.to_phase, np.minimum(np.abs(v), tables.limit)), tables.edge)
    return np.where(v < 0, distance, threshold - distance)


def kick(tables: CotangentTables | PhaseWeightTable, threshold: int, phase: Int, a0: Int, a1: Int, m2: Int) -> Int:
    """Phase after a kick of ``a0`` counts with the lateness factors ``a1``, ``m2`` (``LATE_FRACTION`` fraction bits).

    Nothing happens where all are zero, and at both ends of the cycle.
    """
    if isinstance(tables, PhaseWeightTable):
        return _kick_by_phase_and_weight(tables, threshold, phase, a0, a1)
    return _kick_by_cotangent(tables, threshold, phase, a0, a1, m2)


def _kick_by_cotangent(tables: CotangentTables, threshold: int, phase: Int, a0: Int, a1: Int, m2: Int) -> Int:
    """``v -> v + a0 + a1 (2 v + a0)``, see `qif2hw.neuron.late_kick`; a phase nearer than ``edge`` to an end stays.

    With the second moment, see `qif2hw.neuron.unequal_kick`: ``a0`` loses `missing`, ``a1`` gains ``a2 (v / 2 + a0)``,
    at most `BEND_MAX` either way.
    """
    inside = ((a0 != 0) | (a1 != 0) | (m2 != 0)) & (phase >= tables.edge) & (phase <= threshold - tables.edge)
    v = potential(tables, threshold, np.where(inside, phase, threshold >> 1))
    lost, bend = np.zeros_like(v), np.zeros_like(v)
    if tables.second is not None:
        lost = missing(tables.second, a0, a1, m2)
        bend = rounded_shift(m2 * (v + 2 * a0) * tables.second.bend_gain, tables.second.bend_shift)
        bend = np.clip(bend, -BEND_MAX, BEND_MAX)
    kicked = v + a0 - lost + rounded_shift((a1 + bend) * (2 * v + a0), LATE_FRACTION)
    return np.where(inside, phase_of(tables, threshold, kicked), phase)


def missing(second: SecondMoment, a0: Int, a1: Int, m2: Int) -> Int:
    """``c = a2 + 3 (a0 m2 - a1^2 / lambda) / 2`` in units of ``a0``, see `qif2hw.neuron.disorder`."""
    own = rounded_shift(m2 * second.own_gain, second.own_shift)
    unequal = rounded_shift(3 * a0 * m2, LATE_FRACTION + 1)
    return own + unequal - rounded_shift(a1 * a1 * second.disorder_gain, second.disorder_shift)


def _between(left: Int, right: Int, fraction: Int, spacing: int) -> Int:
    return left + rounded_shift((right - left) * fraction, spacing)


def _kick_by_phase_and_weight(tables: PhaseWeightTable, threshold: int, phase: Int, a0: Int, a1: Int) -> Int:
    """``P + shift[a0, P] + a1 (twist[P] + twist[P'])``, bilinear; kicks beyond the table count as its outermost row."""
    shift, twist = tables.shift.astype(np.int64), tables.twist.astype(np.int64)
    inside = ((a0 != 0) | (a1 != 0)) & (phase > 0) & (phase < threshold)
    p = np.where(inside, phase, 0)
    middle = (shift.shape[0] - 1) // 2 << tables.kick_spacing
    across = np.clip(a0 + middle, 0, 2 * middle)
    row = np.minimum(across >> tables.kick_spacing, shift.shape[0] - 2)
    column, along = p >> tables.phase_spacing, p & ((1 << tables.phase_spacing) - 1)
    low = _between(shift[row, column], shift[row, column + 1], along, tables.phase_spacing)
    high = _between(shift[row + 1, column], shift[row + 1, column + 1], along, tables.phase_spacing)
    moved = np.clip(p + _between(low, high, across - (row << tables.kick_spacing), tables.kick_spacing), 0, threshold)

    def twisted(at: Int) -> Int:
        k = np.minimum(at >> tables.phase_spacing, twist.size - 2)
        return _between(twist[k], twist[k + 1], at - (k << tables.phase_spacing), tables.phase_spacing)

    late = rounded_shift(a1 * (twisted(p) + twisted(moved)), LATE_FRACTION)
    return np.where(inside, np.clip(moved + late, 1, threshold - 1), phase)
