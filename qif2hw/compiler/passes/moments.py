"""Pass: send the square of the lateness too where that makes the whole error much smaller."""

from dataclasses import dataclass, field
from typing import ClassVar

from qif2hw import engine, reference
from qif2hw.compiler.error_measures import by_size, rounding_of
from qif2hw.compiler.passes.budget import measured_inputs
from qif2hw.compiler.passes.lower import NEEDED, lower
from qif2hw.compiler.passes.tables import Curves, MakeTables, TableChoices, curve_fits, parse_bytes
from qif2hw.compiler.state import Section, State, plain
from qif2hw.errors import InputError
from qif2hw.ir import TimeGrid

WORTH = 0.85
"""Part of the error that must be left at most: a second moment costs a third sum in every neuron and a message."""


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

    def run(self, state: State) -> State:
        """Compile both, run both, choose."""
        choices, curves = state[TableChoices], state[Curves]
        if choices.moments == 2:
            return state.having(curves, choices, MomentChoice(2, why="a coarse time grid"))
        refused = self._refused(state)
        if refused:
            return state.having(curves, choices, MomentChoice(1, why=refused))
        try:
            other = MakeTables(self.table_bits, self.form, self.bytes, 2).run(state)
        except InputError as error:
            return state.having(curves, choices, MomentChoice(1, why=str(error)))
        if not all(curve_fits(state, p, other[Curves].ptc[p.name]) for p in state.network.populations):
            return state.having(curves, choices, MomentChoice(1, why="two need wider products or registers"))
        x = measured_inputs(state)
        measure = by_size(reference.run(state.network, x).y, rounding_of(state.network))
        one, two = (measure(engine.run(lower(s), x).y) for s in (state, other))
        better = two <= WORTH * one
        why = f"two leave {two / one:.0%} of the error" if one > 0 else "there is no error"
        found = MomentChoice(2 if better else 1, len(x), measure.relative(one), measure.relative(two), why)
        chosen = other if better else state
        return state.having(chosen[Curves], chosen[TableChoices], found)

    def report(self, state: State) -> Section:
        """The choice, and both errors."""
        return plain(state[MomentChoice])

    def _refused(self, state: State) -> str:
        if not state[TimeGrid].lateness_bits:
            return "spikes carry no lateness"
        if self.form == "grid":
            return "the form 'grid' uses one"
        if state.target.limit("messages_per_spike") == 1:
            return state.target.named("messages_per_spike")
        return ""
