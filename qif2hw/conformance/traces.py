"""Single neurons, step by step: what arrives, and what they must keep and send."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from qif2hw.compiler.passes.ranges import PopulationRange, range_of
from qif2hw.engine import plane, spec
from qif2hw.engine.integers import Int, bit_length, rounded_shift
from qif2hw.ir import PlaneVector, Program, ProgramPopulation, TimeGrid
from qif2hw.ir.ptc import VECTOR_BITS, second_moment

CANDIDATES = 400
"""Random stimuli of which those are kept that show most."""
MOST = 6
"""Traces of a population."""

Shown: TypeAlias = NDArray[np.bool_]
"""Whether each trace shows something, (traces,)."""

STIMULUS = ("trace", "population", "neuron", "step", "a0", "a1", "a2")
"""Columns of what arrives: ``step`` is the local step, every one from 1 to the flush."""
TRACE = ("trace", "step", "flag", "payload", "first", "second")
"""Columns of what follows: ``first`` and ``second`` are the registers x and y, or the phase and 0."""


@dataclass(frozen=True)
class Traces:
    """Stimuli and traces as rows of `STIMULUS` and `TRACE`; ``shows`` says for each trace what it shows."""

    stimuli: Int
    traces: Int
    shows: tuple[tuple[str, ...], ...]


def make_traces(program: Program) -> Traces:
    """Traces of every population: a neuron without inputs, then random ones, chosen by what they show."""
    stimuli: list[Int] = []
    traces: list[Int] = []
    shows: list[tuple[str, ...]] = []
    for k, population in enumerate(program.populations):
        neuron, given = _candidates(program.grid, population, range_of(program, population.name), k)
        kept, seen = run(program, population, neuron, given)
        for chosen in _cover(seen):
            number, steps = len(shows), given.shape[1]
            local = np.arange(1, steps + 1)
            about = np.broadcast_to(np.array([number, k, neuron[chosen]]), (steps, 3))
            stimuli.append(np.concatenate([about, local[:, None], given[chosen]], axis=1))
            traces.append(np.concatenate([np.full((steps, 1), number), local[:, None], kept[chosen]], axis=1))
            shows.append(tuple(sorted(name for name, found in seen.items() if found[chosen])))
    return Traces(np.concatenate(stimuli), np.concatenate(traces), tuple(shows))


def run(program: Program, population: ProgramPopulation, neuron: Int, given: Int) -> tuple[Int, dict[str, Shown]]:
    """Single neurons of a population, side by side, from the start of their own trial to the flush.

    Parameters
    ----------
    program, population
        What runs.
    neuron
        Which of its neurons, (traces,).
    given
        ``a0``, ``a1``, ``a2`` that arrive in each local step, (traces, steps, 3).

    Returns
    -------
    array, dict
        Flag, payload and both registers after each step, (traces, steps, 4); and by name whether a trace shows
        something.
    """
    grid = program.grid
    state = spec.start(population, grid)[:, neuron]
    nothing = np.zeros(len(neuron), np.int64)
    for m in range(1 - population.depth, 1):
        state = spec.step(population, grid, m, state, nothing, nothing, nothing).state
    kept = np.zeros((*given.shape[:2], 4), np.int64)
    seen: dict[str, Shown] = {}
    for m in range(1, grid.trial_steps + 2):
        a0, a1, a2 = given[:, m - 1].T
        before, sent = state, spec.step(population, grid, m, state, a0, a1, a2)
        state = sent.state
        kept[:, m - 1] = np.stack([sent.flag, sent.payload, state[0], state[-1] if len(state) > 1 else nothing], axis=1)
        for name, found in _seen(population, grid, m, before, a0, a1, sent).items():
            seen[name] = seen.get(name, np.zeros(len(neuron), bool)) | found
    return kept, seen


def _seen(
    population: ProgramPopulation, grid: TimeGrid, m: int, before: Int, a0: Int, a1: Int, sent: spec.Sent
) -> dict[str, Shown]:
    """What a step of each neuron shows, by name."""
    if m == grid.trial_steps + 1:
        return {"flush": sent.payload > 0, "flush with an input": (a1 != 0) & (sent.payload > 0)}
    hit, fired = (a0 != 0) | (a1 != 0), sent.flag > 0
    found = {
        "spike": fired,
        "lateness": fired & (sent.payload > 0),
        "excitation": hit & (a0 > 0),
        "inhibition": hit & (a0 < 0),
        "input in the step of a spike": hit & fired,
        "late input": a1 != 0,
    }
    if m == grid.trial_steps:
        found = {f"{name} in the trial's last step": values for name, values in found.items() if name == "spike"}
        crossed = _crossed(population, grid, before)
        found["spike undone by the trial's end"] = crossed & ~fired
    curve = population.ptc
    if isinstance(curve, PlaneVector):
        down = _shifted(population, curve, before, a0, a1)
        found |= {"renormalised by a left shift": down < 0, "renormalised by a right shift": down > 0}
    return found


def _crossed(population: ProgramPopulation, grid: TimeGrid, before: Int) -> Shown:
    curve = population.ptc
    if isinstance(curve, PlaneVector):
        x, y = before
        return plane.cross(*plane.rotate(x, y, curve.cosine, curve.sine, curve.trig_bits))[2] > 0
    crossed: Shown = before[0] + grid.increment >= grid.threshold
    return crossed


def _shifted(population: ProgramPopulation, curve: PlaneVector, before: Int, a0: Int, a1: Int) -> Int:
    """Bits by which the vector is too long after the first moment's shear."""
    x, y = before
    x, y, _ = plane.cross(*plane.rotate(x, y, curve.cosine, curve.sine, curve.trig_bits))
    kick0 = rounded_shift(a0 * curve.kick_gain, curve.kick_shift)
    kick1 = rounded_shift(a1 * curve.late_gain, curve.late_shift)
    x, y = plane.shear(x, y, kick0, kick1, np.zeros_like(kick0), curve.shear_drop)
    return bit_length(np.maximum(np.abs(x), np.abs(y))) - VECTOR_BITS


def _candidates(grid: TimeGrid, population: ProgramPopulation, found: PopulationRange, seed: int) -> tuple[Int, Int]:
    """Neurons, and what arrives at them: nothing, then random sums within what the weights allow."""
    rng, steps = np.random.default_rng(seed), grid.trial_steps + 1
    neuron = rng.integers(0, population.size, CANDIDATES)
    arrives = rng.random((CANDIDATES, steps)) < rng.choice([0.004, 0.02, 0.1], (CANDIDATES, 1))
    # From single weights to the largest sums.
    size = rng.random((CANDIDATES, steps)) ** rng.choice([1, 4, 8], (CANDIDATES, 1))
    sign = np.where(rng.random((CANDIDATES, steps)) < 0.5, -found.load.down, found.load.up)
    a0 = np.rint(arrives * size * sign).astype(np.int64)
    late = rng.integers(0, max(1, grid.ticks), (CANDIDATES, steps))
    a1 = a0 * late
    a2 = a0 * (late * late >> grid.lateness_bits) if second_moment(population.ptc) is not None else 0 * a0
    given = np.stack([a0, a1, a2], axis=2)
    given[:, -1] = 0
    given[:, -1, 1] = rng.integers(-found.flush_max, found.flush_max + 1, CANDIDATES)
    given[0] = 0
    return neuron, given


def _cover(seen: dict[str, Shown]) -> list[int]:
    """The first candidate, and as few others as show all that any shows."""
    found = np.stack(list(seen.values()))
    chosen, missing = [0], found.any(axis=1) & ~found[:, 0]
    while missing.any() and len(chosen) < MOST:
        best = int(found[missing].sum(axis=0).argmax())
        chosen.append(best)
        missing &= ~found[:, best]
    return chosen
