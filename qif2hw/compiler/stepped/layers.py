"""A stepped network that is rounded layer by layer, each with what the layers before it send on the machine."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qif2hw.compiler.state import Currents
from qif2hw.compiler.stepped.arithmetic import arithmetic_of
from qif2hw.compiler.stepped.features import Features
from qif2hw.compiler.stepped.inputs import InputUnits
from qif2hw.compiler.stepped.lower import current_counts
from qif2hw.compiler.stepped.scales import Scales, channels_of, real_units, scale
from qif2hw.engine.stepped.fast import late
from qif2hw.engine.stepped.neurons import fire
from qif2hw.engine.stepped.sums import Sums, currents
from qif2hw.ir import ProgramProjection
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.stepped import Accumulator, SteppedNetwork, SteppedPopulation
from qif2hw.ir.stepped_program import SteppedProgramPopulation
from qif2hw.ir.weight_grid import largest_weight, weight_step
from qif2hw.machinecode import compiled
from qif2hw.reference import stepped as reference

SHRINK = tuple(np.linspace(1.0, 0.5, 11))
"""Units that are tried, in parts of the one that puts the largest weight at the end of the grid."""
RIDGE = 0.01
"""Added to the variances, in parts of their mean: the covariance of few samples is no more than a guess."""
SWEEPS = 50
BLOCK = 1 << 24
"""Neurons and steps of a population that are worked on at a time."""


@dataclass(frozen=True)
class Deviation:
    """How far the machine is from the float network: with weights rounded to the nearest, and adapted."""

    plain: float
    adapted: float

    @property
    def gains(self) -> bool:
        """Whether adapting brings it nearer."""
        return self.adapted < self.plain


@dataclass(frozen=True)
class Layer:
    """What reaches a population: unit and bias of its channels, and integer weights by projection.

    ``shrink`` are the units in parts of those that put the largest weight of a channel at the end of the grid.
    """

    shrink: FloatArray
    unit: FloatArray
    bias: FloatArray
    incoming: tuple[ProgramProjection, ...]


class Layers:
    """The machine as far as it is made, and what it sends on the calibration inputs.

    Parameters
    ----------
    network, inputs, scales, currents
        What is rounded, its integer inputs, and weights and biases rounded to the nearest.
    x
        Calibration inputs, (samples, 1 or time steps, inputs).
    held
        Those on which roundings are judged, (samples,); the others choose them.
    """

    def __init__(
        self,
        network: SteppedNetwork,
        inputs: InputUnits,
        scales: Scales,
        currents: Currents,
        x: FloatArray,
        held: NDArray[np.bool_],
    ) -> None:
        self.network, self.scales, self.held = network, scales, held
        self.inputs, self.input_units = inputs, inputs.units
        self.largest = {f.name: f.largest for f in inputs.frames}
        self.shapes = {part.name: part.shape for part in network.parts}
        self.units, self.made, self.bias = dict(scales.units), list(scales.projections), dict(currents.bias)
        self.deviations: dict[str, Deviation] = {}
        self.adapted: list[str] = []
        self.sent: dict[str, NDArray[Any]] = {f.name: f.counts(x[:, :, network.columns[f.name]]) for f in inputs.frames}
        # What the float network's groups send in a step, and what its populations do on inputs that are held out.
        known = x[~held]
        counts = reference.run(network, known, keep="counts").counts
        self.mean = {e.name: known[:, :, network.columns[e.name]].mean(axis=(0, 1)) for e in network.encoders}
        self.mean |= {name: count / (len(known) * network.clock.count) for name, count in counts.items()}
        exact = reference.run(network, x[held])
        self.results, self.exact, at = exact.y, dict[str, NDArray[Any]](exact.spikes), 0
        for output in network.outputs:
            size = network.population(output.population).size
            self.exact[output.population] = exact.y[:, at : at + size] / output.scale
            at += size

    def advance(self, population: SteppedPopulation) -> None:
        """Round what reaches a population, and run it."""
        name = population.name
        places = [k for k, p in enumerate(self.network.projections) if p.post == name]
        layer = Layer(
            np.ones(population.shape[0]), self.units[name], self.bias[name], tuple(self.made[k] for k in places)
        )
        if population.unit is None and name in self.exact:
            layer = self._better(population, places, layer)
        self.units[name], self.bias[name] = layer.unit, layer.bias
        for k, q in zip(places, layer.incoming, strict=True):
            self.made[k] = q
        if population.spiking:
            self.sent[name] = self._run(population, layer, np.ones(len(self.held), np.bool_))

    def _better(self, population: SteppedPopulation, places: list[int], plain: Layer) -> Layer:
        """The layer whose neurons do most like the float network's on inputs held out."""
        layers = [plain, *self._adapted(population, places, plain.bias)]
        off = [self._off(population, layer) for layer in layers]
        if len(np.unique(plain.unit)) > 1:
            layers.append(self._joined(population, places, layers, np.argmin(off, axis=0)))
            off.append(self._off(population, layers[-1]))
        total = [float(np.mean(one) if population.spiking else np.sqrt(np.mean(one))) for one in off]
        deviation = self.deviations[population.name] = Deviation(total[0], min(total[1:]))
        if deviation.gains:
            self.adapted.append(population.name)
        return layers[int(np.argmin(total))]

    def _off(self, population: SteppedPopulation, layer: Layer) -> FloatArray:
        """Share of the places of spikes that differ, or mean square of what accumulators are off, by channel."""
        found, exact = self._run(population, layer, self.held), self.exact[population.name]
        square = (found != exact) if population.spiking else (found - exact) ** 2
        by_neuron = square.mean(axis=tuple(range(square.ndim - 1)), dtype=np.float64)
        return np.asarray(by_neuron.reshape(population.shape[0], -1).mean(axis=1))

    def _joined(
        self, population: SteppedPopulation, places: list[int], layers: list[Layer], choice: NDArray[np.int64]
    ) -> Layer:
        """A layer that has each channel from one of several."""
        shrink, bias = (
            np.array([getattr(layers[which], name)[c] for c, which in enumerate(choice)]) for name in ("shrink", "bias")
        )
        unit, made = self._scaled(population, places, shrink)
        for k, q in enumerate(made):
            which = choice[channels_of(population, q)]
            made[k] = replace(q, weight=np.choose(which, [layer.incoming[k].weight for layer in layers]))
        return Layer(shrink, unit, bias, tuple(made))

    def _run(self, population: SteppedPopulation, layer: Layer, chosen: NDArray[np.bool_]) -> NDArray[Any]:
        """Spikes on the chosen inputs, (samples, steps, neurons); or what accumulators hold, (samples, neurons)."""
        own = SteppedProgramPopulation(
            population.name, population.shape, arithmetic_of(population.neuron, layer.unit),
            current_counts(layer.bias, layer.unit), layer.unit,
        )  # fmt: skip
        steps, bias = self.network.clock.count, own.of_neurons(own.bias)
        sums = [Sums(q, self.shapes[q.pre], self.largest.get(q.pre, 1)) for q in layer.incoming]
        rows = np.flatnonzero(chosen)
        block = max(1, BLOCK // (population.size * steps))
        found = []
        for low in range(0, len(rows), block):
            some = rows[low : low + block]
            parts = [
                (one(late(self.sent[q.pre][some], q.delay, steps)), q.exponent)
                for one, q in zip(sums, layer.incoming, strict=True)
            ]
            current = currents(bias, parts)
            if isinstance(population.neuron, Accumulator):
                total = current.sum(axis=1, dtype=np.int64) * (steps // current.shape[1])
                found.append(total * np.repeat(layer.unit, population.size // population.shape[0]))
                continue
            fired = np.empty((len(some), steps, population.size), np.bool_)
            fire(own, current, fired)
            found.append(fired)
        return np.concatenate(found)

    def _adapted(self, population: SteppedPopulation, places: list[int], bias: FloatArray) -> list[Layer]:
        """Roundings that keep the currents with the bias as it is, and with one that keeps their mean."""
        known = []
        for k in places:
            p = self.network.projections[k]
            features = Features.of(p, self.shapes[p.pre])
            if features is not None:
                known.append((k, features, *features.moments(self._seen(p.pre), self.largest.get(p.pre, 1))))
        zero = self._rounded(population, places, [(k, f, square) for k, f, _, square in known])
        mean = self._rounded(population, places, [(k, f, square - np.outer(m, m)) for k, f, m, square in known])
        lost = self._lost(population, places, *mean[1:])
        return [Layer(*zero[:2], bias, tuple(zero[2])), Layer(*mean[:2], bias + lost, tuple(mean[2]))]

    def _rounded(
        self, population: SteppedPopulation, places: list[int], known: list[tuple[int, Features, FloatArray]]
    ) -> tuple[FloatArray, FloatArray, list[ProgramProjection]]:
        """Units, in parts and in full, and weights that make the mean square of what features carry small."""
        shrink = self._shrink(population, places, known)
        unit, made = self._scaled(population, places, shrink)
        for k, features, square in known:
            q, step = made[places.index(k)], weight_step(self.scales.bits[k])
            size = real_units(population, q, unit) * step
            exact = features.rows(self._weight(k) / size)
            nearest = features.rows(q.weight // step).astype(np.float64)
            guess = square + RIDGE * float(np.mean(np.diag(square))) * np.eye(len(square))
            adapted = nearest.copy()
            slopes = (nearest - exact) @ guess
            _descend(adapted, exact, slopes, guess, largest_weight(self.scales.bits[k]) // step)
            made[places.index(k)] = replace(q, weight=features.weights(adapted * step).astype(np.int16))
        return shrink, unit, made

    def _shrink(
        self, population: SteppedPopulation, places: list[int], known: list[tuple[int, Features, FloatArray]]
    ) -> FloatArray:
        """Parts of the first units, by channel, that cost least if weights are rounded to the nearest in them."""
        lowest, best = np.full(population.shape[0], np.inf), np.ones(population.shape[0])
        for part in SHRINK if known else ():
            unit, made = self._scaled(population, places, np.full(population.shape[0], part))
            cost = np.zeros(population.shape[0])
            for k, features, square in known:
                q = made[places.index(k)]
                change = features.rows(q.weight * real_units(population, q, unit) - self._weight(k))
                cost += (change**2 @ np.diag(square)).reshape(len(cost), -1).sum(axis=1)
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
        per_channel, steps = self.scales.thresholds == "channel", self.network.clock.count
        return scale(population, incoming, bits, per_channel, self.inputs, steps, shrink)

    def _weight(self, k: int) -> FloatArray:
        """Real weights of a projection for each count of its source."""
        p = self.network.projections[k]
        return p.weight * self.input_units.get(p.pre, 1.0)

    def _seen(self, name: str) -> NDArray[Any]:
        """What a group sends on the inputs that choose roundings."""
        return self.sent[name][~self.held]

    def _lost(
        self, population: SteppedPopulation, places: list[int], unit: FloatArray, made: list[ProgramProjection]
    ) -> FloatArray:
        """What the mean current of each channel lacks, of the shape of a bias."""
        lost = np.zeros(population.size)
        for k, q in zip(places, made, strict=True):
            p = self.network.projections[k]
            arrives = late(self._seen(q.pre), q.delay, self.network.clock.count).mean(axis=(0, 1))
            wanted = self.mean[p.pre] if p.delay is None else arrives * self.input_units.get(p.pre, 1.0)
            units = real_units(population, q, unit)
            lost += p.synapses.apply(p.weight, wanted[None])[0] - p.synapses.apply(q.weight * units, arrives[None])[0]
        channels = lost.reshape(population.shape[0], -1).mean(axis=1)
        return channels.reshape((-1,) + (1,) * (population.bias.ndim - 1))


@compiled
def _descend(whole: FloatArray, exact: FloatArray, slopes: FloatArray, square: FloatArray, most: int) -> None:
    """Coordinate descent on ``d^T C d`` of each row ``d`` of ``whole - exact``, with ``C`` the array ``square``.

    Whole numbers are at most ``most`` in size, and 0 stays 0; ``slopes`` are the products of these rows and ``C``.
    """
    for row in range(len(whole)):
        slope = slopes[row]
        for _ in range(SWEEPS):
            moves = 0
            for j in range(len(square)):
                direction = -1.0 if slope[j] > 0 else 1.0
                own = square[j, j]
                gain = 2 * direction * slope[j] + own
                if exact[row, j] != 0 and abs(whole[row, j] + direction) <= most and gain < -1e-9 * own:
                    whole[row, j] += direction
                    slope += direction * square[j]
                    moves += 1
            if moves == 0:
                break
