"""Pass: choose the arithmetic of the neurons, and measure its error."""

from dataclasses import asdict, dataclass, field
from typing import ClassVar, Literal, TypeAlias

from qif2hw.compiler.passes.ranges import Ranges
from qif2hw.compiler.passes.weights import Weights
from qif2hw.compiler.program_population import program_population
from qif2hw.compiler.proof import fits
from qif2hw.compiler.ptc_tables import CurveError, cotangent_tables, measure, phase_weight_table, plane_vector
from qif2hw.compiler.state import Phases, Section, State
from qif2hw.errors import InputError
from qif2hw.ir import PTC, Population, TimeGrid
from qif2hw.ir.arrays import ByValue

FORMS = {
    "cotangent": "a sum per step, two look-ups per kick",
    "plane": "four products per step, four per kick, no tables",
    "grid": "a sum per step, one look-up in two dimensions per kick",
}
"""Kinds of neuron arithmetic, in the order in which they are preferred: the cheaper step first."""
FINE_STEPS = 256
"""Steps per period from which on what unequal lateness in one step does is small beside the weights' rounding."""
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
    """

    form: str
    why: str
    tried: dict[str, CurveError]


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
            "populations": {
                name: {
                    "form": choice.form,
                    "why": choice.why,
                    **asdict(choice.tried[choice.form]),
                    "tried": {form: asdict(error) for form, error in choice.tried.items()},
                }
                for name, choice in self.populations.items()
            },
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
        keeps within ``bytes`` and whose error is good enough; if none is, the one with the smallest error.
    bytes
        Most table memory of a population; None for as much as the target's core has.
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

    def run(self, state: State) -> State:
        """Make and measure the curves; `InputError` if no form fits the memory."""
        self.check()
        room = self.bytes or state.target.limit("memory_per_core_bytes")
        moments = self.moments_for(state)
        choices: dict[str, TableChoice] = {}
        chosen: dict[str, PTC] = {}
        for population in state.network.populations:
            name = population.name
            made = self._made(state, population, moments)
            tried = {form: _measure(state, population, ptc) for form, ptc in made.items()}
            form, why = self._choose(name, tried, room)
            chosen[name] = made[form]
            choices[name] = TableChoice(form, why, tried)
        return state.having(Curves(chosen), TableChoices(self.table_bits, room, moments, choices))

    def report(self, state: State) -> Section:
        """Forms, and errors of the curves."""
        return state[TableChoices].as_report()

    def check(self) -> None:
        """`InputError` on options that make no sense."""
        if not 2 <= self.table_bits <= 12:
            raise InputError(f"table bits = {self.table_bits}: 2 to 12 are possible")
        if self.form not in (*FORMS, "auto"):
            raise InputError(f"form = {self.form}: auto, {', '.join(FORMS)} are possible")
        if self.moments not in ("auto", 1, 2):
            raise InputError(f"lateness moments = {self.moments}: 1 and 2 are possible, auto chooses")
        if self.moments == 2 and self.form == "grid":
            raise InputError("form = grid: it uses one lateness moment: use cotangent or plane for two")

    def moments_for(self, state: State) -> int:
        """Moments of the lateness on the state's time grid."""
        grid = state[TimeGrid]
        if not grid.lateness_bits:
            return 1
        if self.moments != "auto" or self.form == "grid":
            return 1 if self.moments == "auto" else self.moments
        if grid.period_steps >= FINE_STEPS:
            return 1
        fitting = (
            fits(program_population(state, p, curve), grid, state[Ranges].populations[p.name])
            for p in state.network.populations
            for curve in self._made(state, p, 2).values()
        )
        return 2 if all(fitting) else 1

    def _made(self, state: State, population: Population, moments: int) -> dict[str, PTC]:
        """The curves by form: of all forms, those whose constants fit the registers."""
        made: dict[str, PTC] = {}
        for form in self._forms(moments):
            try:
                made[form] = make_curve(state, population, form, self.table_bits, moments)
            except InputError as error:
                refused = f"population '{population.name}', form '{form}': {error}"
        if not made:
            raise InputError(f"{refused}: use smaller weights, or another form")
        return made

    def _forms(self, moments: int) -> tuple[str, ...]:
        if self.form != "auto":
            return (self.form,)
        return tuple(form for form in FORMS if moments == 1 or form != "grid")

    def _choose(self, name: str, tried: dict[str, CurveError], room: int | None) -> tuple[str, str]:
        fitting = {form: error for form, error in tried.items() if room is None or error.bytes <= room}
        if not fitting:
            least = min(tried, key=lambda form: tried[form].bytes)
            raise InputError(
                f"tables of population '{name}' need {tried[least].bytes} bytes as '{least}', {room} there are: "
                "use fewer table bits, or the form 'plane'"
            )
        if self.form != "auto":
            return self.form, "asked for"
        for form in FORMS:
            if form in fitting and fitting[form].max_error_steps <= GOOD_ENOUGH:
                better = [f"{f}: {'too large' if f not in fitting else 'not accurate enough'}" for f in FORMS]
                passed = "; ".join(better[: list(FORMS).index(form)])
                why = f"{FORMS[form]}; error at most {GOOD_ENOUGH:g} steps"
                return form, f"{why} ({passed})" if passed else why
        form = min(fitting, key=lambda f: fitting[f].max_error_steps)
        return form, f"the smallest error of those that fit; none keeps below {GOOD_ENOUGH:g} steps"


def make_curve(state: State, population: Population, form: str, table_bits: int, moments: int) -> PTC:
    """The curve of one population in one form."""
    name, grid, ranges = population.name, state[TimeGrid], state[Ranges]
    weights, second = state[Weights], moments == 2
    unit = weights.units[name]
    sources = [p.pre for p in weights.projections if p.post == name and p.pre in ranges.populations]
    drop = max((ranges.populations[pre].flush_drop for pre in sources), default=0)
    if form == "plane":
        return plane_vector(population, grid, unit, drop, state.network.depth[name], second)
    if form == "grid":
        return phase_weight_table(population, grid, unit, drop, table_bits, _load(ranges, name))
    return cotangent_tables(population, grid, unit, drop, table_bits, second)


def _measure(state: State, population: Population, ptc: PTC) -> CurveError:
    unit, load = state[Weights].units[population.name], _load(state[Ranges], population.name)
    return measure(ptc, state[TimeGrid], population, unit, load)


def _load(ranges: Ranges, name: str) -> int:
    return max(ranges.populations[name].load.largest, 1)
