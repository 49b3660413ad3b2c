"""Pass: cancel the machine's mean error by the initial phases, which are cheap and fine."""

from dataclasses import dataclass
from typing import ClassVar

from qif2hw import engine, reference
from qif2hw.compiler.error_measures import by_spread, rounding_of
from qif2hw.compiler.passes.adapt import (
    FEWEST_SAMPLES,
    TOO_LARGE,
    calibration_samples,
    check_rounds,
    phase_shift,
    shifted,
)
from qif2hw.compiler.passes.lower import NEEDED, lower
from qif2hw.compiler.passes.weights import Weights, as_network
from qif2hw.compiler.state import Phases, Section, State, plain
from qif2hw.ir import Program
from qif2hw.reference.sensitivity import derivatives

SCALES = (1.0, 0.5, 0.25)
"""Parts of a shift that are tried: the derivatives hold near by only."""
WORTH = 0.98
"""A round that leaves more than this part of the error is the last."""


@dataclass(frozen=True)
class Compensation:
    """What shifting the phases does to the engine's results.

    Parameters
    ----------
    samples
        Calibration inputs used.
    error_before, error
        Difference from the float network's results, relative to their spread; None where they have none.
    absolute_before, absolute
        The same in the results' own unit.
    history
        Errors after each shift, in order: relative, or absolute where the results have no spread.
    kept
        Whether any shift helped.
    skipped
        Why there was none; empty if some were tried.
    """

    samples: int = 0
    error_before: float | None = 0.0
    error: float | None = 0.0
    absolute_before: float = 0.0
    absolute: float = 0.0
    history: tuple[float, ...] = ()
    kept: bool = False
    skipped: str = ""


@dataclass(frozen=True)
class CompensatePhases:
    """Shift the initial phases so that the *engine's* results come closest to the float network's.

    The shift solves the problem to first order, and is taken whole, halved or quartered, whichever is the first to help
    on the engine; then anew from there.  It sees all that rounding left and all that steps, tables and payloads add,
    among it the mean of what spikes of unequal lateness in one step do to each other.

    Parameters
    ----------
    rounds
        Most shifts, each with derivatives taken where the one before it led.
    """

    name: ClassVar[str] = "compensate"
    reads: ClassVar[tuple[type, ...]] = (*NEEDED, Program)
    writes: ClassVar[tuple[type, ...]] = (Phases, Program, Compensation)

    rounds: int = 4

    def __post_init__(self) -> None:
        check_rounds(self.rounds)

    def run(self, state: State) -> State:
        """Shift the phases and lower anew."""
        samples = calibration_samples(state)
        if samples < FEWEST_SAMPLES:
            return state.having(Compensation(skipped=TOO_LARGE))
        x = state.calibration[:samples]
        exact = reference.run(state.network, x).y
        value = engine.run(state[Program], x).y
        measure = by_spread(exact, rounding_of(state.network))
        history = [measure(value)]
        for _ in range(self.rounds):
            now = derivatives(as_network(state.network, state[Weights], state[Phases]), x)
            shift = phase_shift(now, (value - exact).ravel())
            for scale in SCALES:
                moved = state.having(shifted(state.network, state[Phases], scale * shift))
                moved = moved.having(lower(moved))
                found = engine.run(moved[Program], x).y
                error = measure(found)
                if error < history[-1]:
                    break
            else:
                break
            state, value = moved, found
            history.append(error)
            if error > WORTH * history[-2]:
                break
        before, after = history[0], history[-1]
        return state.having(
            Compensation(
                samples,
                measure.relative(before),
                measure.relative(after),
                measure.absolute(before),
                measure.absolute(after),
                tuple(history),
                kept=len(history) > 1,
            )
        )

    def report(self, state: State) -> Section:
        """Errors before and after."""
        return plain(state[Compensation])
