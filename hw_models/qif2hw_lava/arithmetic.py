r"""The neuron's integer arithmetic, made for large batches.

Written from the definition in `qif2hw.engine.spec`, not from its code: that both give the same spikes tests both.
Only neurons with input are computed; the others add an increment and compare.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qif2hw.engine import spec
from qif2hw.ir.program import ProgramPopulation, TimeGrid
from qif2hw.ir.ptc import BEND_MAX, LATE_FRACTION, CotangentTables, Table

Int: TypeAlias = NDArray[np.int64]


def shift(value: Int, bits: int) -> Int:
    """Shift right, rounding halves up."""
    return (value + (1 << bits >> 1)) >> bits


class Curve:
    """A `Table` with explicit positions of its knots: bisection, then linear interpolation."""

    def __init__(self, table: Table) -> None:
        per_octave, first = 1 << table.mantissa_bits, 1 << table.first_octave
        self.knots = table.knots.astype(np.int64)
        octaves = -(-self.knots.size // per_octave)
        starts = [0, *(first << j for j in range(octaves))]
        positions = [
            start + k * (end - start) // per_octave for start, end in pairwise(starts) for k in range(per_octave)
        ]
        self.position = np.array([*positions, starts[-1]], dtype=np.int64)[: self.knots.size + 1]

    def __call__(self, x: Int) -> Int:
        """Values at ``x``, rounded half up."""
        left = np.searchsorted(self.position, x, side="right") - 1
        right = np.minimum(left + 1, self.knots.size - 1)
        width = self.position[left + 1] - self.position[left]
        rise = (self.knots[right] - self.knots[left]) * (x - self.position[left])
        return self.knots[left] + (rise + width // 2) // width


class Kick:
    """The phase transition curve in integers: phase -> cotangent -> sum -> phase."""

    def __init__(self, tables: CotangentTables, threshold: int) -> None:
        self.tables, self.threshold = tables, threshold
        self.to_potential, self.to_phase = Curve(tables.to_potential), Curve(tables.to_phase)

    def __call__(self, phase: Int, a0: Int, a1: Int, m2: Int) -> Int:
        """New phases; all arrays flat, of one length."""
        t, top = self.tables, self.threshold
        inside = ((a0 != 0) | (a1 != 0) | (m2 != 0)) & (phase >= t.edge) & (phase <= top - t.edge)
        out = phase.copy()
        p, a0, a1, m2 = phase[inside], a0[inside], a1[inside], m2[inside]
        early = p + p < top
        v = np.maximum(self.to_potential(np.where(early, p, top - p)), 0)
        v = np.where(early, -v, v)
        push = a0
        if t.second is not None:
            s = t.second
            curvature = shift((v + a0 + a0) * m2 * s.bend_gain, s.bend_shift)
            push = a0 + shift(a1 * a1 * s.disorder_gain, s.disorder_shift) - shift(a0 * m2 * 3, LATE_FRACTION + 1)
            push -= shift(m2 * s.own_gain, s.own_shift)
            a1 = a1 + np.minimum(np.maximum(curvature, -BEND_MAX), BEND_MAX)
        v = v + push + shift(a1 * (v + v + a0), LATE_FRACTION)
        distance = np.maximum(self.to_phase(np.minimum(np.abs(v), t.limit)), t.edge)
        out[inside] = np.where(v < 0, distance, top - distance)
        return out


@dataclass(frozen=True)
class Messages:
    """Spike flags and payloads of one step: integer arrays shaped like the phase."""

    flag: NDArray[np.integer[Any]]
    payload: NDArray[np.integer[Any]]


class SpecifiedNeurons:
    """Registers of one population under `qif2hw.engine.spec.step`, for any arithmetic; parameters as `Neurons`."""

    def __init__(self, population: ProgramPopulation, grid: TimeGrid, copies: int) -> None:
        self.population, self.grid = population, grid
        first = spec.start(population, grid)
        self.first = np.repeat(first[:, None], copies, axis=1)
        self.shape = self.first.shape[1:]
        self.reset()

    def reset(self) -> None:
        """Back to the state before step 1."""
        self.state = self.first

    def step(self, n: int, a0: Int, a1: Int, a2: Int) -> Messages:
        """Machine step ``n``: take what arrived, return what is sent."""
        sent = spec.step(self.population, self.grid, n - self.population.depth, self.state, a0, a1, a2)
        self.state = sent.state
        return Messages(sent.flag, sent.payload)


class Neurons:
    """Phases of one population, and its rule.

    Parameters
    ----------
    population, grid
        The program's.
    copies
        Independent copies, one sample each; arrays are (copies, neurons).
    """

    def __init__(self, population: ProgramPopulation, grid: TimeGrid, copies: int) -> None:
        assert isinstance(population.ptc, CotangentTables)
        self.population, self.grid, self.tables = population, grid, population.ptc
        self.kick = Kick(population.ptc, grid.threshold)
        self.start = np.tile(population.phase0.astype(np.int64), (copies, 1))
        self.idle = np.zeros_like(self.start)
        self.shape = self.start.shape
        self.reset()

    def reset(self) -> None:
        """Back to the state before step 1."""
        self.phase = self.start.copy()

    def step(self, n: int, a0: Int, a1: Int, a2: Int) -> Messages:
        """Machine step ``n``: take what arrived, return what is sent."""
        local = n - self.population.depth
        if local <= self.grid.trial_steps:
            return self._advance(local == self.grid.trial_steps, a0, a1, a2)
        if local == self.grid.trial_steps + 1:
            return self._flush(a1)
        return Messages(self.idle, self.idle)

    def _advance(self, last: bool, a0: Int, a1: Int, a2: Int) -> Messages:
        grid, tables, phase = self.grid, self.tables, self.phase
        phase += grid.increment
        fired = phase >= grid.threshold
        phase[fired] -= grid.threshold
        late = np.where(fired, phase >> (grid.phase_bits - grid.lateness_bits), 0)
        overshoot = grid.overshoot(self.population.depth)
        after = fired & (phase < overshoot)
        hit = (a0 != 0) | (a1 != 0) | (a2 != 0)
        if hit.any():
            lateness, squared = (shift(a[hit] * tables.late_gain, tables.late_shift) for a in (a1, a2))
            phase[hit] = self.kick(phase[hit], a0[hit] << tables.kick_bits, lateness, squared)
        if last:
            phase -= overshoot
            phase[after] += grid.threshold
            np.clip(phase, 0, grid.threshold - 1, out=phase)
            fired &= ~after
            late[after] = 0
        return Messages(fired.astype(np.int64), late)

    def _flush(self, a1: Int) -> Messages:
        tables, hit = self.tables, a1 != 0
        v = shift(a1[hit] * tables.flush_gain, tables.flush_shift)
        self.phase[hit] = self.kick(self.phase[hit], v, np.zeros_like(v), np.zeros_like(v))
        return Messages(self.idle, shift(self.phase, self.population.flush_drop))


def neurons(population: ProgramPopulation, grid: TimeGrid, copies: int) -> Neurons | SpecifiedNeurons:
    """A population in the implementation that is made for its kind of arithmetic."""
    kind = Neurons if isinstance(population.ptc, CotangentTables) else SpecifiedNeurons
    return kind(population, grid, copies)
