r"""Pass: round weights by what they do to the currents, layer by layer on the machine itself.

A neuron receives :math:`\sum_j w_j s_j` in a step, ``s`` being what its sources send.  Rounding changes that by
:math:`\Delta^T s`, whose mean square on the calibration inputs is :math:`\Delta^T C \Delta` with
:math:`C = \langle s s^T \rangle`; or, where its mean goes into the bias, with the covariance of the sources.
"""

from dataclasses import asdict, dataclass, replace
from typing import ClassVar

import numpy as np

from qif2hw.compiler.state import Currents, Section, SteppedState
from qif2hw.compiler.stepped.arithmetic import Arithmetics, arithmetic_of
from qif2hw.compiler.stepped.inputs import InputUnits
from qif2hw.compiler.stepped.layers import Deviation, Layers
from qif2hw.compiler.stepped.lower import lower
from qif2hw.compiler.stepped.ranges import ranges_of
from qif2hw.compiler.stepped.scales import Scales
from qif2hw.engine import stepped as engine
from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.stepped_program import SteppedProgram

MOST_UPDATES = 20_000_000_000
"""Synapses, time steps and samples multiplied: what the pass may run."""
MOST_SPIKES = 1 << 28
"""Neurons, time steps and samples multiplied: what it may hold."""
MOST_SAMPLES = 512
FEWEST_SAMPLES = 16
HELD_EVERY = 4
"""One sample in so many is held out: on these the adapted rounding is compared with the one to the nearest."""


@dataclass(frozen=True)
class SteppedAdaptation:
    """What adapting the rounding does.

    Parameters
    ----------
    samples, held
        Calibration inputs used to choose roundings, and others on which they are judged.
    populations
        Deviation of each population on the inputs held out: share of its spikes' places that differ, or root mean
        square of what accumulators hold.
    results
        Root mean square deviation of the network's results on the inputs held out.
    adapted
        Populations whose roundings were adapted: those whose deviation is lower then; none if that of the results
        is not.
    skipped
        Why the rounding was left as it was; empty if it was not.
    """

    samples: int = 0
    held: int = 0
    populations: dict[str, Deviation] | None = None
    results: Deviation | None = None
    adapted: tuple[str, ...] = ()
    skipped: str = ""


@dataclass(frozen=True)
class AdaptSteppedRounding:
    """Choose units and roundings that keep the currents.

    Populations are treated in the order of their depth, each with the spikes that the machine sends it.  The unit of a
    channel is the one, among a few, whose rounding to the nearest costs least.  Then one weight after the other takes
    the neighbouring grid point if that lowers the cost, until none does.  Weights of zero stay zero, and weights that
    are on the grid already stay as they are.  Sparse and grouped synapses, and very many of one neuron, are rounded to
    the nearest.

    Every fourth calibration input is held out.  On these each channel chooses what keeps most of its spikes: this
    rounding, the same with a bias that keeps the mean current, or rounding to the nearest.  All are rounded to the
    nearest if the results do not gain.
    """

    name: ClassVar[str] = "adapt-rounding"
    reads: ClassVar[tuple[type, ...]] = (InputUnits, Scales, Currents)
    writes: ClassVar[tuple[type, ...]] = (Scales, Currents, SteppedAdaptation)

    def run(self, state: SteppedState) -> SteppedState:
        """Adapt all populations but those with integers of their own."""
        network = state.network
        if all(p.unit is not None for p in network.populations):
            return state.having(SteppedAdaptation(skipped="all weights are integers already"))
        samples = calibration_samples(state)
        if samples < FEWEST_SAMPLES:
            return state.having(SteppedAdaptation(skipped=f"fewer than {FEWEST_SAMPLES} calibration inputs can be run"))
        x = state.calibration[:samples]
        held = np.arange(samples) % HELD_EVERY == HELD_EVERY - 1
        layers = Layers(network, state[InputUnits], state[Scales], state[Currents], x, held)
        for population in network.order:
            layers.advance(population)
        scales = replace(state[Scales], units=layers.units, projections=tuple(layers.made))
        made = state.having(scales, Currents(layers.bias))
        programs = [_program(one) for one in (state, made)]
        try:
            ranges_of(programs[1])
        except InputError as error:
            return state.having(SteppedAdaptation(skipped=str(error)))
        # What is best layer by layer need not be so in the end.
        results = Deviation(*(_off(program, x[held], layers.results) for program in programs))
        found = SteppedAdaptation(
            samples - int(held.sum()),
            int(held.sum()),
            layers.deviations,
            results,
            tuple(layers.adapted) if results.gains else (),
        )
        return (made if results.gains else state).having(found)

    def report(self, state: SteppedState) -> Section:
        """Deviations before and after."""
        found = asdict(state[SteppedAdaptation])
        skipped = found.pop("skipped")
        return {"skipped": skipped} if skipped else found | {"adapted": list(found["adapted"])}


def calibration_samples(state: SteppedState) -> int:
    """Number of calibration inputs that may be run."""
    network = state.network
    updates = network.clock.count * max(1, network.synapse_count)
    spikes = network.clock.count * sum(part.size for part in network.parts)
    return min(MOST_SAMPLES, len(state.calibration), MOST_UPDATES // updates, MOST_SPIKES // spikes)


def _program(state: SteppedState) -> SteppedProgram:
    scales = state[Scales]
    made = {p.name: arithmetic_of(p.neuron, scales.units[p.name]) for p in state.network.populations}
    return lower(state.having(Arithmetics(made)))


def _off(program: SteppedProgram, x: FloatArray, exact: FloatArray) -> float:
    """Deviation of the machine's results."""
    return float(np.sqrt(np.mean((engine.run(program, x, keep="counts").y - exact) ** 2)))
