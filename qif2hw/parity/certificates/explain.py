"""Why an output spike of a sample is off: the chain of spikes that carried the error, and each cause's share."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from qif2hw import neuron
from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.network import Network
from qif2hw.ir.program import Program
from qif2hw.ir.spikes import MachineOutput, Run, StepSpikes
from qif2hw.parity.certificates.certificate import Certificate, certify
from qif2hw.parity.certificates.spike_errors import CAUSES, PAYLOAD
from qif2hw.parity.identical import Difference, first_difference
from qif2hw.parity.outcome import plain
from qif2hw.reference.sensitivity import sensitivity

GROWN = 0.1
"""In steps: an error from here on is one that has grown."""


@dataclass(frozen=True)
class Link:
    """A spike on the way of an error; all errors in steps Delta, as the certificate estimates them.

    Parameters
    ----------
    population, neuron, step, time
        Which spike: ``step`` is its machine step, -1 for a pseudospike; ``time`` in units of time.
    error, remainder
        How late it is, and the bound on what this leaves out.
    own
        What arose in this neuron, by cause.
    arrived
        What its input spikes brought, together.
    passed
        What the next spike of the chain got from it; its own error for the last, the output.
    """

    population: str
    neuron: int
    step: int
    time: float
    error: float
    remainder: float
    own: dict[str, float]
    arrived: float
    passed: float


@dataclass(frozen=True)
class Explanation:
    """Where the error of an output's first spike comes from.

    Parameters
    ----------
    sample
        Which.
    chain
        From where most of the error arose to the output's spike.
    causes
        Error of the output's spike by cause, all neurons together, in steps.
    grown
        The earliest spike whose error reaches `GROWN` steps: population, neuron, step; None if there is none.
    rounding
        First-order change of each result by the rounding of ``weights`` and of ``initial phases``, in its unit; empty
        where the source network is not known or has another shape.
    """

    sample: int
    chain: tuple[Link, ...]
    causes: dict[str, float]
    grown: tuple[str, int, int] | None
    rounding: dict[str, list[float]]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        found: dict[str, Any] = plain({**vars(self), "chain": [vars(link) for link in self.chain]})
        return found


def explain(
    program: Program,
    x: ArrayLike,
    sample: int,
    *,
    output: int | None = None,
    source: Network | None = None,
) -> Explanation:
    """Follow the error of an output's first spike back to where it arose.

    At each spike the error is split, by exact sensitivities along the machine's run, into what arose in its neuron and
    what each input spike brought; the chain follows the largest share.

    Parameters
    ----------
    program
        What runs.
    x
        Inputs (samples, columns), as `check_inputs` of the program takes them.
    sample
        Which of them.
    output
        Column of the output neuron; by default the one that is furthest off.
    source
        The float network before rounding.

    Raises
    ------
    InputError
        If there is no such sample or output.
    """
    inputs = program.check_inputs(x)
    if not 0 <= sample < len(inputs):
        raise InputError(f"sample {sample} cannot be explained: there are {len(inputs)}")
    certificate = certify(program, inputs[sample : sample + 1])
    columns = [(name, i) for name in program.output_populations for i in range(program.population(name).size)]
    estimate = np.where(np.isfinite(certificate.first.estimate[0]), certificate.first.estimate[0], 0.0)
    column = int(np.abs(estimate).argmax()) if output is None else output
    if not 0 <= column < len(columns):
        raise InputError(f"output neuron {column} cannot be explained: there are {len(columns)}")
    spikes = _Spikes(program, program.network(), certificate, program.encoded(inputs[sample : sample + 1])[0])
    causes = certificate.first.error[0, column] / program.grid.delta
    return Explanation(
        sample,
        spikes.chain(*columns[column], column),
        dict(zip(CAUSES, causes.tolist(), strict=True)),
        spikes.grown(),
        {} if source is None else _rounding(program, source, inputs[sample : sample + 1]),
    )


class _Spikes:
    """Spikes of one sample, with their errors, and the shares that they have in each other's."""

    def __init__(self, program: Program, network: Network, certificate: Certificate, x: FloatArray) -> None:
        self.program, self.network, self.certificate = program, network, certificate
        self.inputs = {e.name: e.times(x[program.columns[e.name]]) for e in program.encoders}
        self.delta = program.grid.delta

    def arriving(self, name: str, i: int) -> list[tuple[float, float, FloatArray, str, int]]:
        """Input spikes of a neuron in time: time, shear, error by cause, source, and its index there."""
        found = []
        run, population = self.certificate.run, self.network.population(name)
        for p in self.network.incoming(name):
            # One row of the weights, whatever the synapses.
            row = p.synapses.apply(p.weight / population.neuron.r, np.eye(self.network.sizes[p.pre]))[:, i]
            if p.pre in self.inputs:
                grid, times = self.program.grid, self.inputs[p.pre]
                ticks = np.clip(np.rint(times / grid.tick), 1, np.floor(grid.trial / grid.tick)) * grid.tick
                for k, time in enumerate(ticks):
                    error = np.zeros(len(CAUSES))
                    error[PAYLOAD] = time - times[k]
                    found.append((float(time), float(row[k]), error, p.pre, k))
            else:
                spikes, errors = run.spikes[p.pre], self.certificate.spikes[p.pre]
                for k in range(len(spikes)):
                    found.append((float(spikes.time[k]), float(row[spikes.neuron[k]]), errors.error[k], p.pre, k))
        return sorted((one for one in found if one[1] != 0.0), key=lambda one: one[0])

    def chain(self, name: str, i: int, column: int) -> tuple[Link, ...]:
        """Links back from an output neuron's first spike."""
        run = self.certificate.run
        errors = self.certificate.first
        own = np.flatnonzero(run.spikes[name].neuron == i)
        pseudo = not bool(run.ordinary[0, column])
        time, error = float(run.spike_time[0, column]), errors.error[0, column]
        remainder = float(errors.radius[0, column])
        index = -1 if pseudo else int(own[0])
        passed, links = float(error.sum()), []
        while True:
            # The flush is not followed: a pseudospike's error counts as its own, but for the spikes before the end.
            shares = self.shares(name, i, min(time, self.network.trial))
            brought = [(share * one[2], one) for share, one in shares]
            arrived = np.sum([b for b, _ in brought], axis=0) if brought else np.zeros(len(CAUSES))
            local = error - arrived
            step = -1 if index < 0 else int(run.step_spikes[name].step[index])
            links.append(
                Link(
                    name, i, step, time, float(error.sum()) / self.delta, remainder / self.delta,
                    dict(zip(CAUSES, (local / self.delta).tolist(), strict=True)),
                    float(arrived.sum()) / self.delta, passed / self.delta,
                )
            )  # fmt: skip
            if not brought:
                break
            most, (time_, _, error_, source, k) = max(brought, key=lambda one: abs(float(one[0].sum())))
            if source in self.inputs or abs(float(most.sum())) < np.abs(local).max():
                break
            name, i, time, error, index = source, int(run.spikes[source].neuron[k]), time_, error_, k
            passed, remainder = float(most.sum()), float(self.certificate.spikes[source].radius[k])
        return tuple(reversed(links))

    def shares(self, name: str, i: int, until: float) -> list[tuple[float, tuple[float, float, FloatArray, str, int]]]:
        """Derivative of a neuron's next spike after ``until`` by the time of each input spike before it."""
        population = self.network.population(name)
        omega = population.neuron.omega
        offset, before = omega * float(population.phi0[i]), []
        for one in self.arriving(name, i):
            if one[0] >= until:
                break
            theta = offset + omega * one[0]
            slope = float(neuron.slope(theta, one[1]))
            offset += float(neuron.kick_change(theta, one[1]))
            before.append((slope, one))
        found, later = [], 1.0
        for slope, one in reversed(before):
            found.append(((1.0 - slope) * later, one))
            later *= slope
        return found

    def grown(self) -> tuple[str, int, int] | None:
        """The earliest spike with an error of `GROWN` steps."""
        first: tuple[int, str, int] | None = None
        for population in self.program.populations:
            steps = self.certificate.run.step_spikes[population.name]
            large = np.abs(self.certificate.spikes[population.name].estimate) >= GROWN * self.delta
            for k in np.flatnonzero(large):
                if first is None or int(steps.step[k]) < first[0]:
                    first = int(steps.step[k]), population.name, int(steps.neuron[k])
        return None if first is None else (first[1], first[2], first[0])


def _rounding(program: Program, source: Network, x: FloatArray) -> dict[str, list[float]]:
    """What rounding weights and initial phases does to each result, to first order."""
    rounded = program.network()
    names = [p.name for p in source.populations]
    pairs = {(p.pre, p.post): p for p in source.projections}
    if {p.name for p in rounded.populations} != set(names) or len(pairs) != len(rounded.projections):
        return {}
    found = sensitivity(rounded, x)
    weights, phases = np.zeros(len(found.value[0])), np.zeros(len(found.value[0]))
    for p, slope in zip(rounded.projections, found.weight, strict=True):
        other = pairs.get((p.pre, p.post))
        if other is None or other.weight.shape != p.weight.shape or other.synapses != p.synapses:
            return {}
        weights += (slope * (p.weight - other.weight)).reshape(len(weights), -1).sum(axis=1)
    for population, slope in zip(rounded.populations, found.phi0, strict=True):
        phases += slope @ (population.phi0 - source.population(population.name).phi0)
    return {"weights": weights.tolist(), "initial phases": phases.tolist()}


def difference_of_sample(program: Program, one: Run, other: Run, sample: int) -> Difference | None:
    """The first spike of one sample in which two integer runs differ."""
    return first_difference(program, _of_sample(one, sample), _of_sample(other, sample))


def _of_sample(run: Run, sample: int) -> Run:
    """A run's spikes of one sample, whose number stays."""
    machine = run.machine
    assert machine is not None
    here = np.zeros(len(machine.step), bool)
    here[sample] = True
    kept = {
        name: StepSpikes(*(getattr(s, f)[s.sample == sample] for f in ("sample", "neuron", "step", "lateness")))
        for name, s in run.step_spikes.items()
    }
    only = MachineOutput(*(np.where(here[:, None], a, 0) for a in (machine.step, machine.lateness, machine.flush)))
    return replace(run, step_spikes=kept, machine=only)
