"""Pass: send the square of the lateness too where that makes the whole error much smaller."""

from dataclasses import dataclass, field
from typing import ClassVar

from qif2hw import engine, reference
from qif2hw.compiler.error_measures import by_size, rounding_of
from qif2hw.compiler.passes.budget import measured_inputs
from qif2hw.compiler.passes.lower import NEEDED, lower
from qif2hw.compiler.passes.tables import (
    Curves,
    MakeTables,
    TableChoices,
    curve_fits,
    make_curve,
    parse_bytes,
)
from qif2hw.compiler.state import Section, State, plain
from qif2hw.errors import InputError
from qif2hw.ir import TimeGrid

WORTH = 0.85
"""Part of the error that must be left at most: a second moment costs a third sum in every neuron and a message."""
GRID = "the form 'grid' uses one"


@dataclass(frozen=True)
class MomentChoice:
    """What a second moment of the lateness does to the engine's results.

    Parameters
    ----------
    moments
        Chosen.
    samples
        Calibration inputs used.
    error_one, error_two
        Difference from the float network's results with one and with two moments, relative to their size; None where
        it is zero, or was not measured.
    why
        The reason.
    """

    moments: int
    samples: int = 0
    error_one: float | None = None
    error_two: float | None = None
    why: str = ""


@dataclass(frozen=True)
class ChooseMoments:
    """Let spikes carry the square of their lateness too where the whole error falls to `WORTH` of what it was.

    Where rounding of the weights is most of the error nothing is gained, and one moment stays.  On coarse time grids
    `MakeTables` takes two without measuring.

    Parameters
    ----------
    table_bits, form, bytes
        Those of `MakeTables`.
    """

    name: ClassVar[str] = "moments"
    reads: ClassVar[tuple[type, ...]] = (*NEEDED, TableChoices)
    writes: ClassVar[tuple[type, ...]] = (Curves, TableChoices, MomentChoice)

    table_bits: int = 7
    form: str = "auto"
    bytes: int | None = field(default=None, metadata={"parse": parse_bytes, "print": lambda b: str(b or "none")})

    def __post_init__(self) -> None:
        MakeTables(self.table_bits, self.form, self.bytes)

    def run(self, state: State) -> State:
        """Compile both, run both, choose."""
        choices, curves = state[TableChoices], state[Curves]
        if choices.moments == 2:
            return state.having(curves, choices, MomentChoice(2, why="a coarse time grid"))
        try:
            tables, other = self._refined(state)
        except InputError as error:
            return state.having(curves, choices, MomentChoice(1, why=str(error)))
        x = measured_inputs(state)
        measure = by_size(reference.run(state.network, x).y, rounding_of(state.network))
        one, two = (measure(engine.run(lower(s), x).y) for s in (state, other))
        why = f"two leave {two / one:.0%} of the error" if one > 0 else "there is no error"
        found = MomentChoice(
            2 if two <= WORTH * one and one > 0 else 1, len(x), measure.relative(one), measure.relative(two), why
        )
        if found.moments == 2:
            state = tables.with_more_moments(state)
        return state.having(state[Curves], state[TableChoices], found)

    def report(self, state: State) -> Section:
        """The choice, and both errors."""
        return plain(state[MomentChoice])

    def _refined(self, state: State) -> tuple[MakeTables, State]:
        """The same forms with two moments, and what makes them; `InputError` says why there are none."""
        if not state[TimeGrid].lateness_bits:
            raise InputError("spikes carry no lateness")
        if state.target.limit("messages_per_spike") == 1:
            raise InputError(state.target.named("messages_per_spike"))
        if self.form == "grid":
            raise InputError(GRID)
        tables = MakeTables(self.table_bits, self.form, self.bytes, 2)
        ptc = {}
        for population in state.network.populations:
            form = state[TableChoices].populations[population.name].form
            if form == "grid":
                raise InputError(GRID)
            ptc[population.name] = make_curve(state, population, form, tables.bits_for(state, population, form), 2)
            if not curve_fits(state, population, ptc[population.name]):
                raise InputError("two need wider registers or products")
        return tables, state.having(Curves(ptc))
