"""The integer machine, compiled: equal to `qif2hw.engine.spec` bit for bit.

Population by population, in the order of their depth; of each, groups of samples side by side in the lanes of vectors.
Phases jump from one arrival to the next (`qif2hw.engine.fast_phases`); plane vectors, which round in every step, go
through all of them (`qif2hw.engine.fast_plane`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qif2hw.engine.curve import steepest
from qif2hw.engine.fast_arrivals import group_size
from qif2hw.engine.fast_phases import phase_numbers, run_phases
from qif2hw.engine.fast_plane import run_vectors, vector_numbers
from qif2hw.engine.fast_spikes import LATE, NEURON, STEP, Messages, by_neuron, by_step, merge
from qif2hw.errors import InputError
from qif2hw.ir.large import row_blocks
from qif2hw.ir.program import Program, ProgramPopulation, TimeGrid
from qif2hw.ir.ptc import CotangentTables, PhaseWeightTable, PlaneVector
from qif2hw.ir.spikes import MachineOutput, StepSpikes
from qif2hw.ir.synapses import BySource, join
from qif2hw.machinecode import interpreted

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

_NARROW = 1 << 30
"""Numbers below it are kept in lanes of 32 bits: sums of two still fit."""


@dataclass(frozen=True)
class Registers:
    """Registers of a population in the steps that matter: what a run was made of.

    Parameters
    ----------
    step
        Machine steps whose registers are kept, those in which something arrived and the last, (samples, kept); the
        entries after the last step mean nothing.
    state
        Registers at the end of these steps, (samples, kept, registers, neurons): the phase, or the plane vector; after
        the last step those of the trial's end.
    crossing
        Registers of each spike when it crossed the threshold, before anything that arrived in its step, in the order of
        `StepSpikes`, (spikes, registers).
    flush
        Payloads of the flush step, (samples, neurons).
    """

    step: Int32
    state: Int32
    crossing: Int32
    flush: Int64


def run(
    program: Program, step_in: Int32, late_in: Int32, registers: dict[str, Registers] | None = None
) -> tuple[MachineOutput, dict[str, StepSpikes]]:
    """Run the machine on encoded inputs; arguments and results as those of `qif2hw.engine.spec.run`.

    ``registers`` is filled with those of every population.

    Raises
    ------
    InputError
        Where NUMBA_DISABLE_JIT is set.
    """
    if interpreted():
        raise InputError("NUMBA_DISABLE_JIT is set: certificates need the compiled engine, unset it")
    sent = {name: _inputs(program, step_in[:, part], late_in[:, part]) for name, part in program.columns.items()}
    spikes: dict[str, StepSpikes] = {}
    first: dict[str, tuple[Int32, Int32, Int32]] = {}
    outputs = set(program.output_populations)
    for population in program.populations:
        name = population.name
        sent[name], spikes[name] = _population(program, population, sent, registers)
        if name in outputs:
            first[name] = _first(spikes[name], sent[name].flush)
    columns = [np.concatenate([first[name][k] for name in program.output_populations], axis=1) for k in range(3)]
    return MachineOutput(*columns), spikes


def _inputs(program: Program, step: Int32, late: Int32) -> Messages:
    """Messages of an input group, whose channel ``j`` of sample ``b`` sends in ``step[b, j]``; never below 0."""
    samples, channels = step.shape
    buffer = np.stack([step, np.broadcast_to(np.arange(channels), step.shape), late], axis=-1).astype(np.int32)
    known = (step >= 0) & (step <= program.steps)
    order = np.argsort(~known, axis=1, kind="stable")[..., None]
    if not known.all():
        buffer = np.take_along_axis(buffer, order, axis=1)
    return by_step(buffer, known.sum(axis=1), program.steps, np.zeros((samples, channels), np.int64))


def _first(rows: StepSpikes, flush: Int64) -> tuple[Int32, Int32, Int32]:
    step = np.full(flush.shape, -1, np.int32)
    late = np.zeros(flush.shape, np.int32)
    # Rows are sorted by sample, neuron, step.
    new = np.ones(len(rows), bool)
    new[1:] = (np.diff(rows.sample) != 0) | (np.diff(rows.neuron) != 0)
    step[rows.sample[new], rows.neuron[new]] = rows.step[new]
    late[rows.sample[new], rows.neuron[new]] = rows.lateness[new]
    return step, late, flush.astype(np.int32)


def _population(
    program: Program, population: ProgramPopulation, sent: dict[str, Messages], registers: dict[str, Registers] | None
) -> tuple[Messages, StepSpikes]:
    """What a population sends; its registers are added to those asked for."""
    grid, curve, size = program.grid, population.ptc, population.size
    incoming = program.incoming(population.name)
    messages = merge([sent[p.pre] for p in incoming], program.steps)
    # Even weights from -256 to 254, shifted by at most 7, fit 16 bits.
    weight = join([_shifted(p.synapses.by_source(p.weight), p.exponent) for p in incoming])
    samples = messages.start.size - 1
    lanes = _lanes(population, grid, messages, weight)
    shape = np.array(
        [
            grid.threshold, grid.phase_bits, grid.lateness_bits, grid.trial_steps, population.depth,
            grid.overshoot(population.depth), population.flush_drop,
        ],
        np.int64,
    )  # fmt: skip
    width, keep = 2 if isinstance(curve, PlaneVector) else 1, registers is not None
    slots = 1 + _most_steps(messages) if keep else 0
    kept_step, kept = np.zeros((samples, slots), np.int32), np.zeros((samples, slots, width, size), np.int32)
    flush, capacity = np.empty((samples, size), np.int64), 2 * size + 8
    while True:
        buffer, count = np.empty((samples, capacity, 3), np.int32), np.zeros(samples, np.int64)
        crossing = np.empty((samples, capacity if keep else 0, width), np.int32)
        filled = group_size(size, samples), buffer, count, crossing, kept_step, kept, flush
        if isinstance(curve, PlaneVector):
            zero = np.zeros(0, lanes)
            run_vectors(*messages, weight, curve.start.astype(np.int32), zero, shape, *vector_numbers(curve), *filled)
        else:
            run_phases(*messages, weight, population.phase0.astype(lanes), shape, *phase_numbers(curve), *filled)
        capacity = int(count.max(initial=0))
        if capacity <= buffer.shape[1]:
            break
    ordered = np.empty((int(count.sum()) if keep else 0, width), np.int32)
    sample, columns = by_neuron(buffer, count, size, crossing, ordered)
    if registers is not None:
        registers[population.name] = Registers(kept_step, kept, ordered, flush)
    rows = StepSpikes(sample, columns[NEURON], columns[STEP], columns[LATE])
    return by_step(buffer, count, program.steps, flush), rows


def _shifted(weight: BySource, exponent: int) -> BySource:
    """Weights, of which there are new arrays, times two to the ``exponent``."""
    for values in (weight.rows, weight.weight):
        np.left_shift(values, exponent, out=values)
    return weight


def _most_steps(messages: Messages) -> int:
    """Most steps of a sample in which something arrives."""
    sample = np.repeat(np.arange(messages.start.size - 1), np.diff(messages.start))
    new = np.ones(sample.size, bool)
    new[1:] = (np.diff(sample) != 0) | (np.diff(messages.step) != 0)
    return int(np.bincount(sample[new], minlength=1).max(initial=0))


def _lanes(
    population: ProgramPopulation, grid: TimeGrid, messages: Messages, weight: BySource
) -> type[np.int32] | type[np.int64]:
    """The type of the lanes that hold phases and what arrives: 32 bits if nothing kept there can be larger, or 64."""
    curve = population.ptc
    if isinstance(curve, PhaseWeightTable):
        return np.int64
    if weight.rows.size:
        total = sum(np.abs(rows, dtype=np.int64).sum(axis=0) for rows in row_blocks(weight.rows))
        most = int(np.max(total))
    else:
        most = int(np.bincount(weight.post, np.abs(weight.weight, dtype=np.int64), population.size).max(initial=0))
    late = int(np.abs(messages.late).max(initial=0))
    sums = most, most * late, most * (late * late >> grid.lateness_bits)
    lateness = max(sums[1:]) * curve.late_gain >> curve.late_shift
    pull = most * int(np.abs(messages.flush).max(initial=0)) * curve.flush_gain >> curve.flush_shift
    if isinstance(curve, PlaneVector):
        bounds = [*sums, most * curve.kick_gain >> curve.kick_shift, lateness]
    else:
        bounds = [*sums, most << curve.kick_bits, lateness, pull, _largest(curve)]
        bounds += [grid.threshold + (grid.trial_steps + population.depth << grid.phase_bits)]
    return np.int32 if max(bounds) < _NARROW else np.int64


def _largest(curve: CotangentTables) -> int:
    """Bound of what looking up a curve's tables keeps."""
    return max(steepest(curve.to_potential), steepest(curve.to_phase), 4 * curve.limit)
