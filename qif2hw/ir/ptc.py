"""The phase transition curve on the machine: three kinds of neuron arithmetic.

`CotangentTables` and `PhaseWeightTable` keep a phase, which grows by a constant per step; `PlaneVector` keeps the plane
vector and rotates it.  `qif2hw.engine.spec` says what each number does.
"""

from dataclasses import dataclass, field, fields
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from qif2hw.errors import InputError
from qif2hw.ir.arrays import ByValue, frozen

STATE_BITS = 24
"""Width of a signed state register: phase and potential."""
STATE_MAX = (1 << (STATE_BITS - 1)) - 1
ACCUMULATOR_BITS = 24
"""Width of a signed register that adds up weights, or weights times payloads, over one step."""
ACCUMULATOR_MAX = (1 << (ACCUMULATOR_BITS - 1)) - 1
LATE_FRACTION = 16
"""Fraction bits of the lateness factor a1."""
CURVATURE_MAX = 1 << LATE_FRACTION - 4
"""Most that the second moment adds to the lateness factor; the curve stays monotone."""
VECTOR_BITS = 22
"""A plane vector is shifted until its larger coordinate has this many bits."""
TRIG_BITS = 22
"""Fraction bits of cosines and sines."""
ANGLE_BITS = 8
"""Extra bits of an angle while it is being found."""
BYTES_PER_ENTRY = 3
"""Memory of a table entry: one 24-bit word."""


def need(condition: bool, message: str) -> None:
    """`InputError` with the message unless the condition holds."""
    if not condition:
        raise InputError(message)


@dataclass(frozen=True, eq=False)
class Table(ByValue):
    """A piecewise linear integer function on ``[0, end]`` with knots spaced like floating-point numbers.

    Below ``2^first_octave`` the ``2^mantissa_bits`` knots are equally spaced; each further octave has as many again.
    `qif2hw.engine.spec.look_up` says how it is read.
    """

    knots: NDArray[np.int32]
    first_octave: int
    mantissa_bits: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "knots", frozen(self.knots, np.int32))
        need(0 <= self.mantissa_bits <= self.first_octave, "table: an octave cannot hold more knots than integers")
        need(self.first_octave <= STATE_BITS, f"table: a first octave of {self.first_octave} bits")
        need(self.knots.ndim == 1 and self.knots.size >= 2, "table: at least two knots are needed")

    def covers(self, x: int) -> bool:
        """Whether it has a value at ``x >= 0``; its last knot is that of `qif2hw.engine.curve.knot_before`."""
        octave = max(x.bit_length() - self.first_octave, 0)
        start = 1 << (self.first_octave + octave - 1) if octave else 0
        spacing = self.first_octave - self.mantissa_bits + max(octave - 1, 0)
        return (octave << self.mantissa_bits) + ((x - start) >> spacing) < self.knots.size


@dataclass(frozen=True)
class SecondMoment:
    r"""Scales of ``m2 = (A2 late_gain) >> late_shift``, the sum of weights times squared lateness.

    See `qif2hw.neuron.unequal_kick`.  All are gains with shifts; their results are in counts of ``v`` (tables) or have
    ``LATE_FRACTION`` fraction bits (plane vector).

    Parameters
    ----------
    own_gain, own_shift
        ``a2``, of ``m2``.
    commutator_gain, commutator_shift
        ``3 a1^2 / (2 lambda)``, of ``a1^2``.
    curvature_gain, curvature_shift
        Tables only: what ``a2`` adds to the lateness factor, of ``m2 (v + 2 a0)``.
    """

    own_gain: int
    own_shift: int
    commutator_gain: int = field(metadata={"stored": "disorder_gain"})
    commutator_shift: int = field(metadata={"stored": "disorder_shift"})
    curvature_gain: int = field(default=0, metadata={"stored": "bend_gain"})
    curvature_shift: int = field(default=0, metadata={"stored": "bend_shift"})

    def __post_init__(self) -> None:
        _check_scales(self)


@dataclass(frozen=True, eq=False)
class CotangentTables(ByValue):
    r"""The phase transition curve as a pair of tables: phase -> ``v = -cot(theta)`` -> kick -> phase.

    ``v`` counts in units of ``unit / (r 2^kick_bits)``, where ``unit`` is the population's weight unit: an accumulated
    weight ``A0`` is then exactly ``A0 2^kick_bits`` counts.  The curve is odd, so each table covers one half.

    Parameters
    ----------
    to_potential
        ``|v|`` of the distance (in phase counts) to the nearer end of the cycle.
    to_phase
        That distance, of ``|v|``.
    edge
        Nearer than this to either end, a kick does nothing (its effect is below ``a sin^2``); also the distance that
        belongs to the largest ``|v|``.
    kick_bits
        Shift that turns an accumulated weight into counts of ``v``.
    late_gain, late_shift
        ``a1 = (A1 late_gain) >> late_shift`` with ``LATE_FRACTION`` fraction bits; ``A1`` is the accumulated lateness.
    flush_gain, flush_shift
        Counts of ``v`` of an accumulated flush ``F``: ``(F flush_gain) >> flush_shift``.
    second
        Scales of the second moment of lateness; None where the payload is the lateness alone.
    """

    to_potential: Table
    to_phase: Table
    edge: int
    kick_bits: int
    late_gain: int
    late_shift: int
    flush_gain: int
    flush_shift: int
    second: SecondMoment | None = None

    def __post_init__(self) -> None:
        _check_scales(self)
        for table in (self.to_potential, self.to_phase):
            need(bool((np.diff(table.knots.astype(np.int64)) <= 0).all()), "tables: knots must not increase")
        need(0 <= self.limit <= STATE_MAX, f"tables: the potential does not fit {STATE_BITS} bits")
        need(self.to_phase.covers(self.limit), "tables: the phases end before the largest potential")
        need(0 <= self.edge <= STATE_MAX, f"tables: edge = {self.edge} does not fit the phase")

    @property
    def limit(self) -> int:
        """Largest ``|v|``; the potential saturates there."""
        return int(self.to_potential.knots[0])

    @property
    def bytes(self) -> int:
        """Table memory."""
        return BYTES_PER_ENTRY * (self.to_potential.knots.size + self.to_phase.knots.size)


@dataclass(frozen=True, eq=False)
class PhaseWeightTable(ByValue):
    r"""The phase transition curve as one table of phase and weight: the phase moves by ``shift[weight, phase]``.

    Bilinear between the knots, which lie ``2^phase_spacing`` phase counts and ``2^kick_spacing`` kick counts apart; the
    middle row belongs to no kick.  Lateness enters to first order through ``twist = -(N / 2 pi) sin(2 theta)``.

    Parameters
    ----------
    shift
        ``H(phase) - phase`` in phase counts, (kicks, phases), an odd number of rows.
    twist
        By phase knot.
    phase_spacing, kick_spacing
        Powers of two.
    kick_bits, late_gain, late_shift, flush_gain, flush_shift
        As those of `CotangentTables`, for kick counts in place of counts of ``v``.
    """

    shift: NDArray[np.int32]
    twist: NDArray[np.int32]
    phase_spacing: int
    kick_spacing: int
    kick_bits: int
    late_gain: int
    late_shift: int
    flush_gain: int
    flush_shift: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "shift", frozen(self.shift, np.int32))
        object.__setattr__(self, "twist", frozen(self.twist, np.int32))
        need(self.shift.ndim == 2 and self.shift.shape[0] % 2 == 1, "table: an odd number of rows is needed")
        need(self.twist.shape == self.shift.shape[1:], "table: shift and twist need the same phase knots")
        need(min(self.shift.shape) >= 2, "table: at least two knots each way are needed")
        need(bool((np.abs(self.shift.astype(np.int64)) <= STATE_MAX).all()), "table: shifts do not fit the state")
        need(
            max(self.phase_spacing, self.kick_spacing) < STATE_BITS, "table: knots further apart than the state reaches"
        )
        _check_scales(self)

    @property
    def bytes(self) -> int:
        """Table memory."""
        return BYTES_PER_ENTRY * (self.shift.size + self.twist.size)


@dataclass(frozen=True)
class NarrowProducts:
    """Widths of a plane vector's factors, for a machine whose products are narrower than 64 bits.

    Parameters
    ----------
    trig_bits
        Fraction bits of cosines and sines.  With so few, cosine and sine of an angle have a factor of at most 1 in
        common, such that their quotient, the angle, is right; the vector's length does not count.
    shear_drop
        Lowest bits of the coordinates that the shear's products leave out.
    """

    trig_bits: int
    shear_drop: int

    def __post_init__(self) -> None:
        need(
            8 <= self.trig_bits <= TRIG_BITS,
            f"plane vector: {self.trig_bits} fraction bits: 8 to {TRIG_BITS} are possible",
        )
        need(0 <= self.shear_drop < LATE_FRACTION, f"plane vector: shear_drop = {self.shear_drop} is no possible shift")


@dataclass(frozen=True, eq=False)
class PlaneVector(ByValue):
    r"""The neuron as a plane vector ``(x, y)``: a step rotates it, arriving spikes shear it, no table.

    ``x += a1 x - a0 y``, ``y -= a1 y``, with ``a0 = (A0 kick_gain) >> kick_shift`` and
    ``a1 = (A1 late_gain) >> late_shift``, ``LATE_FRACTION`` fraction bits each.  It fires when ``y`` turns negative.

    Parameters
    ----------
    cosine, sine
        Of the angle of one step, ``trig_bits`` fraction bits.
    back_cosine, back_sine
        Of the angle from the trial's end to the end of its last step.
    kick_gain, kick_shift, late_gain, late_shift, flush_gain, flush_shift
        Scales of the accumulated weights, lateness and flush.
    tick_gain
        A spike is ``floor(y tick_gain / x)`` ticks late, found by comparing and subtracting.
    angles
        ``atan(2^-i)`` in phase counts with ``ANGLE_BITS`` extra bits: the phase is found by turning the vector to
        ``y = 0``.
    start
        Vectors at the start of the population's own trial, (2, neurons).
    second
        As in `CotangentTables`; then ``x += a1 x - (a0 - c) y``, ``y += a2 x - a1 y``.
    narrow
        Widths for narrow products; None for those of the machine, ``TRIG_BITS`` and all bits of the coordinates.
    """

    cosine: int
    sine: int
    back_cosine: int
    back_sine: int
    kick_gain: int
    kick_shift: int
    late_gain: int
    late_shift: int
    flush_gain: int
    flush_shift: int
    tick_gain: int
    angles: NDArray[np.int32]
    start: NDArray[np.int32]
    second: SecondMoment | None = None
    narrow: NarrowProducts | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "angles", frozen(self.angles, np.int32))
        object.__setattr__(self, "start", frozen(self.start, np.int32))
        need(self.start.ndim == 2 and self.start.shape[0] == 2, "plane vector: start has shape (2, neurons)")
        need(int(np.abs(self.start.astype(np.int64)).max()) < 1 << VECTOR_BITS, "plane vector: start is too long")
        one = 1 << self.trig_bits
        for name in ("cosine", "sine", "back_cosine", "back_sine"):
            need(abs(getattr(self, name)) <= one, f"plane vector: {name} = {getattr(self, name)} exceeds one")
        need(self.sine > 0, "plane vector: the angle of a step must be positive")
        need(0 < self.tick_gain < 1 << STATE_BITS, f"plane vector: tick_gain = {self.tick_gain} does not fit")
        need(self.angles.ndim == 1 and 1 <= self.angles.size <= 30, "plane vector: 1 to 30 angles are needed")
        _check_scales(self)

    @property
    def trig_bits(self) -> int:
        """Fraction bits of cosines and sines."""
        return TRIG_BITS if self.narrow is None else self.narrow.trig_bits

    @property
    def shear_drop(self) -> int:
        """Lowest bits of the coordinates that the shear's products leave out."""
        return 0 if self.narrow is None else self.narrow.shear_drop

    @property
    def bytes(self) -> int:
        """Table memory: the angles."""
        return BYTES_PER_ENTRY * self.angles.size


PTC: TypeAlias = CotangentTables | PhaseWeightTable | PlaneVector


def second_moment(curve: PTC) -> SecondMoment | None:
    """What a curve does with the second moment of lateness; None if it takes none."""
    return None if isinstance(curve, PhaseWeightTable) else curve.second


def check_curve(curve: PTC, threshold: int, where: str) -> None:
    """`InputError` unless a curve has values for all phases from 0 to ``threshold``, and leads to none beyond."""
    if isinstance(curve, CotangentTables):
        need(curve.to_potential.covers(threshold >> 1), f"{where}: its tables end before half of the cycle")
        phases = curve.to_phase.knots
        need(
            int(phases.min()) >= 0 and max(int(phases.max()), curve.edge) <= threshold,
            f"{where}: its tables lead to phases beyond the threshold {threshold}",
        )
    elif isinstance(curve, PhaseWeightTable):
        columns = (threshold - 1 >> curve.phase_spacing) + 2
        need(curve.shift.shape[1] >= columns, f"{where}: its table has {curve.shift.shape[1]} phases, not {columns}")


def _check_scales(curve: PTC | SecondMoment) -> None:
    names = {f.name for f in fields(curve)}
    for name in (n for n in names if n.endswith("_gain")):
        value = getattr(curve, name)
        need(0 <= value < 1 << STATE_BITS, f"{name} = {value} does not fit {STATE_BITS} bits")
    for name in (n for n in names if n.endswith(("_shift", "_spacing")) or n == "kick_bits"):
        value = getattr(curve, name)
        need(0 <= value < 48, f"{name} = {value} is no possible shift")
