r"""The integer machine, written to be read: the specification that every other execution must equal bit for bit.

Registers are signed integers; ``>>`` is an arithmetic shift (rounds towards minus infinity).  `rounded_shift` adds
half a unit first.  Products and sums before a shift fit 64 bits; what is *kept* fits 24
(`qif2hw.ir.program.STATE_BITS`).

One machine step ``n = 1, 2, ...``:

1. Every population adds up what was sent to it in step ``n - 1``: ``A0 = sum W flag`` and ``A1 = sum W payload``.
2. Every neuron does `step` for its local step ``m = n - depth`` and sends a flag and a payload, or nothing.

Local steps ``m <= trial_steps`` advance the phase.  The step ``m = trial_steps + 1`` is the *flush*: time stands still,
each neuron receives the pseudo-phases of its sources as one weighted sum in ``A1`` (no flags), and sends its own.
An input channel sends one spike, with its lateness as payload, in the step that its encoded time falls into.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qif2hw.ir.program import (
    ACCUMULATOR_MAX,
    LATE_FRACTION,
    STATE_MAX,
    CotangentTables,
    Program,
    ProgramPopulation,
    Table,
    TimeGrid,
)
from qif2hw.ir.spikes import MachineOutput, StepSpikes

Int = NDArray[np.int64]


class RegisterOverflow(ArithmeticError):
    """A register left its width in checked mode: the compiler's proof was wrong."""


@dataclass(frozen=True)
class Sent:
    """What the neurons of a population keep and send in one step; arrays of one shape.

    ``phase`` is the new register.  ``flag`` is 1 for an ordinary spike.  ``payload`` is its lateness in ticks, or in
    the flush step the phase shifted right by ``flush_drop`` (with flag 0); 0 otherwise.
    """

    phase: Int
    flag: Int
    payload: Int


def rounded_shift(value: Int, bits: int) -> Int:
    """``floor(value / 2^bits + 1/2)``."""
    return (value + ((1 << bits) >> 1)) >> bits


def bit_length(value: Int) -> Int:
    """Position of the highest set bit plus one, 0 for 0; values in [0, 2^53)."""
    return np.frexp(value.astype(np.float64))[1].astype(np.int64)


def look_up(table: Table, x: Int) -> Int:
    """Table value at ``x >= 0``: linear between the knots, rounded half up.

    Octave ``j = max(0, bit_length(x) - first_octave)`` starts at knot ``j 2^m`` and at ``x = 0`` (``j = 0``) or
    ``2^(first_octave + j - 1)``; its knots lie ``2^s`` apart, ``s = first_octave - m + max(0, j - 1)``.
    """
    octave = np.maximum(bit_length(x) - table.first_octave, 0)
    spacing = table.first_octave - table.mantissa_bits + np.maximum(octave - 1, 0)
    start = np.where(octave > 0, np.int64(1) << (table.first_octave + np.maximum(octave - 1, 0)), 0)
    index = (octave << table.mantissa_bits) + ((x - start) >> spacing)
    fraction = (x - start) & ((np.int64(1) << spacing) - 1)
    knots = table.knots.astype(np.int64)
    left = knots[index]
    right = knots[np.minimum(index + 1, knots.size - 1)]
    return left + (((right - left) * fraction + ((np.int64(1) << spacing) >> 1)) >> spacing)


def potential(tables: CotangentTables, threshold: int, phase: Int) -> Int:
    """``v = -cot(theta)`` of phases in ``[edge, threshold - edge]``: negative in the first half of the cycle."""
    early = 2 * phase < threshold
    size = np.maximum(look_up(tables.to_potential, np.where(early, phase, threshold - phase)), 0)
    return np.where(early, -size, size)


def phase_of(tables: CotangentTables, threshold: int, v: Int) -> Int:
    """Phase of a potential, after saturation; never nearer than ``edge`` to an end."""
    distance = np.maximum(look_up(tables.to_phase, np.minimum(np.abs(v), tables.limit)), tables.edge)
    return np.where(v < 0, distance, threshold - distance)


def kick(tables: CotangentTables, threshold: int, phase: Int, a0: Int, a1: Int) -> Int:
    """Phase after a kick of ``a0`` counts of ``v`` with the lateness factor ``a1``.

    ``v -> v + a0 + a1 (2 v + a0)``, see `qif2hw.neuron.late_kick`; a phase nearer than ``edge`` to an end stays.
    """
    inside = ((a0 != 0) | (a1 != 0)) & (phase >= tables.edge) & (phase <= threshold - tables.edge)
    v = potential(tables, threshold, np.where(inside, phase, threshold >> 1))
    kicked = v + a0 + rounded_shift(a1 * (2 * v + a0), LATE_FRACTION)
    return np.where(inside, phase_of(tables, threshold, kicked), phase)


def step(population: ProgramPopulation, grid: TimeGrid, local_step: int, phase: Int, a0: Int, a1: Int) -> Sent:
    """One step of a population.

    Parameters
    ----------
    population, grid
        The program's.
    local_step
        ``m``, the machine step minus the population's depth; steps before 1 only let time pass.
    phase
        Phase register, any shape that ends in neurons.
    a0, a1
        What arrived, same shape: sum of weights of the spikes, sum of weights times payloads.
    """
    tables, threshold = population.ptc, grid.threshold
    if local_step > grid.trial_steps:
        if local_step > grid.trial_steps + 1:
            nothing = np.zeros_like(phase)
            return Sent(phase, nothing, nothing)
        kicked = kick(
            tables, threshold, phase, rounded_shift(a1 * tables.flush_gain, tables.flush_shift), np.zeros_like(a1)
        )
        return Sent(kicked, np.zeros_like(phase), rounded_shift(kicked, population.flush_drop))

    advanced = phase + grid.increment
    fired = advanced >= threshold
    crossed = np.where(fired, advanced - threshold, advanced)
    late = rounded_shift(a1 * tables.late_gain, tables.late_shift)
    kicked = kick(tables, threshold, crossed, a0 << tables.kick_bits, late)
    if local_step == grid.trial_steps:
        # The trial ends inside this step: turn the phase back to its end, and un-fire what crossed after it.
        overshoot = grid.overshoot(population.depth)
        after = fired & (crossed < overshoot)
        fired = fired & ~after
        kicked = np.clip(kicked - overshoot + np.where(after, threshold, 0), 0, threshold - 1)
    flag = fired.astype(np.int64)
    return Sent(kicked, flag, flag * (crossed >> (grid.phase_bits - grid.lateness_bits)))


def run(
    program: Program, step_in: NDArray[np.int32], late_in: NDArray[np.int32], *, checked: bool = False
) -> tuple[MachineOutput, dict[str, StepSpikes]]:
    """Run the machine on encoded inputs.

    Parameters
    ----------
    program
        What to run.
    step_in, late_in
        Step and lateness of each input channel's spike, (samples, inputs), from `qif2hw.engine.host.encode`.
    checked
        Raise `RegisterOverflow` when a register leaves its width.

    Returns
    -------
    MachineOutput, dict of StepSpikes
        First spikes of the output neurons, and all ordinary spikes by population.
    """
    grid, samples = program.grid, step_in.shape[0]
    phase = {p.name: np.broadcast_to(p.phase0.astype(np.int64), (samples, p.size)) for p in program.populations}
    # Products of integers below 2^53 are exact in float64, which has a fast matrix product.
    weight = {(p.pre, p.post): p.weight.T.astype(np.float64) for p in program.projections}
    columns = np.split(np.arange(program.inputs), np.cumsum([e.size for e in program.encoders])[:-1])
    sent: dict[str, Sent] = {}
    spikes: dict[str, list[Int]] = {p.name: [] for p in program.populations}
    first = {name: np.full(phase[name].shape, -1, np.int64) for name in program.output_populations}
    first_late = {name: np.zeros(phase[name].shape, np.int64) for name in program.output_populations}
    flush = {name: np.zeros(phase[name].shape, np.int64) for name in program.output_populations}

    for n in range(program.steps + 1):
        arriving, sent = sent, {}
        for encoder, column in zip(program.encoders, columns, strict=True):
            flag = (step_in[:, column] == n).astype(np.int64)
            sent[encoder.name] = Sent(flag, flag, flag * late_in[:, column])
        if n == 0:
            continue
        for population in program.populations:
            name, shape = population.name, (samples, population.size)
            a0, a1 = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
            for p in program.incoming(name):
                got = arriving.get(p.pre)
                if got is not None and (got.flag.any() or got.payload.any()):
                    a0 += (got.flag @ weight[p.pre, p.post]).astype(np.int64) << p.exponent
                    a1 += (got.payload @ weight[p.pre, p.post]).astype(np.int64) << p.exponent
            if checked:
                _check(name, n, "accumulator", a0, ACCUMULATOR_MAX)
                _check(name, n, "payload accumulator", a1, ACCUMULATOR_MAX)
            m = n - population.depth
            out = step(population, grid, m, phase[name], a0, a1)
            if checked:
                _check(name, n, "phase", out.phase, STATE_MAX)
            phase[name], sent[name] = out.phase, out
            sample, neuron = np.nonzero(out.flag)
            late = out.payload[sample, neuron]
            spikes[name].append(np.stack([sample, neuron, np.full_like(sample, n), late], axis=1))
            if name in first:
                new = (out.flag > 0) & (first[name] < 0)
                first[name] = np.where(new, n, first[name])
                first_late[name] = np.where(new, out.payload, first_late[name])
                if m == grid.trial_steps + 1:
                    flush[name] = out.payload
    names = program.output_populations
    output = MachineOutput(
        *(
            np.concatenate([part[name] for name in names], axis=1).astype(np.int32)
            for part in (first, first_late, flush)
        )
    )
    return output, {name: StepSpikes.of(np.concatenate(rows)) for name, rows in spikes.items()}


def _check(population: str, n: int, register: str, value: Int, limit: int) -> None:
    if np.abs(value).max(initial=0) > limit:
        raise RegisterOverflow(
            f"{register} of population '{population}' reached {int(np.abs(value).max())} in step {n}"
        )
