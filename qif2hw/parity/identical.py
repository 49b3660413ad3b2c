"""Whether two integer runs are the same, bit for bit; and if not, where they first differ."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qif2hw.errors import InputError
from qif2hw.ir.program import Program
from qif2hw.ir.spikes import Run, StepSpikes
from qif2hw.ir.stepped import SteppedRun
from qif2hw.ir.stepped_program import SteppedProgram
from qif2hw.parity.outcome import IDENTITY, Verdict


@dataclass(frozen=True)
class Difference:
    """The first place where two integer runs differ: of the shallowest population, the earliest step.

    Parameters
    ----------
    population, sample, neuron
        Where.
    step
        Machine step, or time step; -1 for what a neuron sent in the flush, or keeps for the host.
    what
        The difference in words, without the place.
    """

    population: str
    sample: int
    neuron: int
    step: int
    what: str

    def __str__(self) -> str:
        when = f", step {self.step}" if self.step >= 0 else ""
        return f"{self.population}[{self.neuron}], sample {self.sample}{when}: {self.what}"


def first_difference(program: Program, one: Run, other: Run) -> Difference | None:
    """Compare every spike (step and lateness) of every population, and the machine's output; None if all are equal.

    Parameters
    ----------
    program
        What both ran; it gives the order of the populations.
    one, other
        Runs on integer backends.

    Raises
    ------
    InputError
        If a run has no machine output or lacks the spikes of a population.
    """
    for run in (one, other):
        lacking = [p.name for p in program.populations if p.name not in run.step_spikes]
        if run.machine is None or lacking:
            what = f"step spikes of {', '.join(lacking)}" if lacking else "machine output"
            raise InputError(f"the run on {run.backend} has no {what}: it cannot be compared bit for bit")
    for population in program.populations:
        name = population.name
        where = _spike_difference(name, one.step_spikes[name], other.step_spikes[name], (one.backend, other.backend))
        if where is not None:
            return where
    return _output_difference(program, one, other)


def first_stepped_difference(
    program: SteppedProgram, one: SteppedRun, other: SteppedRun, first: int = 0
) -> Difference | None:
    """The same for networks with a stepped clock: every spike, and the results.

    Parameters
    ----------
    program
        What both ran; it gives the order of the populations.
    one, other
        Runs on integer backends, spikes kept.
    first
        Number of the first sample.
    """
    for population in program.populations:
        name = population.name
        if not population.spiking:
            continue
        odd = one.spikes[name] != other.spikes[name]
        if odd.any():
            step = int(np.flatnonzero(odd.any(axis=(0, 2)))[0])
            sample, neuron = (int(i) for i in np.argwhere(odd[:, step])[0])
            has = one.backend if one.spikes[name][sample, step, neuron] else other.backend
            return Difference(name, first + sample, neuron, step + 1, f"a spike on {has} only")
    if not np.array_equal(one.y, other.y):
        sample, column = (int(i) for i in np.argwhere(one.y != other.y)[0])
        got = f"result {one.y[sample, column]:g} on {one.backend}, {other.y[sample, column]:g} on {other.backend}"
        return Difference(program.outputs[0].population, first + sample, column, -1, got)
    return None


def identity_verdict(backend: str, other: str, what: str, difference: Difference | None) -> Verdict:
    """That one exact backend equals another in ``what``, or where it does not."""
    differs = float(difference is not None)
    return Verdict(
        backend, f"equal to {other}: {what}", differs, 0.0, IDENTITY, difference is None, str(difference or "")
    )


def _spike_difference(population: str, one: StepSpikes, other: StepSpikes, names: tuple[str, str]) -> Difference | None:
    if one == other:
        return None
    # One row per spike and run; a spike with the same row in both runs is no difference.
    rows = [np.stack([s.step, s.sample, s.neuron, s.lateness], axis=1).astype(np.int64) for s in (one, other)]
    unique, index, count = np.unique(np.concatenate(rows), axis=0, return_index=True, return_counts=True)
    odd = np.flatnonzero(count % 2)
    if not odd.size:
        return Difference(population, -1, -1, -1, f"{names[0]} and {names[1]} list the same spikes differently")
    step, sample, neuron, lateness = (int(v) for v in unique[odd[0]])
    late: list[int | None] = [_lateness(r, step, sample, neuron) for r in rows]
    if late[0] is not None and late[1] is not None:
        what = f"late by {late[0]} ticks on {names[0]}, by {late[1]} on {names[1]}"
    else:
        has = names[0] if index[odd[0]] < len(one) else names[1]
        what = f"a spike, late by {lateness} ticks, on {has} only"
    return Difference(population, sample, neuron, step, what)


def _lateness(rows: NDArray[np.int64], step: int, sample: int, neuron: int) -> int | None:
    here = (rows[:, :3] == (step, sample, neuron)).all(axis=1)
    return int(rows[here][0, 3]) if here.any() else None


def _output_difference(program: Program, one: Run, other: Run) -> Difference | None:
    if one.machine == other.machine or one.machine is None or other.machine is None:
        return None
    columns = [(name, i) for name in program.output_populations for i in range(program.population(name).size)]
    for field in ("step", "lateness", "flush"):
        a, b = getattr(one.machine, field), getattr(other.machine, field)
        if a.shape != b.shape or a.shape[1] != len(columns):
            what = f"{field} has shape {a.shape} on {one.backend}, {b.shape} on {other.backend}"
            return Difference(program.output_populations[0], -1, -1, -1, what)
        if (a != b).any():
            sample, column = (int(i) for i in np.argwhere(a != b)[0])
            name, neuron = columns[column]
            got = f"{field} {a[sample, column]} on {one.backend}, {b[sample, column]} on {other.backend}"
            return Difference(name, sample, neuron, -1, f"first spike's {got}")
    return Difference(columns[0][0], -1, -1, -1, "the machine outputs have different types")
