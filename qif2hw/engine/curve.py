"""The phase transition curve in integers: tables, part of the specification.

`kick` is what arriving spikes do to a phase register, for both kinds of table.  Arrays of integers are handled element
by element, in any shape: an element is a neuron of a sample.
"""

from collections.abc import Callable

import numpy as np

from qif2hw.engine.integers import Int, bit_length, entry, growing, keep, product_within, rounded_shift
from qif2hw.ir.ptc import (
    CURVATURE_MAX,
    LATE_FRACTION,
    STATE_BITS,
    CotangentTables,
    PhaseWeightTable,
    SecondMoment,
    Table,
)


@growing
def knot_before(table: Table, x: Int) -> Int:
    """Index of the last knot at or before ``x >= 0``.

    Octave ``j = max(0, bit_length(x) - first_octave)`` starts at knot ``j 2^m`` and at ``x = 0`` (``j = 0``) or
    ``2^(first_octave + j - 1)``; its knots lie ``2^s`` apart, ``s = first_octave - m + max(0, j - 1)``.
    """
    octave = np.maximum(bit_length(x) - table.first_octave, 0)
    spacing = table.first_octave - table.mantissa_bits + np.maximum(octave - 1, 0)
    start = np.where(octave > 0, np.int64(1) << (table.first_octave + np.maximum(octave - 1, 0)), 0)
    return (octave << table.mantissa_bits) + ((x - start) >> spacing)


def look_up(table: Table, x: Int) -> Int:
    """Table value at ``x >= 0``: linear between the knots, rounded half up."""
    index = knot_before(table, x)
    spacing = table.first_octave - table.mantissa_bits + np.maximum((index >> table.mantissa_bits) - 1, 0)
    # Octaves start at multiples of their knots' distance.
    fraction = x & ((np.int64(1) << spacing) - 1)
    knots = table.knots.astype(np.int64)
    return between(entry(knots, index), entry(rises(knots), index), fraction, spacing, lambda: steepest(table))


def steepest(table: Table) -> int:
    """Bound of a rise between two knots times any fraction of their distance: steep parts have near knots."""
    index = np.arange(table.knots.size)
    spacing = table.first_octave - table.mantissa_bits + np.maximum((index >> table.mantissa_bits) - 1, 0)
    return int((np.abs(rises(table.knots.astype(np.int64))) << spacing).max())


def rises(values: Int, axis: int = 0) -> Int:
    """What each of the ``values`` of a table is below the next along an axis; 0 for the last."""
    return np.diff(values, axis=axis, append=values.take([-1], axis))


def between(left: Int, rise: Int, fraction: Int, spacing: Int | int, most: Callable[[], int] | None = None) -> Int:
    """``left + rise fraction / 2^spacing``, rounded half up: between two values of a table.

    The product is within ``most()``, if that is known.
    """
    product = keep("interpolation", rise * fraction if most is None else product_within(rise, fraction, most))
    # The spacing enters once: of an unknown one intervals keep the bound by the values at both sides.
    return left + (((2 * product >> spacing) + 1) >> 1)


def potential(tables: CotangentTables, threshold: int, phase: Int) -> Int:
    """``v = -cot(theta)`` of phases in ``[edge, threshold - edge]``: negative in the first half of the cycle."""
    # The smaller of phase and threshold - phase, in a form whose bound by half of the cycle intervals see.
    distance = (threshold - np.abs(2 * phase - threshold)) >> 1
    size = np.maximum(look_up(tables.to_potential, distance), 0)
    return np.where(2 * phase < threshold, -size, size)


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

    With the second moment, see `qif2hw.neuron.unequal_kick`: ``a0`` loses `second_order_loss`, ``a1`` gains the
    curvature ``a2 (v / 2 + a0)``, at most `CURVATURE_MAX` either way.
    """
    inside = ((a0 != 0) | (a1 != 0) | (m2 != 0)) & (phase >= tables.edge) & (phase <= threshold - tables.edge)
    v = keep("potential", potential(tables, threshold, np.where(inside, phase, threshold >> 1)), STATE_BITS)
    loss, curvature = np.zeros_like(v), np.zeros_like(v)
    if tables.second is not None:
        loss = second_order_loss(tables.second, a0, a1, m2)
        product = keep("curvature product", m2 * (v + 2 * a0) * tables.second.curvature_gain)
        curvature = np.clip(rounded_shift(product, tables.second.curvature_shift), -CURVATURE_MAX, CURVATURE_MAX)
    product = keep("potential product", (a1 + curvature) * (2 * v + a0))
    kicked = keep("potential before saturation", v + a0 - loss + rounded_shift(product, LATE_FRACTION))
    return np.where(inside, phase_of(tables, threshold, kicked), phase)


def second_order_loss(second: SecondMoment, a0: Int, a1: Int, m2: Int) -> Int:
    """``c = a2 + 3 (a0 m2 - a1^2 / lambda) / 2`` in units of ``a0``, see `qif2hw.neuron.commutator`."""
    own = rounded_shift(keep("square product", m2 * second.own_gain), second.own_shift)
    unequal = rounded_shift(keep("weights times squares", 3 * a0 * m2), LATE_FRACTION + 1)
    common = keep("squared lateness factor", a1 * a1 * second.commutator_gain)
    return own + unequal - rounded_shift(common, second.commutator_shift)


def _kick_by_phase_and_weight(tables: PhaseWeightTable, threshold: int, phase: Int, a0: Int, a1: Int) -> Int:
    """``P + shift[a0, P] + a1 (twist[P] + twist[P'])``, bilinear; kicks beyond the table count as its outermost row."""
    shift, twist = tables.shift.astype(np.int64), tables.twist.astype(np.int64)
    inside = ((a0 != 0) | (a1 != 0)) & (phase > 0) & (phase < threshold)
    p = np.where(inside, phase, 0)
    middle = (shift.shape[0] - 1) // 2 << tables.kick_spacing
    across = np.clip(keep("kick in the table", a0 + middle), 0, 2 * middle)
    row, column = across >> tables.kick_spacing, p >> tables.phase_spacing
    along = p & ((1 << tables.phase_spacing) - 1)

    def in_row(k: Int) -> Int:
        left = keep("table shift", entry(shift, k, column), STATE_BITS)
        return between(left, entry(rises(shift, 1), k, column), along, tables.phase_spacing)

    low, high = in_row(row), in_row(np.minimum(row + 1, shift.shape[0] - 1))
    moved = p + between(low, high - low, across & ((1 << tables.kick_spacing) - 1), tables.kick_spacing)
    moved = np.clip(moved, 0, threshold)

    def twisted(at: Int) -> Int:
        k, fraction = at >> tables.phase_spacing, at & ((1 << tables.phase_spacing) - 1)
        return between(entry(twist, k), entry(rises(twist), k), fraction, tables.phase_spacing)

    late = rounded_shift(keep("twist product", a1 * (twisted(p) + twisted(moved))), LATE_FRACTION)
    return np.where(inside, np.clip(moved + late, 1, threshold - 1), phase)
