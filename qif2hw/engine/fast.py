"""The integer machine, compiled: equal to `qif2hw.engine.spec` bit for bit.

It skips the steps in which nothing arrives.  Between two arrivals a neuron's phase grows by the same count each step,
so the steps and lateness of its spikes follow from one subtraction and two shifts.  The cost is that of the arrivals,
not of the steps.
"""

import math
from dataclasses import astuple, dataclass
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from qif2hw.engine.fast_plane import run_vectors, second_order_loss, vector_numbers
from qif2hw.engine.fast_sums import add_payloads, add_spikes, add_squares
from qif2hw.ir.program import Program, ProgramPopulation
from qif2hw.ir.ptc import CURVATURE_MAX, LATE_FRACTION, CotangentTables, PhaseWeightTable, PlaneVector, second_moment
from qif2hw.ir.spikes import MachineOutput, StepSpikes
from qif2hw.ir.synapses import join
from qif2hw.machinecode import compiled

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]


class _Messages(NamedTuple):
    """Spikes of one group of senders, by sample and machine step, and their flush.

    The spikes that ``sample`` sends in ``step`` are entries ``start[sample, step]`` to ``start[sample, step + 1]``
    of ``source`` and ``late``; ``flush`` has shape (samples, senders).
    """

    start: Int64
    source: Int32
    late: Int32
    flush: Int64


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
    """
    samples = step_in.shape[0]
    sent: dict[str, _Messages] = {}
    spikes: dict[str, StepSpikes] = {}
    start = 0
    for encoder in program.encoders:
        part = slice(start, start + encoder.size)
        start += encoder.size
        sample, neuron = np.divmod(np.arange(samples * encoder.size), encoder.size)
        sent[encoder.name] = _pack(
            program, samples, sample, neuron, step_in[:, part].ravel(), late_in[:, part].ravel(),
            np.zeros((samples, encoder.size), np.int64),
        )  # fmt: skip
    first: dict[str, tuple[Int32, Int32, Int32]] = {}
    outputs = set(program.output_populations)
    for population in program.populations:
        keep = registers is not None
        (sample, neuron, step, late, flush), kept = _population(program, population, sent, keep)
        if registers is not None:
            order = np.lexsort((step, neuron, sample))
            registers[population.name] = Registers(kept[0], kept[1], kept[2][order], flush)
        sent[population.name] = _pack(program, samples, sample, neuron, step, late, flush)
        rows = StepSpikes.of(np.stack([sample, neuron, step, late], axis=1))
        spikes[population.name] = rows
        if population.name in outputs:
            first[population.name] = _first(rows, flush)
    columns = [np.concatenate([first[name][k] for name in program.output_populations], axis=1) for k in range(3)]
    return MachineOutput(*columns), spikes


def _first(rows: StepSpikes, flush: Int64) -> tuple[Int32, Int32, Int32]:
    step = np.full(flush.shape, -1, np.int32)
    late = np.zeros(flush.shape, np.int32)
    # Rows are sorted by sample, neuron, step.
    new = np.ones(len(rows), bool)
    new[1:] = (np.diff(rows.sample) != 0) | (np.diff(rows.neuron) != 0)
    step[rows.sample[new], rows.neuron[new]] = rows.step[new]
    late[rows.sample[new], rows.neuron[new]] = rows.lateness[new]
    return step, late, flush.astype(np.int32)


def _pack(
    program: Program, samples: int, sample: Int64, neuron: Int64, step: Int64 | Int32, late: Int64 | Int32, flush: Int64
) -> _Messages:
    width = program.steps + 2
    key = sample.astype(np.int64) * width + step
    order = np.argsort(key, kind="stable")
    start = np.zeros(samples * width + 1, np.int64)
    np.cumsum(np.bincount(key, minlength=samples * width), out=start[1:])
    return _Messages(
        np.lib.stride_tricks.sliding_window_view(start, width + 1)[::width].copy(),
        neuron[order].astype(np.int32),
        late[order].astype(np.int32),
        flush,
    )


def _merge(program: Program, parts: list[_Messages]) -> _Messages:
    """The messages of several groups as those of one, whose senders are numbered through."""
    if len(parts) == 1:
        return parts[0]
    samples, width = parts[0].start.shape[0], program.steps + 2
    rows, offset = [], 0
    for part in parts:
        count = np.diff(part.start, axis=1)
        sample, step = np.divmod(np.repeat(np.arange(samples * width), count.ravel()), width)
        rows.append((sample, part.source.astype(np.int64) + offset, step, part.late))
        offset += part.flush.shape[1]
    sample, source, step, late = (np.concatenate(column) for column in zip(*rows, strict=True))
    return _pack(program, samples, sample, source, step, late, np.concatenate([p.flush for p in parts], axis=1))


def _population(
    program: Program, population: ProgramPopulation, sent: dict[str, _Messages], keep: bool
) -> tuple[tuple[Int64, Int64, Int64, Int64, Int64], tuple[Int32, Int32, Int32]]:
    """Spikes (sample, neuron, step, lateness) and flush payloads of a population; its registers, empty if not kept."""
    grid, curve = program.grid, population.ptc
    incoming = program.incoming(population.name)
    messages = _merge(program, [sent[p.pre] for p in incoming])
    weight = join([p.synapses.by_source(p.weight.astype(np.int64) << p.exponent) for p in incoming])
    shape = np.array(
        [
            grid.threshold, grid.phase_bits, grid.lateness_bits, grid.trial_steps, population.depth,
            grid.overshoot(population.depth), population.flush_drop,
        ],
        np.int64,
    )  # fmt: skip
    second = second_moment(curve)
    scales = np.array([] if second is None else astuple(second), np.int64)
    capacity = 2 * population.size + 8
    width = 2 if isinstance(curve, PlaneVector) else 1
    arrivals = np.diff(messages.start[:, : grid.trial_steps + population.depth], axis=1) > 0
    slots = 1 + int(arrivals.sum(axis=1).max(initial=0)) if keep else 0
    samples = len(messages.start)
    kept_step = np.zeros((samples, slots), np.int32)
    kept = np.zeros((samples, slots, width, population.size), np.int32)
    while True:
        crossing = np.zeros((samples, capacity if keep else 0, width), np.int32)
        if isinstance(curve, PlaneVector):
            count, step, neuron, late, flush = run_vectors(
                *messages, weight, shape, *vector_numbers(curve), scales, capacity, kept_step, kept, crossing
            )
        else:
            count, step, neuron, late, flush = _run_phases(
                *messages, weight, population.phase0.astype(np.int64), shape, *_numbers(curve), scales, capacity,
                kept_step, kept, crossing,
            )  # fmt: skip
        if count.max(initial=0) <= capacity:
            break
        capacity = int(count.max())
    sample = np.repeat(np.arange(count.size), count)
    place = np.arange(sample.size) - np.repeat(np.cumsum(count) - count, count)
    spikes = sample, neuron[sample, place], step[sample, place], late[sample, place], flush
    return spikes, (kept_step, kept, crossing[sample, place] if keep else crossing.reshape(-1, width))


def _numbers(curve: CotangentTables | PhaseWeightTable) -> tuple[Int64, Int64, Int64]:
    """A curve as the kernel takes it: scales and shapes, and two arrays."""
    scales = [curve.kick_bits, curve.late_gain, curve.late_shift, curve.flush_gain, curve.flush_shift]
    if isinstance(curve, PhaseWeightTable):
        own = [1, curve.phase_spacing, curve.kick_spacing, *curve.shift.shape]
        arrays = curve.shift.ravel(), curve.twist
    else:
        potential, phase = curve.to_potential, curve.to_phase
        own = [0, curve.edge, curve.limit, potential.first_octave, potential.mantissa_bits]
        own += [phase.first_octave, phase.mantissa_bits]
        arrays = potential.knots, phase.knots
    return np.array(scales + own, np.int64), arrays[0].astype(np.int64), arrays[1].astype(np.int64)


@compiled(inline="always")
def _rounded_shift(value: int, bits: int) -> int:
    return (value + ((1 << bits) >> 1)) >> bits


@compiled
def _look_up(knots: Int64, first_octave: int, mantissa_bits: int, x: int) -> int:
    octave = math.frexp(float(x))[1] - first_octave
    start, spacing = 0, first_octave - mantissa_bits
    if octave > 0:
        spacing += octave - 1
        start = 1 << (first_octave + octave - 1)
    else:
        octave = 0
    index = (octave << mantissa_bits) + ((x - start) >> spacing)
    left = knots[index]
    right = knots[min(index + 1, knots.size - 1)]
    fraction = (x - start) & ((1 << spacing) - 1)
    return left + (((right - left) * fraction + ((1 << spacing) >> 1)) >> spacing)


@compiled
def _kick(  # type: ignore[no-untyped-def]
    phase, a0, a1, m2, threshold, numbers, one, other, second
):  # fmt: skip
    if a0 == 0 and a1 == 0 and m2 == 0:
        return phase
    if numbers[5] == 1:
        return _kick_by_grid(phase, a0, a1, threshold, numbers, one, other)
    edge = numbers[6]
    if phase < edge or phase > threshold - edge:
        return phase
    if 2 * phase < threshold:
        v = -max(_look_up(one, numbers[8], numbers[9], phase), 0)
    else:
        v = max(_look_up(one, numbers[8], numbers[9], threshold - phase), 0)
    loss = 0
    if second.size > 0:
        loss = second_order_loss(a0, a1, m2, second)
        curvature = _rounded_shift(m2 * (v + 2 * a0) * second[4], second[5])
        a1 += min(max(curvature, -CURVATURE_MAX), CURVATURE_MAX)
    v += a0 - loss + _rounded_shift(a1 * (2 * v + a0), LATE_FRACTION)
    # Not the size of v: the smallest integer has none.
    saturated = abs(min(max(v, -numbers[7]), numbers[7]))
    distance = max(_look_up(other, numbers[10], numbers[11], saturated), edge)
    return distance if v < 0 else threshold - distance


@compiled
def _kick_by_grid(phase: int, a0: int, a1: int, threshold: int, numbers: Int64, shift: Int64, twist: Int64) -> int:
    if phase <= 0 or phase >= threshold:
        return phase
    spacing, across, rows, columns = numbers[6], numbers[7], numbers[8], numbers[9]
    middle = (rows - 1) // 2 << across
    kick = min(max(a0 + middle, 0), 2 * middle)
    row = min(kick >> across, rows - 2)
    column, along = phase >> spacing, phase & ((1 << spacing) - 1)
    at = row * columns + column
    low = shift[at] + _rounded_shift((shift[at + 1] - shift[at]) * along, spacing)
    at += columns
    high = shift[at] + _rounded_shift((shift[at + 1] - shift[at]) * along, spacing)
    moved = phase + low + _rounded_shift((high - low) * (kick - (row << across)), across)
    moved = min(max(moved, 0), threshold)
    turn = _twist(phase, twist, spacing) + _twist(moved, twist, spacing)
    return min(max(moved + _rounded_shift(a1 * turn, LATE_FRACTION), 1), threshold - 1)


@compiled
def _twist(phase: int, twist: Int64, spacing: int) -> int:
    k = min(phase >> spacing, twist.size - 2)
    return twist[k] + _rounded_shift((twist[k + 1] - twist[k]) * (phase - (k << spacing)), spacing)


@compiled(parallel=True)
def _run_phases(  # type: ignore[no-untyped-def]
    start, source, late_in, flush_in, weight, phase0, shape, numbers, one, other, second, capacity, kept_step, kept,
    crossing,
):  # fmt: skip
    samples, posts = start.shape[0], phase0.size
    threshold, phase_bits, lateness_bits, trial_steps = shape[0], shape[1], shape[2], shape[3]
    depth, overshoot, flush_drop = shape[4], shape[5], shape[6]
    increment = 1 << phase_bits
    last = trial_steps + depth
    count = np.zeros(samples, np.int64)
    out_step = np.empty((samples, capacity), np.int64)
    out_neuron = np.empty((samples, capacity), np.int64)
    out_late = np.empty((samples, capacity), np.int64)
    out_flush = np.empty((samples, posts), np.int64)
    for b in numba.prange(samples):
        phase = phase0.copy()
        a0 = np.empty(posts, np.int64)
        a1 = np.empty(posts, np.int64)
        a2 = np.empty(posts, np.int64)
        done = 0
        found = 0
        slot = 0
        for n in range(1, last + 1):
            begin, end = start[b, n - 1], start[b, n]
            if begin == end and n != last:
                continue
            add_spikes(source[begin:end], late_in[begin:end], weight, a0, a1)
            if second.size > 0:
                add_squares(source[begin:end], late_in[begin:end], weight, lateness_bits, a2)
            for i in range(posts):
                p = phase[i] + (n - done) * increment
                turns = p // threshold if p >= threshold else 0
                undo = 0
                for turn in range(turns):
                    over = p - (turn + 1) * threshold
                    when = n - (over >> phase_bits)
                    crossed = over & (increment - 1)
                    if n == last and when == n and crossed < overshoot:
                        undo = 1
                        continue
                    if found < capacity:
                        out_step[b, found] = when
                        out_neuron[b, found] = i
                        out_late[b, found] = crossed >> (phase_bits - lateness_bits)
                        if kept_step.shape[1] > 0:
                            crossing[b, found, 0] = crossed
                    found += 1
                p -= turns * threshold
                late = _rounded_shift(a1[i] * numbers[1], numbers[2])
                m2 = _rounded_shift(a2[i] * numbers[1], numbers[2]) if second.size > 0 else 0
                p = _kick(p, a0[i] << numbers[0], late, m2, threshold, numbers, one, other, second)
                if n == last:
                    p = min(max(p - overshoot + undo * threshold, 0), threshold - 1)
                phase[i] = p
            if kept_step.shape[1] > 0:
                kept_step[b, slot] = n
                kept[b, slot, 0] = phase
                slot += 1
            done = n
        add_payloads(flush_in[b], weight, a1)
        for i in range(posts):
            pull = _rounded_shift(a1[i] * numbers[3], numbers[4])
            kicked = _kick(phase[i], pull, 0, 0, threshold, numbers, one, other, second)
            out_flush[b, i] = _rounded_shift(kicked, flush_drop)
        count[b] = found
    return count, out_step, out_neuron, out_late, out_flush
