"""Pass: prove by interval analysis that no register and no product of the machine is too small for what it holds."""

from dataclasses import dataclass, field

import numpy as np

from qif2hw.compiler.state import Draft, Facts
from qif2hw.errors import InputError
from qif2hw.ir import PTC, CotangentTables, PhaseWeightTable, PlaneVector, ProgramPopulation, Table, TimeGrid
from qif2hw.ir.ptc import ANGLE_BITS, BEND_MAX, LATE_FRACTION, STATE_BITS, TRIG_BITS, VECTOR_BITS, second_moment

PRODUCT_BITS = 64
"""Signed width of products and sums before a shift."""
MEASURED_BITS = 54
"""Signed width of numbers whose highest bit the machine looks for."""


@dataclass(frozen=True)
class Interval:
    """All integers from ``low`` to ``high``, with the machine's operations on them."""

    low: int
    high: int

    @classmethod
    def around(cls, size: int) -> "Interval":
        """``-size`` to ``size``."""
        return cls(-size, size)

    def __add__(self, other: "Interval") -> "Interval":
        return Interval(self.low + other.low, self.high + other.high)

    def __sub__(self, other: "Interval") -> "Interval":
        return Interval(self.low - other.high, self.high - other.low)

    def __mul__(self, other: "Interval | int") -> "Interval":
        if isinstance(other, int):
            other = Interval(other, other)
        ends = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        return Interval(min(ends), max(ends))

    def rounded_shift(self, bits: int) -> "Interval":
        """`qif2hw.engine.spec.rounded_shift`, which keeps order."""
        half = (1 << bits) >> 1
        return Interval((self.low + half) >> bits, (self.high + half) >> bits)

    @property
    def square(self) -> "Interval":
        """Squares of its numbers."""
        return Interval(0, max(self.low**2, self.high**2))

    @property
    def bits(self) -> int:
        """Signed width that holds it."""
        return max(self.high.bit_length(), (-self.low - 1).bit_length() if self.low < 0 else 0) + 1


@dataclass
class Registers:
    """What was found: intervals by name, and the width each must keep within."""

    found: dict[str, tuple[Interval, int]] = field(default_factory=dict)

    def keep(self, name: str, value: Interval, bits: int = PRODUCT_BITS) -> Interval:
        """Note a register; several values of one name are joined."""
        if name in self.found:
            old = self.found[name][0]
            value = Interval(min(old.low, value.low), max(old.high, value.high))
        self.found[name] = (value, bits)
        return value


@dataclass(frozen=True)
class ProveRegisters:
    """Bound every register and product from what can arrive (`ranges`), the curve and the time grid.

    The steps of `qif2hw.engine.spec` are repeated on intervals.  What is kept must fit 24 bits, products 64.
    """

    name: str = "registers"

    def run(self, draft: Draft) -> Draft:
        """Prove; `InputError` with the register, and the neuron that receives most, if one is too narrow."""
        draft.need("ranges", by=self.name)
        if draft.program is None:
            raise InputError(f"passes: '{self.name}' needs 'lower' before it")
        facts: Facts = {"populations": {}}
        for population in draft.program.populations:
            got = draft.report["ranges"]["populations"][population.name]
            found = registers_of(population, draft.time, got)
            for register, (interval, bits) in found.items():
                if interval.bits > bits:
                    raise InputError(
                        f"{register} of population '{population.name}' may need {interval.bits} bits, {bits} there "
                        f"are: the weights of neuron {got['witness']['neuron']} are too large for the machine"
                        + ("; one lateness moment needs fewer bits" if second_moment(population.ptc) else "")
                    )
            facts["populations"][population.name] = {
                register: {"low": i.low, "high": i.high, "bits": i.bits, "of": bits}
                for register, (i, bits) in found.items()
            }
        return draft.with_report(self.name, facts)


def registers_of(population: ProgramPopulation, grid: TimeGrid, got: Facts) -> dict[str, tuple[Interval, int]]:
    """Every register and product of a population, and the width it must keep within."""
    registers = Registers()
    _neuron(registers, population.ptc, grid, got)
    if population.packed_bits:
        both = Interval(-got["down"], got["up"]) * ((1 << population.packed_bits) + max(1, grid.ticks - 1))
        registers.keep("both sums in one", both, STATE_BITS)
    if not isinstance(population.ptc, PlaneVector):
        phase = Interval(min(0, int(population.phase0.min())), max(grid.threshold, int(population.phase0.max())))
        registers.keep("phase", phase + Interval(0, grid.increment), STATE_BITS)
        registers.keep("phase", phase - Interval(0, grid.overshoot(population.depth)), STATE_BITS)
    return registers.found


def fits(curve: PTC, grid: TimeGrid, got: Facts) -> bool:
    """Whether all registers and products of a neuron are wide enough for what `ranges` found it may get."""
    registers = Registers()
    _neuron(registers, curve, grid, got)
    return all(interval.bits <= bits for interval, bits in registers.found.values())


def _neuron(registers: Registers, curve: PTC, grid: TimeGrid, got: Facts) -> None:
    late = max(1, grid.ticks - 1)
    a0 = registers.keep("sum of weights", Interval(-got["down"], got["up"]), STATE_BITS)
    a1 = registers.keep("weights times lateness", Interval(-got["down"] * late, got["up"] * late), STATE_BITS)
    pull = registers.keep("weights times flush", Interval.around(got["flush_max"]), STATE_BITS)
    a2 = nothing = Interval(0, 0)
    if second_moment(curve) is not None:
        most = late * late >> grid.lateness_bits
        a2 = Interval(-got["down"] * most, got["up"] * most)
        registers.keep("weights times squared lateness", a2, STATE_BITS)
    if isinstance(curve, PlaneVector):
        _vector(registers, curve, grid, a0, a1, a2, pull)
        return
    kick = registers.keep("kick", a0 * (1 << curve.kick_bits))
    slip = registers.keep("lateness product", a1 * curve.late_gain).rounded_shift(curve.late_shift)
    flush = registers.keep("flush product", pull * curve.flush_gain).rounded_shift(curve.flush_shift)
    if isinstance(curve, PhaseWeightTable):
        _grid(registers, curve, kick, slip)
        _grid(registers, curve, flush, nothing)
    else:
        square = registers.keep("lateness product", a2 * curve.late_gain).rounded_shift(curve.late_shift)
        _cotangent(registers, curve, kick, slip, square)
        _cotangent(registers, curve, flush, nothing, nothing)


def _second(
    registers: Registers, curve: CotangentTables | PlaneVector, a0: Interval, a1: Interval, m2: Interval
) -> Interval:
    """The products of the second moment; returns `qif2hw.engine.curve.missing`."""
    second = curve.second
    if second is None:
        return Interval(0, 0)
    own = registers.keep("square product", m2 * second.own_gain).rounded_shift(second.own_shift)
    unequal = registers.keep("weights times squares", a0 * m2 * 3).rounded_shift(LATE_FRACTION + 1)
    disorder = registers.keep("squared lateness factor", a1.square * second.disorder_gain)
    if isinstance(curve, CotangentTables):
        v = Interval.around(curve.limit)
        registers.keep("bend product", m2 * (v + a0 * 2) * second.bend_gain)
    return own + unequal - disorder.rounded_shift(second.disorder_shift)


def _cotangent(registers: Registers, curve: CotangentTables, kick: Interval, slip: Interval, square: Interval) -> None:
    v = registers.keep("potential", Interval.around(curve.limit), STATE_BITS)
    lost = _second(registers, curve, kick, slip, square)
    bend = Interval.around(0 if curve.second is None else BEND_MAX)
    product = registers.keep("potential product", (slip + bend) * (v * 2 + kick))
    registers.keep("potential before saturation", v + kick - lost + product.rounded_shift(LATE_FRACTION))
    for table in (curve.to_potential, curve.to_phase):
        registers.keep("interpolation", _interpolation(table))


def _interpolation(table: Table) -> Interval:
    """Products of a knot's rise and the way to it."""
    rise = int(np.abs(np.diff(table.knots.astype(np.int64))).max())
    octaves = (table.knots.size - 1) >> table.mantissa_bits
    spacing = table.first_octave - table.mantissa_bits + max(0, octaves - 1)
    return Interval.around(rise << spacing)


def _grid(registers: Registers, curve: PhaseWeightTable, kick: Interval, slip: Interval) -> None:
    shift, twist = curve.shift.astype(np.int64), curve.twist.astype(np.int64)
    along, across = (int(np.abs(np.diff(shift, axis=axis)).max()) for axis in (1, 0))
    # Between four knots the rise across kicks changes along phases by at most the rises along them.
    registers.keep("interpolation", Interval.around(along << curve.phase_spacing))
    registers.keep("interpolation", Interval.around((across + 2 * along) << curve.kick_spacing))
    registers.keep("interpolation", Interval.around(int(np.abs(np.diff(twist)).max()) << curve.phase_spacing))
    registers.keep("table shift", Interval.around(int(np.abs(shift).max())), STATE_BITS)
    middle = (shift.shape[0] - 1) // 2 << curve.kick_spacing
    registers.keep("kick in the table", kick + Interval(middle, middle))
    size = Interval.around(2 * int(np.abs(twist).max()))
    registers.keep("twist product", slip * size)


def _vector(
    registers: Registers, curve: PlaneVector, grid: TimeGrid, a0: Interval, a1: Interval, a2: Interval, pull: Interval
) -> None:
    kept = registers.keep("vector", Interval.around(1 << VECTOR_BITS), STATE_BITS)
    one = Interval.around(1 << TRIG_BITS)
    turned = registers.keep("rotation product", kept * one + kept * one).rounded_shift(TRIG_BITS)
    # Rotating does not lengthen, but for the rounding of the constants: a coordinate is at most the length.
    length = Interval.around(3 << (VECTOR_BITS - 1))
    turned = Interval(max(turned.low, length.low), min(turned.high, length.high))
    registers.keep("vector", turned, STATE_BITS)
    registers.keep("lateness quotient", turned * curve.tick_gain)
    kick = registers.keep("kick product", a0 * curve.kick_gain).rounded_shift(curve.kick_shift)
    slip = registers.keep("lateness product", a1 * curve.late_gain).rounded_shift(curve.late_shift)
    flush = registers.keep("flush product", pull * curve.flush_gain).rounded_shift(curve.flush_shift)
    square = registers.keep("lateness product", a2 * curve.late_gain).rounded_shift(curve.late_shift)
    kick = kick - _second(registers, curve, kick, slip, square)
    nothing = Interval(0, 0)
    lift = nothing if curve.second is None else (square * curve.second.own_gain).rounded_shift(curve.second.own_shift)
    for size, late, up in ((kick, slip, lift), (flush, nothing, nothing)):
        for turn in (size, up):
            product = registers.keep("shear product", late * turned - turn * turned)
            registers.keep("sheared vector", turned + product.rounded_shift(LATE_FRACTION), MEASURED_BITS)
    angle = kept * (1 << ANGLE_BITS)
    # The turns lengthen a vector by less than 1.65, a coordinate is at most its length.
    registers.keep("vector while its angle is found", angle * 3)
    registers.keep("angle", Interval.around((grid.threshold << ANGLE_BITS) + int(curve.angles.astype(np.int64).sum())))
