"""Pass: adjust the values of coarse tables to the network that uses them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from qif2hw import engine, reference
from qif2hw.compiler.error_measures import by_spread, rounding_of
from qif2hw.compiler.passes.lower import NEEDED, lower
from qif2hw.compiler.passes.tables import Curves
from qif2hw.compiler.state import Section, State, plain
from qif2hw.errors import InputError
from qif2hw.ir import CotangentTables, Program
from qif2hw.ir.arrays import FloatArray

MOST_KNOTS = 4096
"""More are not adjusted: each costs a run of the engine, and tables so fine have nothing to gain."""
STEP = 0.02
"""By this part of the distance to its neighbours a knot is moved to see what it does."""
RIDGES = (1e-3, 1e-2, 1e-1, 1.0)
SCALES = (1.0, 0.3, 0.1)


@dataclass(frozen=True)
class Tuning:
    """What adjusting the tables does to the engine's results.

    Parameters
    ----------
    knots
        Number of knots that can be moved.
    error_before, error_after
        Difference from exact results with the same weights, relative to their spread, on the inputs kept back; None
        where they have none.
    absolute_before, absolute_after
        The same in the results' own unit.
    adjusted
        Whether any move helped.
    skipped
        Why none was tried; empty if some were.
    """

    knots: int = 0
    error_before: float | None = 0.0
    error_after: float | None = 0.0
    absolute_before: float = 0.0
    absolute_after: float = 0.0
    adjusted: bool = False
    skipped: str = ""


@dataclass(frozen=True)
class TuneTables:
    """Move the inner knots of cotangent tables so that the engine's readouts come closest to exact ones.

    A least-squares step from differences of engine runs, knot by knot, on one half of the calibration inputs; of
    several strengths the one that is best on the other half, and none if none helps there.  Tables stay monotone, and
    their ends, the fixed points of the curve, stay where they are.  It pays for tables of a few knots per octave; finer
    ones leave nothing to gain.

    Parameters
    ----------
    samples
        Calibration inputs used, both halves together.
    """

    name: ClassVar[str] = "tune-tables"
    reads: ClassVar[tuple[type, ...]] = NEEDED
    writes: ClassVar[tuple[type, ...]] = (Curves, Tuning)

    samples: int = 600

    def __post_init__(self) -> None:
        if self.samples < 2:
            raise InputError(f"samples = {self.samples}: two at least are needed, one to adjust and one to check")

    def run(self, state: State) -> State:
        """Adjust the tables that `MakeTables` made."""
        start = _knots(state[Curves])
        if not 0 < start.size <= MOST_KNOTS:
            return state.having(Tuning(skipped=f"{start.size} knots: 1 to {MOST_KNOTS} are adjusted"))
        x = state.calibration[: self.samples]
        program = _lowered(state, start)
        exact, value = reference.run(program.network(), x).y, engine.run(program, x).y
        half = len(x) // 2
        measure = by_spread(exact[half:], rounding_of(state.network))
        before = measure(value[half:])
        moves = np.maximum(2.0, STEP * np.abs(np.gradient(start)))
        slopes = np.empty((value[:half].size, start.size))
        for k in range(start.size):
            moved = start.copy()
            moved[k] += moves[k]
            slopes[:, k] = (engine.run(_lowered(state, moved), x[:half]).y - value[:half]).ravel()
        best, error = start, before
        for knots in _candidates(start, moves, slopes, (value - exact)[:half].ravel()):
            found = measure(engine.run(_lowered(state, knots), x[half:]).y)
            if found < error:
                best, error = knots, found
        tuning = Tuning(
            int(start.size),
            measure.relative(before),
            measure.relative(error),
            measure.absolute(before),
            measure.absolute(error),
            adjusted=error < before,
        )
        return state.having(_with_knots(state[Curves], best), tuning)

    def report(self, state: State) -> Section:
        """Errors before and after."""
        return plain(state[Tuning])


def _candidates(start: FloatArray, moves: FloatArray, slopes: FloatArray, error: FloatArray) -> Iterator[FloatArray]:
    used = np.abs(slopes).max(axis=0) > 0
    if not used.any():
        return
    slopes = slopes[:, used]
    normal = slopes.T @ slopes
    for ridge in RIDGES:
        damped = normal + ridge * np.trace(normal) / len(normal) * np.eye(len(normal))
        step = -np.linalg.solve(damped, slopes.T @ error)
        for scale in SCALES:
            knots = start.copy()
            knots[used] += scale * step * moves[used]
            yield knots


def _lowered(state: State, knots: FloatArray) -> Program:
    return lower(state.having(_with_knots(state[Curves], knots)))


def _tables(curves: Curves) -> Iterator[tuple[str, str, NDArray[np.int32]]]:
    for name, curve in curves.ptc.items():
        if isinstance(curve, CotangentTables):
            yield name, "to_potential", curve.to_potential.knots
            yield name, "to_phase", curve.to_phase.knots


def _knots(curves: Curves) -> FloatArray:
    """The inner knots of all tables, one after the other."""
    inner = [knots[1:-1].astype(np.float64) for _, _, knots in _tables(curves)]
    return np.concatenate(inner) if inner else np.empty(0)


def _with_knots(curves: Curves, values: FloatArray) -> Curves:
    """The curves with other inner knots, monotone between the ends, which stay."""
    made, at = dict(curves.ptc), 0
    for name, side, knots in _tables(curves):
        inner = np.rint(values[at : at + knots.size - 2])
        at += inner.size
        # Tables fall: nothing is above the first knot, below the last, or above a knot before it.
        fallen = np.minimum.accumulate(np.clip(inner, knots[-1], knots[0]))
        table = replace(
            getattr(made[name], side), knots=np.concatenate([knots[:1], fallen.astype(np.int32), knots[-1:]])
        )
        made[name] = replace(made[name], **{side: table})
    return Curves(made)
