"""Pass: make the phase-transition tables and measure their error."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qif2hw import neuron
from qif2hw.compiler.draft import Draft, Facts
from qif2hw.compiler.weights import FULL_RANGE
from qif2hw.engine import spec
from qif2hw.errors import InputError
from qif2hw.ir import CotangentTables, Population, Table, TimeGrid
from qif2hw.ir.network import FloatArray, IntArray
from qif2hw.ir.program import LATE_FRACTION, STATE_MAX

GAIN_BITS = 15


@dataclass(frozen=True)
class MakeTables:
    """Tabulate ``cot`` and ``arccot``, ``2^table_bits`` knots per octave, in the weight unit of each population."""

    table_bits: int = 7
    name: str = "tables"

    def run(self, draft: Draft) -> Draft:
        """Make and measure the tables."""
        if not 2 <= self.table_bits <= 12:
            raise InputError(f"table bits = {self.table_bits}: 2 to 12 are possible")
        draft.need("ranges", by=self.name)
        grid = draft.time
        draft = self.tabulate(draft)
        facts: Facts = {"table_bits": self.table_bits, "populations": {}}
        for population in draft.network.populations:
            name = population.name
            tables = draft.ptc[name]
            load = max(draft.report["ranges"]["populations"][name]["a0_max"], 1)
            facts["populations"][name] = {
                "knots": int(tables.to_potential.knots.size + tables.to_phase.knots.size),
                "edge_in_steps": tables.edge / grid.increment,
                **measure(tables, grid, population, draft.units[name], load),
            }
        return draft.with_report(self.name, facts)

    def tabulate(self, draft: Draft) -> Draft:
        """Make the tables without measuring them."""
        drops = {p.post: draft.flush_drop[p.pre] for p in draft.projections if p.pre in draft.flush_drop}
        ptc = {
            p.name: make_tables(p, draft.time, draft.units[p.name], drops.get(p.name, 0), self.table_bits)
            for p in draft.network.populations
        }
        return draft.changed(ptc=ptc, table_bits=self.table_bits)


def make_tables(
    population: Population, grid: TimeGrid, unit: float, flush_drop: int, table_bits: int
) -> CotangentTables:
    """The tables of one population; ``flush_drop`` is that of its sources."""
    r, threshold = population.neuron.r, grid.threshold
    kick_bits = max(0, math.floor(math.log2(STATE_MAX * unit / (r * FULL_RANGE))))
    unit_v = unit / (r * 2.0**kick_bits)
    edge = math.ceil(math.atan(1 / (STATE_MAX * unit_v)) / math.pi * threshold)
    first = max(edge.bit_length() - 1, table_bits)
    spacing = 1 << (first - table_bits)
    edge = -(-edge // spacing) * spacing

    def potential(distance: IntArray) -> FloatArray:
        return 1 / np.tan(np.pi * np.maximum(distance, edge) / threshold) / unit_v

    def distance(v: IntArray) -> FloatArray:
        return np.arctan2(1.0, v * unit_v) / np.pi * threshold

    to_potential = _tabulate(potential, first, table_bits, threshold >> 1)
    one = max(int(1 / unit_v).bit_length() - 1, table_bits)
    to_phase = _tabulate(distance, one, table_bits, int(to_potential.knots[0]))
    late_gain, late_shift = _gain(grid.tick * population.neuron.omega * unit / r * 2.0**LATE_FRACTION)
    flush_gain, flush_shift = _gain(2.0 ** (kick_bits + flush_drop) / threshold)
    return CotangentTables(to_potential, to_phase, edge, kick_bits, late_gain, late_shift, flush_gain, flush_shift)


def knot_positions(first_octave: int, mantissa_bits: int, end: int) -> IntArray:
    """Arguments of a table's knots, from 0 to the first one at or beyond ``end``."""
    per = 1 << mantissa_bits
    parts = [np.arange(per, dtype=np.int64) << (first_octave - mantissa_bits)]
    octave = first_octave
    while parts[-1][-1] + (parts[-1][1] - parts[-1][0]) < end:
        parts.append((np.arange(per, 2 * per, dtype=np.int64)) << (octave - mantissa_bits))
        octave += 1
    parts.append(np.array([parts[-1][-1] + (parts[-1][1] - parts[-1][0])]))
    every = np.concatenate(parts)
    return every[: int(np.searchsorted(every, end)) + 1]


def _tabulate(function: Callable[[IntArray], FloatArray], first: int, bits: int, end: int) -> Table:
    values = np.rint(function(knot_positions(first, bits, end)))
    return Table(values.astype(np.int32), first, bits)


def _gain(factor: float) -> tuple[int, int]:
    """Integer and shift with ``gain / 2^shift ~ factor`` and a gain of at most `GAIN_BITS` bits."""
    shift = min(47, max(0, GAIN_BITS - 1 - math.floor(math.log2(factor))))
    return round(factor * 2.0**shift), shift


def measure(tables: CotangentTables, grid: TimeGrid, population: Population, unit: float, load: int) -> Facts:
    """Error of the tabulated phase transition curve against the exact one, in steps, over the whole domain.

    Phases: eight per knot interval of both halves of the cycle, both ends included.  Weights: 33 sums of either sign
    up to the largest that can arrive (``load`` counts), equally spaced in their square root.
    """
    threshold = grid.threshold
    knots = knot_positions(tables.to_potential.first_octave, tables.to_potential.mantissa_bits, threshold >> 1)
    inner = (knots[:-1, None] + (np.diff(knots)[:, None] * np.arange(8)) // 8).ravel()
    half = np.append(inner[inner < threshold >> 1], threshold >> 1)
    phase = np.concatenate([half, threshold - half[::-1]])
    root = np.linspace(-1, 1, 33)
    sums = np.unique(np.rint(np.sign(root) * root**2 * load).astype(np.int64))
    worst, square, count = 0.0, 0.0, 0
    monotone = True
    for a0 in sums:
        kicked = spec.kick(tables, threshold, phase, np.full_like(phase, a0 << tables.kick_bits), np.zeros_like(phase))
        exact = neuron.kick(np.pi * phase / threshold, np.float64(a0 * unit / population.neuron.r)) / np.pi * threshold
        # At the cycle's end sin(pi) rounds to about 1e-16 of either sign.
        error = (kicked - np.where(phase == threshold, threshold, exact)) / grid.increment
        worst = max(worst, float(np.abs(error).max()))
        square += float(np.sum(error**2))
        count += error.size
        monotone &= bool((np.diff(kicked) >= 0).all())
    return {"max_error_steps": worst, "rms_error_steps": math.sqrt(square / count), "monotone": monotone}
