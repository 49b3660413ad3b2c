"""The one driver of passes: it runs what must be run, and checks what they need and make."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from qif2hw.compiler.state import Checked, CompilerState, N, Pass
from qif2hw.errors import InputError
from qif2hw.ir.arrays import same
from qif2hw.threads import one_blas_thread

MOST_KEPT = 64
"""Results that are kept; the oldest goes first."""


@dataclass
class Kept:
    """Results of passes: one that was run before on equal inputs is not run again.

    The inputs of a pass are its options, the facts that it declares to read, and the network, target and calibration
    inputs.  They are compared by value; a result that is taken again is the same object, so that what follows compares
    quickly.
    """

    results: list[tuple[Pass, CompilerState[Any], tuple[object, ...]]] = field(default_factory=list)

    def find(self, one: Pass, seen: CompilerState[Any]) -> tuple[object, ...] | None:
        """What a pass found when it last saw an equal state."""
        for other, before, found in list(self.results):
            if other == one and _equal(before, seen):
                return found
        return None

    def add(self, one: Pass, seen: CompilerState[Any], found: tuple[object, ...]) -> None:
        """Keep what a pass found."""
        self.results = [*self.results[1 - MOST_KEPT :], (one, seen, found)]

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: results stay where they were found."""
        return {"results": []}


def _equal(one: CompilerState[Any], other: CompilerState[Any]) -> bool:
    return (
        same(one.network, other.network)
        and same(one.target, other.target)
        and same(one.calibration, other.calibration)
        and same(one.facts, other.facts)
    )


def run_passes(
    state: CompilerState[N], passes: Iterable[Pass], kept: Kept | None = None
) -> tuple[CompilerState[N], dict[str, float]]:
    """Run passes one after the other; facts that can be checked are verified after each that changes them.

    The same bits on any number of threads: linear algebra uses one meanwhile.

    Parameters
    ----------
    state
        Where to start.
    passes
        What to run.
    kept
        Results to take from and add to, so that nothing is run twice on equal inputs.

    Returns
    -------
    CompilerState, dict of float
        The result, and seconds by pass.

    Raises
    ------
    InputError
        If the network cannot be put on the machine, or a pass needs one that has not run.
    """
    seconds: dict[str, float] = {}
    for one in passes:
        start = time.perf_counter()
        for kind in one.reads:
            if kind not in state.facts:
                raise InputError(f"passes: '{one.name}' needs '{_maker(kind, state)}' before it")
        seen = replace(state, facts={kind: state[kind] for kind in one.reads}, passes=())
        found = None if kept is None else kept.find(one, seen)
        if found is None:
            with one_blas_thread():
                made = one.run(seen)
            found = tuple(made[kind] for kind in one.writes if kind in made.facts)
            if kept is not None:
                kept.add(one, seen, found)
        state = replace(state.having(*found), passes=(*state.passes, one))
        for fact in found:
            if isinstance(fact, Checked):
                fact.check(state)
        seconds[one.name] = seconds.get(one.name, 0.0) + time.perf_counter() - start
    return state, seconds


def _maker(kind: type, state: CompilerState[Any]) -> str:
    """Name of the pass that finds a fact first."""
    from qif2hw.compiler.clocks import clock_of

    return next((one.name for one in clock_of(state.network).passes.values() if kind in one.writes), kind.__name__)
