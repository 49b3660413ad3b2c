"""Steps and payload bits from an error target: the cheapest setting whose result is close enough."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from qif2hw import engine, reference
from qif2hw.compiler.driver import Kept, run_passes
from qif2hw.compiler.error_measures import by_size, check_not_zero
from qif2hw.compiler.passes.budget import measured_inputs
from qif2hw.compiler.passes.given_forms import MakeGivenForms
from qif2hw.compiler.passes.lower import Lower
from qif2hw.compiler.passes.ranges import ProveRanges
from qif2hw.compiler.passes.tables import MakeTables, TableChoices
from qif2hw.compiler.passes.time_grid import ChooseTimeGrid
from qif2hw.compiler.state import Pass, Section, State
from qif2hw.errors import InputError
from qif2hw.ir import Program

STEPS = tuple(sorted({scale << power for scale in (2, 3) for power in range(4, 15)}))
"""Numbers of steps that are tried: powers of two and halfway between."""


@dataclass(frozen=True)
class Trial:
    """A setting that was tried, with its error, or why the machine cannot have it."""

    steps: int
    payload_bits: int
    error: float | None = None
    refused: str = ""

    def as_report(self) -> Section:
        """As plain JSON values."""
        outcome = {"refused": self.refused} if self.error is None else {"error": self.error}
        return {"steps": self.steps, "payload_bits": self.payload_bits, **outcome}


@dataclass(frozen=True)
class ErrorTarget:
    """What was asked for, tried and chosen.

    Parameters
    ----------
    target
        Largest relative root mean square error, on the calibration inputs.
    samples
        Number of those used.
    tried
        In order.
    steps, payload_bits
        The cheapest setting that meets the target: fewest steps, then fewest payload bits.
    """

    target: float
    samples: int
    tried: tuple[Trial, ...]
    steps: int
    payload_bits: int

    def as_report(self) -> Section:
        """As plain JSON values."""
        return {"target": self.target, "samples": self.samples, "tried": [t.as_report() for t in self.tried]}


def meet_max_error(state: State, passes: tuple[Pass, ...], max_error: float, kept: Kept) -> ErrorTarget:
    """Find the cheapest setting for which the engine's result is close enough to the float network's.

    The error is that of the budget.  Weights do not depend on the time grid: they are rounded once.

    Parameters
    ----------
    state
        The network as given.
    passes
        The passes that will compile it; steps and payload bits of its time grid are the most that may be chosen.
    max_error
        The target.
    kept
        Results of passes, shared with the compilation that follows.

    Raises
    ------
    InputError
        If no setting meets it (the message names the best reached), or the results are all zero.
    """
    search = _Search(state, passes, kept)
    most = search.most
    for steps in [s for s in STEPS if s < most.steps] + [most.steps]:
        found = search.fewest_bits(steps, max_error)
        if found is not None:
            return ErrorTarget(max_error, len(search.x), tuple(search.tried), steps, found)
    best = min((t for t in search.tried if t.error is not None), key=lambda t: t.error or 0.0, default=None)
    if best is None:
        raise InputError(f"no setting of at most {most.steps} steps can be compiled: {search.tried[-1].refused}")
    raise InputError(
        f"no setting reaches an error of {max_error:g}: the best of at most {most.steps} steps and "
        f"{most.lateness_bits} payload bits is {best.error:.3g}, with {best.steps} steps and "
        f"{best.payload_bits} payload bits"
    )


class _Search:
    """Compiles and runs one setting after the other."""

    def __init__(self, state: State, passes: tuple[Pass, ...], kept: Kept) -> None:
        self.state, self.kept = state, kept
        self.most = next(p for p in passes if isinstance(p, ChooseTimeGrid))
        self.tables = next(p for p in passes if isinstance(p, MakeTables))
        before = passes[: next(k for k, p in enumerate(passes) if isinstance(p, ProveRanges))]
        self.weights = tuple(p for p in before if not isinstance(p, ChooseTimeGrid))
        self.x = measured_inputs(state)
        self.exact = reference.run(state.network, self.x).y
        check_not_zero(state.network, self.exact)
        self.tried: list[Trial] = []
        self.forms: tuple[str, ...] = ()

    def fewest_bits(self, steps: int, max_error: float) -> int | None:
        """Fewest payload bits that are enough with a number of steps; None if no number of them is."""
        enough = None
        for bits in range(self.most.lateness_bits, -1, -1):
            # The most that the machine can have.
            if np.isfinite(found := self.error(steps, bits)):
                enough = bits if found <= max_error else None
                break
        if enough is None:
            return None
        bits = next((b for b in range(enough) if self.error(steps, b) <= max_error), enough)
        # The forms were chosen for another time grid: those for this one may differ.
        try:
            return bits if self._error(steps, bits, self.tables) <= max_error else None
        except InputError:
            return None

    def error(self, steps: int, bits: int) -> float:
        """Relative error; infinite, with the reason noted, for a setting that the machine cannot have."""
        try:
            # Measuring every form takes long: the choice for the first setting serves for all.
            found = self._error(steps, bits, MakeGivenForms(self.tables, self.forms) if self.forms else self.tables)
        except InputError as refused:
            self.tried.append(Trial(steps, bits, refused=str(refused)))
            return float("inf")
        self.tried.append(Trial(steps, bits, found))
        return found

    def _error(self, steps: int, bits: int, tables: Pass) -> float:
        state, _ = run_passes(self.state, self._passes(steps, bits, tables), self.kept)
        choices = state.get(TableChoices)
        if choices is not None:
            self.forms = tuple(choices.populations[p.name].form for p in state.network.populations)
        return by_size(self.exact)(engine.run(state[Program], self.x).y)

    def _passes(self, steps: int, bits: int, tables: Pass) -> Iterator[Pass]:
        yield ChooseTimeGrid(steps, bits)
        yield from self.weights
        yield from (ProveRanges(), tables, Lower())


def with_setting(passes: tuple[Pass, ...], found: ErrorTarget) -> tuple[Pass, ...]:
    """The passes with the chosen setting."""
    return tuple(
        replace(p, steps=found.steps, lateness_bits=found.payload_bits) if isinstance(p, ChooseTimeGrid) else p
        for p in passes
    )
