"""What the host does around the machine: inputs to spike steps, first spikes to results."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.program import Program
from qif2hw.ir.readout import decode
from qif2hw.ir.spikes import MachineOutput, Run, Spikes, StepSpikes, counts_of


def encode(program: Program, x: ArrayLike) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Step and lateness (in ticks) of every input spike, (samples, channels), for inputs ``x`` (samples, columns).

    Inputs are those that `check_inputs` of the program takes.

    A spike at time ``t`` is rounded to a tick and sent in the step that holds it: ``step = ceil(t / Delta)``, late by
    the rest.

    Raises
    ------
    InputError
        On a wrong width or values out of range.
    """
    grid = program.grid
    checked = program.encoded(x)
    columns = np.cumsum([e.size for e in program.encoders])[:-1]
    times = np.concatenate(
        [e.times(part) for e, part in zip(program.encoders, np.split(checked, columns, axis=1), strict=True)], axis=1
    )
    tick = np.clip(np.rint(times / grid.tick), 1, np.floor(grid.trial / grid.tick)).astype(np.int64)
    step = -(-tick >> grid.lateness_bits)
    return step.astype(np.int32), ((step << grid.lateness_bits) - tick).astype(np.int32)


def spike_times(program: Program, output: MachineOutput) -> tuple[FloatArray, NDArray[np.bool_]]:
    """First spike times (samples, output neurons) in time units, pseudospikes included; which of them are ordinary."""
    grid = program.grid
    ordinary = output.step >= 0
    times = np.empty(output.step.shape)
    start = 0
    for name in program.output_populations:
        population = program.population(name)
        part = slice(start, start + population.size)
        start += population.size
        real = grid.times(output.step[:, part], output.lateness[:, part], population.depth)
        phase = output.flush[:, part].astype(np.int64) << population.flush_drop
        pseudo = grid.trial + (grid.threshold - phase) / grid.threshold * grid.period
        times[:, part] = np.where(ordinary[:, part], real, pseudo)
    return times, ordinary


def first_spike_order(program: Program, output: MachineOutput) -> NDArray[np.int64]:
    """Whole numbers (samples, output neurons) in the order of first spikes: by step and lateness, after them by phase.

    An ordinary spike counts its ticks from the trial's start; a neuron without one follows after the last tick, by the
    counts that its phase in the flush step lacks to the threshold.
    """
    grid, start = program.grid, 0
    order = (output.step.astype(np.int64) << grid.lateness_bits) - output.lateness
    last = program.steps << grid.lateness_bits
    for name in program.output_populations:
        population = program.population(name)
        part = slice(start, start + population.size)
        start += population.size
        lacking = grid.threshold - (output.flush[:, part].astype(np.int64) << population.flush_drop)
        order[:, part] = np.where(output.step[:, part] >= 0, order[:, part], last + lacking)
    return order


def finish(
    program: Program,
    backend: str,
    output: MachineOutput,
    step_spikes: dict[str, StepSpikes],
    seconds: float,
    counts: dict[str, IntArray] | None = None,
    x: ArrayLike | None = None,
) -> Run:
    """Decode what a machine returned into a `Run`.

    ``counts`` (neurons,) are those of the spikes, if not given.  Without the inputs ``x`` (samples, columns) the run
    has no solution yet, but the results alone; `qif2hw.backends.Backend.run` makes it of them.
    """
    times, ordinary = spike_times(program, output)
    sizes = [program.population(name).size for name in program.output_populations]
    parts = np.split(times, np.cumsum(sizes)[:-1], axis=1)
    spikes = {
        name: Spikes(s.sample, s.neuron, program.grid.times(s.step, s.lateness, program.depth[name]))
        for name, s in step_spikes.items()
    }
    raw = decode(program.outputs, dict(zip(program.output_populations, parts, strict=True)))
    y, label = raw if x is None else program.solve(x, raw), None
    if program.first_spike is not None:
        # As the machine itself would: in whole numbers.
        label = program.first_spike.label(first_spike_order(program, output)[:, program.first_spike.neuron])
    elif x is not None:
        label = program.label(raw, y)
    return Run(
        backend=backend,
        y=y,
        raw=raw,
        label=label,
        spike_time=times,
        ordinary=ordinary,
        spikes=spikes,
        machine=output,
        step_spikes=step_spikes,
        seconds=seconds,
        counts=counts_of(step_spikes, program.sizes) if counts is None else counts,
    )
