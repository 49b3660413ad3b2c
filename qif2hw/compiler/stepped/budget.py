"""Pass: where the error of a network with a stepped clock comes from."""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from qif2hw.compiler.error_measures import by_size, size
from qif2hw.compiler.state import Currents, Section, SteppedState, plain
from qif2hw.compiler.stepped.scales import Scales, as_network
from qif2hw.engine import stepped as engine
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.changes import spike_changes, together
from qif2hw.ir.stepped import SteppedNetwork, SteppedRun
from qif2hw.ir.stepped_program import SteppedProgram
from qif2hw.reference import stepped as reference

MOST_UPDATES = 4_000_000_000
"""Synapses, time steps and samples multiplied: what is run in float64, three times."""
MOST_SPIKES = 1 << 27
"""Neurons, time steps and samples multiplied: what is held, four times."""
MOST_SAMPLES = 256
CAUSES = ("weights", "inputs", "arithmetic")


@dataclass(frozen=True)
class Change:
    """What one machine does that another does not.

    Parameters
    ----------
    classes
        Share of the samples that fall into another class.
    spikes
        Missing and extra spikes over those of the other machine: by population; None where that has none.
    all_spikes
        The same for all populations together.
    results
        Root mean square of the differences of the results, relative to the float network's results; None where these
        are zero.
    """

    classes: float
    spikes: dict[str, float | None]
    all_spikes: float | None
    results: float | None


@dataclass(frozen=True)
class SteppedBudget:
    """How the machine comes to differ from the float network, cause by cause.

    Parameters
    ----------
    samples
        Inputs that were run.
    causes
        What changes when weights and biases are rounded (``weights``), inputs become integers as well (``inputs``), and
        the rest does (``arithmetic``: thresholds, resets, the numbers of the step, and registers).
    total
        Machine against float network.
    accuracy
        Share of the samples in their true class: of the float network (``float``), and after each cause; empty if the
        classes are not known.
    """

    samples: int
    causes: dict[str, Change]
    total: Change
    accuracy: dict[str, float]


@dataclass(frozen=True)
class MeasureSteppedBudget:
    """Run four machines on the calibration inputs, each with one cause of errors more, and compare neighbours.

    The float network; the same with the machine's weights and biases; with its inputs too; and the machine.  Results
    change by the sum of the differences; of spikes and classes the shares of the causes may be more together than the
    total, since what one cause changes another may change back.
    """

    name: ClassVar[str] = "budget"
    reads: ClassVar[tuple[type, ...]] = (SteppedProgram,)
    writes: ClassVar[tuple[type, ...]] = (SteppedBudget,)

    def run(self, state: SteppedState) -> SteppedState:
        """See `measure`."""
        return state.having(measure(state.network, state[SteppedProgram], state.calibration))

    def report(self, state: SteppedState) -> Section:
        """The changes by cause."""
        return plain(state[SteppedBudget])


def measure(
    network: SteppedNetwork, program: SteppedProgram, x: FloatArray, labels: IntArray | None = None
) -> SteppedBudget:
    """Split what a program changes by cause, on as many samples as may be run.

    Parameters
    ----------
    network, program
        What was compiled, and what became of it.
    x
        Inputs (samples, 1 or time steps, inputs).
    labels
        True classes (samples,), if they are known.
    """
    x = x[: measured_samples(network)]
    rounded = with_weights_of(network, program)
    runs = [
        reference.run(network, x),
        reference.run(rounded, x),
        reference.run(rounded, whole(program, x)),
        engine.run(program, x),
    ]
    unit = by_size(runs[0].y).unit

    def change(before: SteppedRun, after: SteppedRun) -> Change:
        found = spike_changes(before, after)
        shares = {name: one.share if np.isfinite(one.share) else None for name, one in found.items()}
        every = together(found).share if found else 0.0
        return Change(
            float(np.mean(before.label != after.label)),
            shares,
            every if np.isfinite(every) else None,
            None if unit is None else size(after.y - before.y) / unit,
        )

    causes = {name: change(*pair) for name, pair in zip(CAUSES, pairwise(runs), strict=True)}
    accuracy = {}
    if labels is not None:
        for name, run in zip(("float", *CAUSES), runs, strict=True):
            accuracy[name] = float(np.mean(run.label == labels[: len(x)]))
    return SteppedBudget(len(x), causes, change(runs[0], runs[-1]), accuracy)


def measured_samples(network: SteppedNetwork) -> int:
    """Number of inputs that may be run, at least one."""
    steps = network.clock.count
    updates, spikes = steps * max(1, network.synapse_count), steps * sum(p.size for p in network.populations)
    return max(1, min(MOST_SAMPLES, MOST_UPDATES // updates, MOST_SPIKES // spikes))


def with_weights_of(network: SteppedNetwork, program: SteppedProgram) -> SteppedNetwork:
    """The float network with weights and biases of a program."""
    units = {p.name: p.unit for p in program.populations}
    bias = {p.name: p.bias * p.unit.reshape((-1,) + (1,) * (p.bias.ndim - 1)) for p in program.populations}
    scales = Scales((), units, program.projections)
    return as_network(network, scales, {e.name: e.unit for e in program.encoders}, Currents(bias))


def whole(program: SteppedProgram, x: FloatArray) -> FloatArray:
    """Inputs (samples, 1 or time steps, inputs) as the machine takes them, in real values."""
    parts = [e.counts(x[:, :, program.columns[e.name]]) * e.unit for e in program.encoders]
    return np.concatenate(parts, axis=2)
