"""Pass: choose the arithmetic of the neurons, and measure its error."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import ClassVar, Literal, TypeAlias

from qif2hw.compiler.passes.ranges import Ranges
from qif2hw.compiler.passes.weights import Weights
from qif2hw.compiler.program_population import program_population
from qif2hw.compiler.proof import fits, prove
from qif2hw.compiler.ptc_tables import (
    CurveError,
    cotangent_tables,
    measure,
    phase_weight_table,
    plane_vector,
    turn_error,
)
from qif2hw.compiler.state import Phases, Section, State
from qif2hw.compiler.targets import product_bits_of
from qif2hw.engine.integers import PRODUCT_BITS
from qif2hw.errors import InputError
from qif2hw.ir import PTC, CotangentTables, PlaneVector, Population, TimeGrid
from qif2hw.ir.arrays import ByValue
from qif2hw.ir.ptc import LATE_FRACTION, STATE_BITS, TRIG_BITS, NarrowProducts

FORMS = {
    "cotangent": "a sum per step, two look-ups per kick",
    "plane": "four products per step, four per kick, no tables",
    "grid": "a sum per step, one look-up in two dimensions per kick",
}
"""Kinds of neuron arithmetic, in the order in which they are preferred: the cheaper step first."""
FINE_STEPS = 256
"""Steps per period from which on what unequal lateness in one step does is small beside the weights' rounding."""
FEWEST_TABLE_BITS, MOST_TABLE_BITS = 2, 12
GOOD_ENOUGH = 0.05
"""Largest error of a kick, in steps, that calls for nothing better."""

Moments: TypeAlias = int | Literal["auto"]
"""Moments of the lateness that spikes carry, or ``auto``."""


def parse_moments(text: str) -> Moments:
    """From text: a whole number or ``auto``; 0, as older versions wrote it, is ``auto``."""
    return "auto" if text == "auto" else int(text) or "auto"


def parse_bytes(text: str) -> int | None:
    """From text: a whole number or ``none``; 0, as older versions wrote it, is ``none``."""
    return None if text == "none" else int(text) or None


@dataclass(frozen=True, eq=False)
class Curves(ByValue):
    """Phase transition curves by population."""

    ptc: dict[str, PTC]


@dataclass(frozen=True)
class TableChoice:
    """The form of a population's curve.

    Parameters
    ----------
    form, why
        Chosen, and the reason.
    tried
        Errors by form.
    limits
        Limits of the target that kept a form from what it could be, by form; with them its table bits, in `table_bits`.
    """

    form: str
    why: str
    tried: dict[str, CurveError]
    limits: dict[str, str] = field(default_factory=dict)
    table_bits: dict[str, int] = field(default_factory=dict)

    def as_report(self) -> Section:
        """As plain JSON values."""
        beside = {
            form: {"limit": limit} | ({"table_bits": self.table_bits[form]} if form in self.table_bits else {})
            for form, limit in self.limits.items()
        }
        return {
            "form": self.form,
            "why": self.why,
            **asdict(self.tried[self.form]),
            "tried": {form: asdict(error) | beside.get(form, {}) for form, error in self.tried.items()},
        }


@dataclass(frozen=True)
class TableChoices:
    """How the curves were made.

    Parameters
    ----------
    table_bits
        Resolution of tables.
    bytes
        Most table memory of a population; None without a limit.
    moments
        Moments of the lateness that spikes carry.
    populations
        By name.
    """

    table_bits: int
    bytes: int | None
    moments: int
    populations: dict[str, TableChoice]

    def as_report(self) -> Section:
        """As plain JSON values."""
        return {
            "table_bits": self.table_bits,
            "bytes_at_most": self.bytes or 0,
            "lateness_moments": self.moments,
            "populations": {name: choice.as_report() for name, choice in self.populations.items()},
        }


@dataclass(frozen=True)
class MakeTables:
    """Make the phase transition curve of every population.

    Parameters
    ----------
    table_bits
        ``2^table_bits`` knots per octave (``cotangent``), or phases of the cycle (``grid``).
    form
        ``cotangent``, ``grid`` or ``plane`` (see `qif2hw.ir.ptc`), or ``auto``: the first in the order of `FORMS` that
        keeps within ``bytes`` and the target's products, and whose error is good enough; if none is, the one with the
        smallest error.
    bytes
        Most table memory of a population; None for as much as the target's core has.  Where the target limits the bytes
        of tables, they are made with the most bits, up to ``table_bits``, that it holds.
    moments
        Moments of the lateness ``l`` that spikes carry: 1 for ``l``, 2 for ``l`` and ``l^2`` (a third sum in every
        neuron, see `qif2hw.neuron.unequal_kick`; not in the form ``grid``); ``auto``: 2 on time grids of fewer than
        `FINE_STEPS` steps per period, where spikes that share a step are most of the error, if the products fit.
    """

    name: ClassVar[str] = "tables"
    reads: ClassVar[tuple[type, ...]] = (TimeGrid, Weights, Ranges, Phases)
    writes: ClassVar[tuple[type, ...]] = (Curves, TableChoices)

    table_bits: int = 7
    form: str = "auto"
    bytes: int | None = field(default=None, metadata={"parse": parse_bytes, "print": lambda b: str(b or "none")})
    moments: Moments = field(default="auto", metadata={"parse": parse_moments})

    def __post_init__(self) -> None:
        if not FEWEST_TABLE_BITS <= self.table_bits <= MOST_TABLE_BITS:
            raise InputError(f"table bits = {self.table_bits}: {FEWEST_TABLE_BITS} to {MOST_TABLE_BITS} are possible")
        if self.form not in (*FORMS, "auto"):
            raise InputError(f"form = {self.form}: auto, {', '.join(FORMS)} are possible")
        if self.bytes is not None and self.bytes < 0:
            raise InputError(f"bytes = {self.bytes}: a positive number is needed, or none")
        if self.moments not in ("auto", 1, 2):
            raise InputError(f"lateness moments = {self.moments}: 1 and 2 are possible, auto chooses")
        if self.moments == 2 and self.form == "grid":
            raise InputError("form = grid: it uses one lateness moment: use cotangent or plane for two")

    def run(self, state: State) -> State:
        """Make and measure the curves; `InputError` if no form fits the memory."""
        return self._chosen(state, {})

    def with_more_moments(self, state: State) -> State:
        """The same for a state that has curves of fewer moments, whose errors, of spikes on time, are those of more."""
        return self._chosen(state, state[TableChoices].populations)

    def _chosen(self, state: State, known: Mapping[str, TableChoice]) -> State:
        rooms = [self.bytes or state.target.limit("memory_per_core_bytes"), state.target.limit("table_bytes")]
        room = min((one for one in rooms if one is not None), default=None)
        moments = self.moments_for(state)
        choices: dict[str, TableChoice] = {}
        chosen: dict[str, PTC] = {}
        for population in state.network.populations:
            name = population.name
            made = self._made(state, population, moments)
            found = known[name].tried if name in known else {}
            tried = {
                form: replace(found[form], bytes=ptc.bytes) if form in found else _measure(state, population, ptc)
                for form, ptc in made.items()
            }
            limits = {form: limit for form, ptc in made.items() if (limit := self._limit(state, population, ptc))}
            bits = {form: self.bits_for(state, population, form) for form in tried if form != "plane"}
            form, why = self._choose(name, tried, room, limits)
            if isinstance(curve := made[form], PlaneVector) and curve.narrow is not None:
                why += (
                    f"; products of {product_bits_of(state.target)} bits leave {curve.trig_bits} fraction bits to the "
                    f"rotation ({state.target.named('product_bits')}), which is off by "
                    f"{turn_error(curve, state[TimeGrid]):.1g} steps after a trial"
                )
            chosen[name] = curve
            choices[name] = TableChoice(form, why, tried, limits, bits)
        used = min((c.table_bits.get(c.form, self.table_bits) for c in choices.values()), default=self.table_bits)
        return state.having(Curves(chosen), TableChoices(used, room, moments, choices))

    def report(self, state: State) -> Section:
        """Forms, and errors of the curves."""
        return state[TableChoices].as_report()

    def moments_for(self, state: State) -> int:
        """Moments of the lateness on the state's time grid."""
        grid = state[TimeGrid]
        if not grid.lateness_bits:
            return 1
        if self.moments != "auto" or self.form == "grid":
            return 1 if self.moments == "auto" else self.moments
        if grid.period_steps >= FINE_STEPS or state.target.limit("messages_per_spike") == 1:
            return 1
        fitting = (
            curve_fits(state, p, curve) for p in state.network.populations for curve in self._made(state, p, 2).values()
        )
        return 2 if all(fitting) else 1

    def _made(self, state: State, population: Population, moments: int) -> dict[str, PTC]:
        """The curves by form: of all forms, those whose constants fit the registers."""
        made: dict[str, PTC] = {}
        for form in self._forms(moments):
            try:
                made[form] = make_curve(state, population, form, self.bits_for(state, population, form), moments)
            except InputError as error:
                refused = f"population '{population.name}', form '{form}': {error}"
        if not made:
            raise InputError(f"{refused}: use smaller weights, or another form")
        return made

    def bits_for(self, state: State, population: Population, form: str) -> int:
        """Table bits of a form: the most, up to the option's, whose tables the target holds; or the fewest."""
        room, bits = state.target.limit("table_bytes"), self.table_bits
        while (
            room is not None
            and form != "plane"
            and bits > FEWEST_TABLE_BITS
            and make_curve(state, population, form, bits, 1).bytes > room
        ):
            bits -= 1
        return bits

    def _limit(self, state: State, population: Population, curve: PTC) -> str:
        """The target's limits that a curve does not keep, or that made its tables smaller; empty if there are none."""
        room, names = state.target.limit("table_bytes"), []
        form = "cotangent" if isinstance(curve, CotangentTables) else "grid"
        if not isinstance(curve, PlaneVector) and room is not None:
            if curve.bytes > room or self.bits_for(state, population, form) < self.table_bits:
                names.append("table_bytes")
        if product_bits_of(state.target) < PRODUCT_BITS and not curve_fits(state, population, curve):
            names.append("product_bits")
        return "; ".join(state.target.named(name) for name in names)

    def _forms(self, moments: int) -> tuple[str, ...]:
        if self.form != "auto":
            return (self.form,)
        return tuple(form for form in FORMS if moments == 1 or form != "grid")

    def _choose(
        self, name: str, tried: dict[str, CurveError], room: int | None, limits: dict[str, str]
    ) -> tuple[str, str]:
        fitting = {form: error for form, error in tried.items() if room is None or error.bytes <= room}
        if not fitting:
            least = min(tried, key=lambda form: tried[form].bytes)
            raise InputError(
                f"tables of population '{name}' need {tried[least].bytes} bytes as '{least}', {room} there are: "
                "use fewer table bits, or the form 'plane'"
            )
        if self.form != "auto":
            return self.form, "asked for"
        narrow = {form: error for form, error in fitting.items() if "product_bits" not in limits.get(form, "")}
        fitting = narrow or fitting
        for form in FORMS:
            if form in fitting and fitting[form].max_error_steps <= GOOD_ENOUGH:
                better = [_refused(f, fitting, tried, limits) for f in FORMS]
                passed = "; ".join(better[: list(FORMS).index(form)])
                why = f"{FORMS[form]}; error at most {GOOD_ENOUGH:g} steps"
                return form, f"{why} ({passed})" if passed else why
        form = min(fitting, key=lambda f: fitting[f].max_error_steps)
        return form, f"the smallest error of those that fit; none keeps below {GOOD_ENOUGH:g} steps"


def _refused(form: str, fitting: dict[str, CurveError], tried: dict[str, CurveError], limits: dict[str, str]) -> str:
    """Why a form was passed over."""
    if form in limits and form in tried:
        found = tried[form]
        return (
            f"{form}: an error of {found.max_error_steps:.2g} steps with {found.bytes} bytes of tables, {limits[form]}"
        )
    return f"{form}: {'too large' if form not in fitting else 'not accurate enough'}"


def curve_fits(state: State, population: Population, curve: PTC) -> bool:
    """Whether the target's registers and products are wide enough for a population with a curve."""
    found = state[Ranges].populations[population.name]
    made = program_population(state, population, curve)
    return fits(made, state[TimeGrid], found, product_bits_of(state.target))


def narrow_products(state: State, population: Population, flush_drop: int, second: bool) -> NarrowProducts | None:
    """Widths of a plane vector's factors with which the target's products are wide enough; None for the machine's."""
    product_bits, grid, name = product_bits_of(state.target), state[TimeGrid], population.name
    if product_bits >= PRODUCT_BITS:
        return None
    # A product of a register with a constant that has a sign.
    trig_bits, drop = min(TRIG_BITS, product_bits - STATE_BITS - 1), 0
    while True:
        narrow = NarrowProducts(trig_bits, drop)
        curve = plane_vector(
            population, grid, state[Weights].units[name], flush_drop, state.network.depth[name], second, narrow
        )
        made = program_population(state, population, curve)
        shear = prove(made, grid, state[Ranges].populations[name], product_bits)["shear product"]
        if shear.fits or drop == LATE_FRACTION - 1:
            return narrow
        drop = min(LATE_FRACTION - 1, drop + max(1, shear.bits - product_bits))


def make_curve(state: State, population: Population, form: str, table_bits: int, moments: int) -> PTC:
    """The curve of one population in one form."""
    name, grid, ranges = population.name, state[TimeGrid], state[Ranges]
    weights, second = state[Weights], moments == 2
    unit = weights.units[name]
    sources = [p.pre for p in weights.projections if p.post == name and p.pre in ranges.populations]
    drop = max((ranges.populations[pre].flush_drop for pre in sources), default=0)
    if form == "plane":
        narrow = narrow_products(state, population, drop, second)
        return plane_vector(population, grid, unit, drop, state.network.depth[name], second, narrow)
    if form == "grid":
        return phase_weight_table(population, grid, unit, drop, table_bits, _load(ranges, name))
    return cotangent_tables(population, grid, unit, drop, table_bits, second)


def _measure(state: State, population: Population, ptc: PTC) -> CurveError:
    unit, load = state[Weights].units[population.name], _load(state[Ranges], population.name)
    return measure(ptc, state[TimeGrid], population, unit, load)


def _load(ranges: Ranges, name: str) -> int:
    return max(ranges.populations[name].load.largest, 1)
