r"""Pass: round weights by what they do to the currents, layer by layer on the machine itself.

A neuron receives :math:`\sum_j w_j s_j` in a step, ``s`` being what its sources send.  Rounding changes that by
:math:`\Delta^T s`.  Its mean goes into the bias; what is left has the variance :math:`\Delta^T C \Delta`, with ``C``
the covariance of the sources on the calibration inputs.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qif2hw.compiler.state import Currents, Section, SteppedState
from qif2hw.compiler.stepped.arithmetic import arithmetic_of
from qif2hw.compiler.stepped.features import Features
from qif2hw.compiler.stepped.inputs import InputUnits
from qif2hw.compiler.stepped.lower import current_counts
from qif2hw.compiler.stepped.scales import Scales, labels, real_units, scale
from qif2hw.compiler.stepped.thresholds import height
from qif2hw.engine.stepped.fast import late
from qif2hw.engine.stepped.neurons import fire
from qif2hw.engine.stepped.sums import Sums, currents
from qif2hw.ir import ProgramProjection
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.stepped import SteppedPopulation
from qif2hw.ir.stepped_program import SteppedProgramPopulation
from qif2hw.ir.weight_grid import largest_weight, weight_step
from qif2hw.machinecode import compiled
from qif2hw.reference import stepped as reference

MOST_UPDATES = 20_000_000_000
"""Synapses, time steps and samples multiplied: what the pass may run."""
MOST_SAMPLES = 512
SHRINK = tuple(np.linspace(1.0, 0.5, 11))
"""Units that are tried, in parts of the one that puts the largest weight at the end of the grid."""
RIDGE = 0.01
"""Added to the variances, in parts of their mean: the covariance of few samples is no more than a guess."""
SWEEPS = 50


@dataclass(frozen=True)
class CurrentError:
    """Deviation of a projection's currents from the float network's, over the threshold: to the nearest, and adapted.

    Of accumulators it is in units of what they add up.
    """

    plain: float
    adapted: float


@dataclass(frozen=True)
class SteppedAdaptation:
    """What adapting the rounding does.

    Parameters
    ----------
    samples
        Calibration inputs used; 0 where all weights are integers already.
    projections
        By name; None for weights that were rounded to the nearest.
    """

    samples: int
    projections: dict[str, CurrentError | None]


@dataclass(frozen=True)
class AdaptSteppedRounding:
    """Choose units and roundings that keep the currents, and biases that keep their mean.

    Populations are treated in the order of their depth, each with the spikes that the machine sends it.  The unit of a
    channel is the one, among a few, whose rounding to the nearest costs least variance.  Then one weight after the
    other takes the neighbouring grid point if that lowers the variance, until none does.  Weights of zero stay zero,
    and weights that are on the grid already stay as they are.  Sparse and grouped synapses, and very many of one
    neuron, are rounded to the nearest.
    """

    name: ClassVar[str] = "adapt-rounding"
    reads: ClassVar[tuple[type, ...]] = (InputUnits, Scales, Currents)
    writes: ClassVar[tuple[type, ...]] = (Scales, Currents, SteppedAdaptation)

    def run(self, state: SteppedState) -> SteppedState:
        """Adapt all populations but those with integers of their own."""
        network = state.network
        if all(p.unit is not None for p in network.populations):
            return state.having(SteppedAdaptation(0, {}))
        x = state.calibration[: calibration_samples(state)]
        layers = _Layers(state, x)
        for population in network.order:
            layers.advance(population)
        scales = replace(state[Scales], units=layers.units, projections=tuple(layers.made))
        errors = dict(zip(labels(network), layers.errors, strict=True))
        return state.having(scales, Currents(layers.bias), SteppedAdaptation(len(x), errors))

    def report(self, state: SteppedState) -> Section:
        """Errors of the currents by projection."""
        found = state[SteppedAdaptation]
        errors = {name: None if error is None else asdict(error) for name, error in found.projections.items()}
        return {"samples": found.samples, "projections": errors}


def calibration_samples(state: SteppedState, most: int = MOST_UPDATES) -> int:
    """Number of calibration inputs that may be run."""
    updates = state.network.clock.count * max(1, state.network.synapse_count)
    return max(1, min(MOST_SAMPLES, len(state.calibration), most // updates))


class _Layers:
    """The machine as far as it is made, and what it sends on the calibration inputs."""

    def __init__(self, state: SteppedState, x: FloatArray) -> None:
        network, scales = state.network, state[Scales]
        self.network, self.scales, self.samples = network, scales, len(x)
        self.input_units = state[InputUnits].units
        self.largest = {f.name: f.largest for f in state[InputUnits].frames}
        self.shapes = {part.name: part.shape for part in network.parts}
        self.units, self.made = dict(scales.units), list(scales.projections)
        self.bias = dict(state[Currents].bias)
        self.errors: list[CurrentError | None] = [None] * len(self.made)
        self.sent: dict[str, NDArray[Any]] = {
            f.name: f.counts(x[:, :, network.columns[f.name]]) for f in state[InputUnits].frames
        }
        # Mean of what the float network's groups send in a step.
        exact = reference.run(network, x, keep="counts").counts
        self.mean = {e.name: x[:, :, network.columns[e.name]].mean(axis=(0, 1)) for e in network.encoders}
        self.mean |= {name: count / (len(x) * network.clock.count) for name, count in exact.items()}

    def advance(self, population: SteppedPopulation) -> None:
        """Round what reaches a population, and run it."""
        places = [k for k, p in enumerate(self.network.projections) if p.post == population.name]
        if population.unit is None:
            self._round(population, places)
        if not population.spiking:
            return
        unit = self.units[population.name]
        bias = current_counts(self.bias[population.name], unit)
        own = SteppedProgramPopulation(
            population.name, population.shape, arithmetic_of(population.neuron, unit), bias, unit
        )
        steps = self.network.clock.count
        parts = []
        for k in places:
            q = self.made[k]
            sums = Sums(q, self.shapes[q.pre], self.largest.get(q.pre, 1))
            parts.append((sums(late(self.sent[q.pre], q.delay, steps)), q.exponent))
        fired = np.empty((self.samples, steps, population.size), np.bool_)
        fire(own, currents(own.of_neurons(own.bias), parts), fired)
        self.sent[population.name] = fired

    def _round(self, population: SteppedPopulation, places: list[int]) -> None:
        known = []
        for k in places:
            p = self.network.projections[k]
            features = Features.of(p, self.shapes[p.pre])
            if features is not None:
                known.append((k, features, features.covariance(self.sent[p.pre], self.largest.get(p.pre, 1))))
        unit, made = self._scaled(population, places, self._shrink(population, places, known))
        self.units[population.name] = unit
        for k, q in zip(places, made, strict=True):
            self.made[k] = q
        for k, features, covariance in known:
            q, step = self.made[k], weight_step(self.scales.bits[k])
            size = real_units(population, q, unit) * step
            exact = features.rows(self._weight(k) / size)
            nearest = features.rows(q.weight // step).astype(np.float64)
            ridge = RIDGE * float(np.mean(np.diag(covariance))) * np.eye(len(covariance))
            adapted = nearest.copy()
            _descend(adapted, exact, covariance + ridge, largest_weight(self.scales.bits[k]) // step)
            self.made[k] = replace(q, weight=features.weights(adapted * step).astype(np.int16))
            each = features.rows(size) / height(population.neuron)
            self.errors[k] = CurrentError(
                *(float(np.sqrt(_variance((w - exact) * each, covariance).mean())) for w in (nearest, adapted))
            )
        self.bias[population.name] = self.bias[population.name] + self._lost(population, places)

    def _shrink(
        self, population: SteppedPopulation, places: list[int], known: list[tuple[int, Features, FloatArray]]
    ) -> FloatArray:
        """Parts of the first units, by channel, that cost least if weights are rounded to the nearest in them."""
        lowest, best = np.full(population.shape[0], np.inf), np.ones(population.shape[0])
        for part in SHRINK if known else ():
            unit, made = self._scaled(population, places, np.full(population.shape[0], part))
            cost = np.zeros(population.shape[0])
            for k, features, covariance in known:
                q = made[places.index(k)]
                change = features.rows(q.weight * real_units(population, q, unit) - self._weight(k))
                cost += change**2 @ np.diag(covariance)
            if len(np.unique(unit)) == 1:
                # One unit for all.
                cost[:] = cost.sum()
            better = cost < lowest * (1 - 1e-9)
            lowest, best = np.where(better, cost, lowest), np.where(better, part, best)
        return best

    def _scaled(
        self, population: SteppedPopulation, places: list[int], shrink: FloatArray
    ) -> tuple[FloatArray, list[ProgramProjection]]:
        incoming = [self.network.projections[k] for k in places]
        bits = [self.scales.bits[k] for k in places]
        return scale(population, incoming, bits, self.scales.thresholds == "channel", self.input_units, shrink)

    def _weight(self, k: int) -> FloatArray:
        """Real weights of a projection for each count of its source."""
        p = self.network.projections[k]
        return p.weight * self.input_units.get(p.pre, 1.0)

    def _lost(self, population: SteppedPopulation, places: list[int]) -> FloatArray:
        """What the mean current of each channel lacks, of the shape of a bias."""
        lost = np.zeros(population.size)
        for k in places:
            p, q = self.network.projections[k], self.made[k]
            arrives = late(self.sent[q.pre], q.delay, self.network.clock.count).mean(axis=(0, 1))
            wanted = self.mean[p.pre] if p.delay is None else arrives * self.input_units.get(p.pre, 1.0)
            units = real_units(population, q, self.units[population.name])
            lost += p.synapses.apply(p.weight, wanted[None])[0] - p.synapses.apply(q.weight * units, arrives[None])[0]
        channels = lost.reshape(population.shape[0], -1).mean(axis=1)
        return channels.reshape((-1,) + (1,) * (population.bias.ndim - 1))


def _variance(change: FloatArray, covariance: FloatArray) -> FloatArray:
    """``change^T C change`` of each row."""
    return np.asarray(np.einsum("ij,ij->i", change @ covariance, change))


@compiled
def _descend(whole: FloatArray, exact: FloatArray, covariance: FloatArray, most: int) -> None:
    """Coordinate descent on the variance of each row of ``whole - exact``; at most ``most`` in size, 0 stays 0."""
    for row in range(len(whole)):
        slope = covariance @ (whole[row] - exact[row])
        for _ in range(SWEEPS):
            moves = 0
            for j in range(len(covariance)):
                direction = -1.0 if slope[j] > 0 else 1.0
                own = covariance[j, j]
                gain = 2 * direction * slope[j] + own
                if exact[row, j] != 0 and abs(whole[row, j] + direction) <= most and gain < -1e-9 * own:
                    whole[row, j] += direction
                    slope += direction * covariance[j]
                    moves += 1
            if moves == 0:
                break
