"""Making the three kinds of phase transition curves, and measuring their error."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from qif2hw import neuron
from qif2hw.compiler.passes.weights import FULL_RANGE
from qif2hw.engine import curve, plane
from qif2hw.engine.integers import rounded_shift
from qif2hw.ir import PTC, CotangentTables, PhaseWeightTable, PlaneVector, Population, SecondMoment, Table, TimeGrid
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.ptc import ANGLE_BITS, LATE_FRACTION, STATE_MAX, TRIG_BITS, VECTOR_BITS, NarrowProducts

GAIN_BITS = 15
ROUGH_BITS = 10
"""Of the gains of the second moment, whose terms are small and whose products are wide."""
ANGLES = 26
"""Turns in which a plane vector's phase is found: the last is below a phase count."""
KICK_COUNTS = 18
"""A phase and weight table counts kicks so that the largest has about this many bits."""


TABLES_KEPT = 64
"""Pairs of tables that are kept for populations, budgets and settings that need the same."""


def cotangent_tables(
    population: Population, grid: TimeGrid, unit: float, flush_drop: int, table_bits: int, second: bool
) -> CotangentTables:
    """A pair of tables, ``2^table_bits`` knots per octave; ``flush_drop`` is that of the population's sources."""
    r, threshold = population.neuron.r, grid.threshold
    kick_bits, edge, to_potential, to_phase = _cotangent_pair(r, threshold, unit, table_bits)
    unit_v = unit / (r * 2.0**kick_bits)
    late_gain, late_shift = _gain(grid.tick * population.neuron.omega * unit / r * 2.0**LATE_FRACTION)
    flush_gain, flush_shift = _gain(2.0 ** (kick_bits + flush_drop) / threshold)
    step = math.pi / grid.period_steps
    return CotangentTables(
        to_potential, to_phase, edge, kick_bits, late_gain, late_shift, flush_gain, flush_shift,
        SecondMoment(
            *_gain(step / unit_v / 2.0**LATE_FRACTION, ROUGH_BITS),
            *_gain(-neuron.commutator(0.0, 1.0, 0.0, step) / (unit_v * 4.0**LATE_FRACTION), ROUGH_BITS),
            *_gain(0.5 * step * unit_v, ROUGH_BITS),
        ) if second else None,
    )  # fmt: skip


@lru_cache(maxsize=TABLES_KEPT)
def _cotangent_pair(r: float, threshold: int, unit: float, table_bits: int) -> tuple[int, int, Table, Table]:
    """``kick_bits``, ``edge`` and both tables; they depend on nothing else, so that equal ones are made once."""
    kick_bits = max(0, math.floor(math.log2(STATE_MAX * unit / (r * FULL_RANGE))))
    unit_v = unit / (r * 2.0**kick_bits)
    edge = math.ceil(float(neuron.angle_of_cotangent(STATE_MAX * unit_v)) / math.pi * threshold)
    first = max(edge.bit_length() - 1, table_bits)
    spacing = 1 << (first - table_bits)
    edge = -(-edge // spacing) * spacing

    def potential(distance: IntArray) -> FloatArray:
        return neuron.cotangent(np.pi * np.maximum(distance, edge) / threshold) / unit_v

    def distance(v: IntArray) -> FloatArray:
        return neuron.angle_of_cotangent(v * unit_v) / np.pi * threshold

    to_potential = _tabulate(potential, first, table_bits, threshold >> 1)
    one = max(int(1 / unit_v).bit_length() - 1, table_bits)
    to_phase = _tabulate(distance, one, table_bits, int(to_potential.knots[0]))
    return kick_bits, edge, to_potential, to_phase


def knot_positions(first_octave: int, mantissa_bits: int, end: int) -> IntArray:
    """Arguments of a table's knots, (knots,), from 0 to the first one at or beyond ``end``."""
    per = 1 << mantissa_bits
    parts = [np.arange(per, dtype=np.int64) << (first_octave - mantissa_bits)]
    octave = first_octave
    while parts[-1][-1] + (parts[-1][1] - parts[-1][0]) < end:
        parts.append((np.arange(per, 2 * per, dtype=np.int64)) << (octave - mantissa_bits))
        octave += 1
    parts.append(np.array([parts[-1][-1] + (parts[-1][1] - parts[-1][0])]))
    every = np.concatenate(parts)
    return every[: int(np.searchsorted(every, end)) + 1]


def _tabulate(function: Callable[[IntArray], FloatArray], first: int, bits: int, end: int) -> Table:
    """A table whose knots leave the curve by half of what the chords beside them miss: it errs both ways, by half."""
    knots = knot_positions(first, bits, end)
    values = function(knots)
    missed = 0.5 * (values[:-1] + values[1:]) - function((knots[:-1] + knots[1:]) >> 1)
    beside = np.concatenate([missed[:1], 0.5 * (missed[:-1] + missed[1:]), missed[-1:]])
    return Table(np.rint(values - 0.5 * beside).astype(np.int32), first, bits)


def _gain(factor: float, bits: int = GAIN_BITS) -> tuple[int, int]:
    """Integer and shift with ``gain / 2^shift ~ factor`` and a gain of at most ``bits`` bits."""
    shift = min(47, max(0, bits - 1 - math.floor(math.log2(factor))))
    return round(factor * 2.0**shift), shift


def phase_weight_table(
    population: Population, grid: TimeGrid, unit: float, flush_drop: int, table_bits: int, load: int
) -> PhaseWeightTable:
    """One table of about ``2^table_bits`` phases and a quarter as many kicks, up to the ``load`` that can arrive."""
    r, threshold = population.neuron.r, grid.threshold
    kick_bits = max(0, KICK_COUNTS - load.bit_length())
    half = 1 << max(1, table_bits - 3)
    kick_spacing = max(0, math.ceil(math.log2((load << kick_bits) / half)))
    half = -(-(load << kick_bits) >> kick_spacing)
    phase_spacing = (threshold - 1).bit_length() - table_bits
    phase = np.minimum(np.arange((threshold >> phase_spacing) + 2) << phase_spacing, threshold)
    kicks = (np.arange(-half, half + 1) << kick_spacing) * (unit / (r * 2.0**kick_bits))
    angle = np.pi * phase / threshold
    moved = neuron.kick(angle[None, :], kicks[:, None]) / np.pi * threshold - phase
    moved[:, phase == threshold] = 0.0
    twist = threshold / np.pi * neuron.late_turn(angle)
    return PhaseWeightTable(
        np.rint(moved).astype(np.int32),
        np.rint(twist).astype(np.int32),
        phase_spacing,
        kick_spacing,
        kick_bits,
        *_gain(grid.tick * population.neuron.omega * unit / r * 2.0**LATE_FRACTION),
        *_gain(2.0 ** (kick_bits + flush_drop) / threshold),
    )


def plane_vector(
    population: Population,
    grid: TimeGrid,
    unit: float,
    flush_drop: int,
    depth: int,
    second: bool,
    narrow: NarrowProducts | None = None,
) -> PlaneVector:
    """The constants of a rotation and a shear; ``narrow`` are the widths of its factors."""
    r, threshold = population.neuron.r, grid.threshold
    step = math.pi / grid.period_steps
    back = step * grid.overshoot(depth) / grid.increment
    turn = direction if narrow is None else partial(direction_of_any_length, bits=narrow.trig_bits)
    turns = np.arctan(2.0 ** -np.arange(ANGLES)) / np.pi * threshold * 2.0**ANGLE_BITS
    return PlaneVector(
        *turn(step),
        *turn(back),
        *_gain(unit / r * 2.0**LATE_FRACTION),
        *_gain(grid.tick * population.neuron.omega * unit / r * 2.0**LATE_FRACTION),
        *_gain(unit / r * 2.0**flush_drop / threshold * 2.0**LATE_FRACTION),
        round(grid.ticks / step),
        np.rint(turns).astype(np.int32),
        start_vectors(grid, grid.phase0(population.phi0, depth), depth),
        SecondMoment(
            *_gain(step, ROUGH_BITS), *_gain(-neuron.commutator(0.0, 1.0, 0.0, step) / 2.0**LATE_FRACTION, ROUGH_BITS)
        )
        if second
        else None,
        narrow,
    )


def direction(angle: float) -> tuple[int, int]:
    """Cosine and sine with ``TRIG_BITS`` fraction bits, each rounded."""
    return round((1 << TRIG_BITS) * math.cos(angle)), round((1 << TRIG_BITS) * math.sin(angle))


def direction_of_any_length(angle: float, bits: int) -> tuple[int, int]:
    """Cosine and sine of an angle in [0, pi/2], times a factor from 1/2 to 1, that have it most nearly.

    Of all pairs of integers up to ``2^bits``: with few bits the nearest cosine and sine have a direction that is wrong
    by up to ``2^-bits`` radians, these by about ``2^-bits`` of that.
    """
    one = 1 << bits
    if angle > math.pi / 4:
        sine, cosine = direction_of_any_length(math.pi / 2 - angle, bits)
        return cosine, sine
    largest = one * math.cos(angle)
    # The larger coordinate is enumerated: the other one follows.
    across = np.arange(round(largest), math.floor(largest / 2), -1, dtype=np.int64)
    up = np.rint(across * math.tan(angle)).astype(np.int64)
    best = int(np.abs(np.arctan2(up, across) - angle).argmin())
    return int(across[best]), int(up[best])


def turn_error(curve: PlaneVector, grid: TimeGrid) -> float:
    """By how many steps a free neuron is off after a trial, because the angle of a step is rounded."""
    step = math.pi / grid.period_steps
    return abs(math.atan2(curve.sine, curve.cosine) / step - 1) * grid.trial_steps


def start_vectors(grid: TimeGrid, phase0: NDArray[np.int32], depth: int) -> NDArray[np.int32]:
    """Plane vectors (2, neurons) of initial phase counts ``phase0`` (neurons,) when the population's trial starts."""
    phase = np.clip(phase0.astype(np.int64) + (depth << grid.phase_bits), 0, grid.threshold - 1)
    return np.stack(_vectors(phase, grid.threshold)).astype(np.int32)


def _vectors(phase: IntArray, threshold: int) -> tuple[IntArray, IntArray]:
    length, angle = (1 << VECTOR_BITS) - 1, np.pi * phase / threshold
    return np.rint(length * np.cos(angle)).astype(np.int64), np.rint(length * np.sin(angle)).astype(np.int64)


def respond(ptc: PTC, threshold: int, phase: IntArray, weights: int) -> IntArray:
    """Counts of ``phase``, of any shape, after ``weights`` counts of spikes, on time, by the machine's arithmetic."""
    nothing = np.zeros_like(phase)
    if not isinstance(ptc, PlaneVector):
        return curve.kick(ptc, threshold, phase, np.full_like(phase, weights << ptc.kick_bits), nothing, nothing)
    x, y = _vectors(phase, threshold)
    a0 = rounded_shift(np.full_like(phase, weights) * ptc.kick_gain, ptc.kick_shift)
    sheared = plane.shear(x, y, a0, nothing, nothing, ptc.shear_drop)
    return plane.phase_of(ptc, threshold, *plane.normalise(*sheared))


@dataclass(frozen=True)
class CurveError:
    """Memory of a curve, and its error in steps, and whether it is monotone."""

    bytes: int
    max_error_steps: float
    rms_error_steps: float
    monotone: bool


def measure(ptc: PTC, grid: TimeGrid, population: Population, unit: float, load: int) -> CurveError:
    """Error of the machine's phase transition curve against the exact one, in steps, over the whole domain.

    Phases: eight per interval between the knots (of the finest tables where there are none), in both halves of the
    cycle, both ends included.  Weights: 33 sums of either sign up to the largest that can arrive (``load`` counts),
    equally spaced in their square root.
    """
    threshold = grid.threshold
    phase = _probes(ptc, threshold)
    angle: FloatArray = np.pi * phase / threshold
    root = np.linspace(-1, 1, 33)
    sums = np.unique(np.rint(np.sign(root) * root**2 * load).astype(np.int64))
    worst, square, count = 0.0, 0.0, 0
    monotone = True
    for weights in sums:
        kicked = respond(ptc, threshold, phase, int(weights))
        a = np.full(len(phase), float(weights) * unit / population.neuron.r)
        exact = neuron.kick(angle, a) / np.pi * threshold
        # At the cycle's end sin(pi) rounds to about 1e-16 of either sign.
        error = (kicked - np.where(phase == threshold, threshold, exact)) / grid.increment
        worst = max(worst, float(np.abs(error).max()))
        square += float(np.sum(error**2))
        count += error.size
        monotone &= bool((np.diff(kicked) >= 0).all())
    return CurveError(ptc.bytes, worst, math.sqrt(square / count), monotone)


def _probes(ptc: PTC, threshold: int) -> IntArray:
    if isinstance(ptc, PhaseWeightTable):
        knots = np.arange(len(ptc.twist), dtype=np.int64) << ptc.phase_spacing
    elif isinstance(ptc, CotangentTables):
        knots = knot_positions(ptc.to_potential.first_octave, ptc.to_potential.mantissa_bits, threshold >> 1)
    else:
        knots = knot_positions(threshold.bit_length() - 9, 7, threshold >> 1)
    inner = (knots[:-1, None] + (np.diff(knots)[:, None] * np.arange(8)) // 8).ravel()
    half = np.append(inner[inner < threshold >> 1], threshold >> 1)
    phase = np.concatenate([half, threshold - half[::-1]])
    # In a plane vector the end of the cycle is its beginning.
    return phase[(phase > 0) & (phase < threshold)] if isinstance(ptc, PlaneVector) else phase
