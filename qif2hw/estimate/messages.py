"""What a run sends over a chip: messages by source, kind and machine step."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qif2hw import engine
from qif2hw.engine import stepped
from qif2hw.errors import InputError
from qif2hw.ir import Program, Run
from qif2hw.ir.arrays import ByValue, FloatArray, IntArray
from qif2hw.ir.ptc import second_moment
from qif2hw.ir.stepped import AnyRun, SteppedRun
from qif2hw.ir.stepped_program import SteppedProgram

AnyProgram = Program | SteppedProgram
"""A program of either clock."""

SPIKE, SQUARE, FLUSH = "spike", "square", "flush"
"""Kinds: a spike with its payload, or a value of an input group; its squared lateness; the phase in the flush step."""


@dataclass(frozen=True, eq=False)
class Messages(ByValue):
    """Messages of one kind from one input group or population.

    Parameters
    ----------
    source, kind
        Who sends what.
    sent
        How many each neuron sends in each machine step, all samples together, (steps, neurons).
    onto
        Populations that use this kind.
    accumulates, multiplies
        How many of each neuron's messages are added to a sum as they are (flags), and multiplied with the weight as
        another number that is not zero, (neurons,).  One graded spike may be both.
    """

    source: str
    kind: str
    sent: IntArray
    onto: tuple[str, ...]
    accumulates: IntArray
    multiplies: IntArray


def machine_steps(program: AnyProgram) -> int:
    """Steps from the first input to the last answer: those of the network, and one for each layer.

    Resetting the machine between two samples is not counted.
    """
    if isinstance(program, Program):
        return program.steps
    return program.clock.count + max(program.depth.values())


def messages(program: AnyProgram, run: AnyRun, x: FloatArray) -> Iterator[Messages]:
    """All that is sent, by source and kind.

    Parameters
    ----------
    program, run, x
        What ran, its run on an integer backend with every spike, and the inputs (samples, inputs), with a stepped clock
        (samples, 1 or time steps, inputs).

    Raises
    ------
    InputError
        If the run is of the other clock, or its spikes were not kept.
    """
    if isinstance(program, Program) and isinstance(run, Run) and run.machine is not None:
        return _trial(program, run, x)
    if isinstance(program, SteppedProgram) and isinstance(run, SteppedRun) and run.spikes:
        return _stepped(program, run, x)
    raise InputError(
        f"the run on {run.backend} has no spikes in machine steps: an integer backend that keeps them does"
    )


def _trial(program: Program, run: Run, x: FloatArray) -> Iterator[Messages]:
    """A spike is one graded message, its squared lateness another, and each neuron sends its phase in the flush."""
    step_in, late_in = engine.encode(program, x)
    for group, columns in program.columns.items():
        step = step_in[:, columns]
        neuron = np.broadcast_to(np.arange(step.shape[1]), step.shape)
        yield from _spikes(program, group, step.ravel(), neuron.ravel(), late_in[:, columns].ravel())
    for population in program.populations:
        found = run.step_spikes[population.name]
        yield from _spikes(program, population.name, found.step, found.neuron, found.lateness)
        every = np.full(population.size, len(x), np.int64)
        sent = np.zeros((program.steps, population.size), np.int64)
        sent[population.depth + program.grid.trial_steps] = every
        yield Messages(population.name, FLUSH, sent, _targets(program, population.name), 0 * every, every)


def _spikes(
    program: Program, source: str, step: NDArray[np.int32], neuron: NDArray[np.int32], late: NDArray[np.int32]
) -> Iterator[Messages]:
    """Messages of spikes, given as (spikes,), and of their squares where a target adds them up."""
    size, onto = program.sizes[source], _targets(program, source)
    sent = np.bincount((step.astype(np.int64) - 1) * size + neuron, minlength=program.steps * size)
    sent = sent.reshape(program.steps, size)
    fired, none = sent.sum(axis=0), np.zeros(size, np.int64)
    # Packed, flag and payload are one number; otherwise two sums, of flags and of payloads.
    bits = program.message_bits(source) if onto else None
    flags = none if bits else fired
    numbers = np.bincount(neuron[late != 0], minlength=size) if bits is None else fired
    yield Messages(source, SPIKE, sent, onto, flags, numbers)
    squared = tuple(name for name in onto if second_moment(program.population(name).ptc) is not None)
    if squared:
        square = late.astype(np.int64) ** 2 >> program.grid.lateness_bits
        yield Messages(source, SQUARE, sent, squared, none, np.bincount(neuron[square != 0], minlength=size))


def _stepped(program: SteppedProgram, run: SteppedRun, x: FloatArray) -> Iterator[Messages]:
    """Spikes 0 and 1, a population as many steps behind as its depth; values of an input group that are not zero."""
    steps, given = program.clock.count, stepped.encode(program, x)
    for group, columns in program.columns.items():
        values = given[:, :, columns]
        values = np.broadcast_to(values, (len(values), steps, values.shape[2]))
        binary = bool(np.abs(values).max() <= 1)
        yield _in_time(program, group, (values != 0).sum(axis=0), binary)
    for population in program.populations:
        if population.spiking:
            fired = run.spikes[population.name].sum(axis=0, dtype=np.int64)
            yield _in_time(program, population.name, fired, True)


def _in_time(program: SteppedProgram, source: str, sent: IntArray, binary: bool) -> Messages:
    """Messages of a source by machine step, from those by time step."""
    late = program.depth[source]
    every = np.zeros((machine_steps(program), sent.shape[1]), np.int64)
    every[late : late + len(sent)] = sent
    total, none = sent.sum(axis=0), np.zeros(sent.shape[1], np.int64)
    flags, numbers = (total, none) if binary else (none, total)
    return Messages(source, SPIKE, every, _targets(program, source), flags, numbers)


def _targets(program: AnyProgram, source: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(p.post for p in program.projections if p.pre == source))
