"""Exact derivatives of every result with respect to every weight and initial phase, sample by sample.

The compiler uses them to see what rounding a weight does to the result.  They are the closed forms of `qif2hw.neuron`
(`spike_weight_slope`, `spike_input_slope`, `spike_phase_slope`), accumulated from the results back to the inputs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qif2hw import neuron
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.network import Network, Population
from qif2hw.ir.readout import FirstSpike, Readout
from qif2hw.ir.spikes import Spikes
from qif2hw.reference.execute import Trace, trace
from qif2hw.reference.pull_back import pull_back

BLOCK = 64
"""Neurons of a population that are worked on at a time: what is held of them for a sample fits a second cache."""
_EXPONENT_ROOM = 450
"""Powers of two by which a length may change before it is scaled back: its square has twice as many."""


@dataclass(frozen=True)
class Sensitivity:
    """Results and their derivatives; rows are (sample, output).

    Parameters
    ----------
    value
        Results as `qif2hw.ir.Network.decode` gives them, (samples, outputs).
    weight
        By projection, in the network's order: (rows, ...) and the shape of its weights.
    phi0
        By population, in the network's order: (rows, neurons).
    """

    value: FloatArray
    weight: tuple[FloatArray, ...]
    phi0: tuple[FloatArray, ...]


@dataclass(frozen=True)
class Derivatives:
    """Results and their derivatives, those by the weights on request; rows are (sample, output).

    Parameters
    ----------
    value, phi0
        As of `Sensitivity`.
    """

    network: Network
    value: FloatArray
    phi0: tuple[FloatArray, ...]
    _populations: "Mapping[str, _Population]"

    def by_weights(self, population: str, low: int, high: int) -> "Iterator[WeightDerivatives]":
        """Derivatives by the weights of the neurons from ``low`` to ``high`` (exclusive), by projection onto them."""
        one = self._populations[population]
        for first in range(low, high, BLOCK):
            last = min(high, first + BLOCK)
            found = one.pull(first, last, weights=True)
            begin = 0
            for k in one.incoming:
                synapses = self.network.projections[k].synapses
                pre = synapses.shape[1]
                post, source, place = synapses.edges_of(first, last)
                part = found[:, :, begin : begin + pre].reshape(self.value.size, pre, last - first)
                begin += pre
                # Source by source, as they lie there: where all are wanted nothing is copied.
                if place.size == pre * (last - first):
                    yield WeightDerivatives(k, place.reshape(-1, pre).T.ravel(), part.reshape(self.value.size, -1))
                else:
                    order = np.lexsort((post, source))
                    yield WeightDerivatives(k, place[order], part[:, source[order], post[order] - first])


@dataclass(frozen=True)
class WeightDerivatives:
    """Derivatives by some weights of a projection.

    Parameters
    ----------
    projection
        Its number in the network's order.
    place
        Which of its weights, as numbers into the flattened array: (weights,).
    slope
        (rows, weights).
    """

    projection: int
    place: IntArray
    slope: FloatArray


def sensitivity(network: Network, x: ArrayLike) -> Sensitivity:
    """Derivatives of the results at the inputs ``x`` (samples, columns), all of them.

    Raises
    ------
    InputError
        On inputs of a wrong width or out of range.
    """
    found = derivatives(network, x)
    weight = [np.zeros((found.value.size, p.weight.size)) for p in network.projections]
    for population in network.populations:
        for part in found.by_weights(population.name, 0, population.size):
            weight[part.projection][:, part.place] = part.slope
    shapes = (p.weight.shape for p in network.projections)
    return Sensitivity(
        found.value, tuple(w.reshape(-1, *shape) for w, shape in zip(weight, shapes, strict=True)), found.phi0
    )


def derivatives(network: Network, x: ArrayLike) -> Derivatives:
    """Results and derivatives by the phases at the inputs ``x`` (samples, columns); those by weights can be asked for.

    What they need is held: numbers for every spike and result, not for every weight.

    Raises
    ------
    InputError
        On inputs of a wrong width or out of range.
    """
    inputs = network.encoded(x)
    samples, rows = len(inputs), sum(output.size for output in network.outputs)
    result = trace(network, x)
    pull_time = {p.name: np.zeros((len(result.spikes[p.name]), rows)) for p in network.populations}
    pull_end = {p.name: np.zeros((samples, p.size, rows)) for p in network.populations}
    value = _pull_outputs(network, result.spikes, result.theta, pull_time, pull_end)
    made = {
        p.name: _population(network, p, inputs, result, pull_time[p.name], pull_end[p.name])
        for p in network.populations
    }
    for population in reversed(network.order):
        made[population.name].pull_down(pull_time, pull_end)
    phi0 = tuple(made[p.name].phi0.reshape(samples * rows, p.size) for p in network.populations)
    return Derivatives(network, value, phi0, made)


@dataclass(frozen=True)
class _Source:
    """What one projection brings: the pre, and its spikes before they are merged, ``first`` to ``last``."""

    pre: str
    first: int
    last: int
    channel: int
    channels: int


@dataclass(frozen=True)
class _Population:
    """A population with its input spikes, merged, and what arrives from above for its own."""

    network: Network
    population: Population
    incoming: tuple[int, ...]
    sources: tuple[_Source, ...]
    start: IntArray
    order: IntArray
    time: FloatArray
    channel: IntArray
    psi: FloatArray
    own_start: IntArray
    own_time: FloatArray
    pull_time: FloatArray
    pull_end: FloatArray
    phi0: FloatArray

    def pull(
        self, low: int, high: int, *, weights: bool = False, inputs: tuple[FloatArray, FloatArray] | None = None
    ) -> FloatArray:
        """Derivatives of the neurons from ``low`` to ``high``; by weights (samples, rows, channels, neurons) if asked.

        Fills ``phi0``, and adds to those by the times and pseudo-phases of the sources, if they are given.
        """
        neuron_, phi0 = self.population.neuron, self.population.phi0[low:high]
        projections = [self.network.projections[k] for k in self.incoming]
        shears = np.concatenate([p.synapses.part(p.weight, low, high).T for p in projections]) / neuron_.r
        growth = np.log2(1.0 + np.abs(shears).max(initial=0.0))
        samples, channels, rows = len(self.psi), len(shears), self.pull_time.shape[1]
        by_weight = np.zeros((samples, rows, channels, high - low) if weights else (0, 0, 0, 0))
        by_time, by_psi = inputs or (np.zeros((0, 0)), np.zeros((0, 0, 0)))
        pull_back(
            self.start, self.time, self.channel, shears, self.psi,
            np.stack([np.cos(neuron_.omega * phi0), np.sin(neuron_.omega * phi0)]),
            neuron_.r, neuron_.omega, self.network.trial, max(1, int(_EXPONENT_ROOM / max(growth, 1.0))),
            self.own_start, self.own_time, self.pull_time, self.pull_end, low,
            by_weight, self.phi0, by_time, by_psi,
        )  # fmt: skip
        return by_weight

    def pull_down(self, pull_time: dict[str, FloatArray], pull_end: dict[str, FloatArray]) -> None:
        """Derivatives by the phases, and what the populations below get."""
        rows = self.pull_time.shape[1]
        by_time, by_psi = np.zeros((self.time.size, rows)), np.zeros((*self.psi.shape, rows))
        for low in range(0, self.population.size, BLOCK):
            self.pull(low, min(low + BLOCK, self.population.size), inputs=(by_time, by_psi))
        unsorted = np.empty_like(by_time)
        unsorted[self.order] = by_time
        for source in self.sources:
            if source.pre in pull_time:
                pull_time[source.pre] += unsorted[source.first : source.last]
                pull_end[source.pre] += by_psi[:, source.channel : source.channel + source.channels] / np.pi


def _population(
    network: Network,
    population: Population,
    inputs: FloatArray,
    result: Trace,
    pull_time: FloatArray,
    pull_end: FloatArray,
) -> _Population:
    incoming = tuple(k for k, p in enumerate(network.projections) if p.post == population.name)
    samples, parts, sources = len(inputs), [], []
    first, offset = 0, 0
    for k in incoming:
        pre = network.projections[k].pre
        if pre in network.columns:
            encoder = next(e for e in network.encoders if e.name == pre)
            times = encoder.times(inputs[:, network.columns[pre]])
            sample, channel = np.divmod(np.arange(times.size), encoder.size)
            parts.append((sample, channel + offset, times.ravel(), np.zeros_like(times)))
        else:
            s = result.spikes[pre]
            parts.append((s.sample, s.neuron + offset, s.time, result.theta[pre] / np.pi))
        sources.append(_Source(pre, first, first + len(parts[-1][0]), offset, network.sizes[pre]))
        first, offset = sources[-1].last, offset + sources[-1].channels
    sample, channel, time = (np.concatenate([part[i] for part in parts]) for i in range(3))
    order = np.lexsort((time, sample))
    own = result.spikes[population.name]
    number = own.sample.astype(np.int64) * population.size + own.neuron
    return _Population(
        network, population, incoming, tuple(sources),
        np.searchsorted(sample[order], np.arange(samples + 1)), order, time[order], channel[order].astype(np.int64),
        np.concatenate([part[3] for part in parts], axis=1),
        np.searchsorted(number, np.arange(samples * population.size + 1)), own.time,
        pull_time, pull_end, np.zeros((samples, pull_time.shape[1], population.size)),
    )  # fmt: skip


def _pull_outputs(
    network: Network,
    spikes: dict[str, Spikes],
    theta: dict[str, FloatArray],
    pull_time: dict[str, FloatArray],
    pull_end: dict[str, FloatArray],
) -> FloatArray:
    """Results; seeds their derivatives with respect to spike times and final angles."""
    first = {name: _first_spikes(network, name, spikes[name], theta[name]) for name in network.output_populations}
    times = {name: time for name, (time, _) in first.items()}

    def pull_first(name: str, which: int, pull: FloatArray, row: int) -> None:
        at = first[name][1][:, which]
        pull_time[name][at[at >= 0], row] += pull[at >= 0]
        pull_end[name][at < 0, which, row] -= pull[at < 0] / network.population(name).neuron.omega

    def seed(readout: Readout, m: int, slope: FloatArray, row: int) -> None:
        for which, sign in ((readout.stop[m], 1.0), (readout.start[m], -1.0)):
            pull_first(readout.population, which, sign * readout.scale[m] * slope, row)

    row = 0
    samples = len(next(iter(times.values())))
    for output in network.outputs:
        if isinstance(output, FirstSpike):
            for m, which in enumerate(output.neuron):
                pull_first(output.population, which, np.ones(samples), row + m)
        elif isinstance(output, Readout):
            for m in range(output.size):
                seed(output, m, np.ones(samples), row + m)
        else:
            left, right = (side.decode(times[side.population]) for side in (output.left, output.right))
            for m in range(output.left.size):
                seed(output.left, m, output.scale * right[:, m], row)
                seed(output.right, m, output.scale * left[:, m], row)
        row += output.size
    return network.decode(times)


def _first_spikes(network: Network, name: str, own: Spikes, end: FloatArray) -> tuple[FloatArray, NDArray[np.int64]]:
    """First spike times (samples, neurons), and which ordinary spike that is; -1 for a pseudospike."""
    index = np.full(end.shape, -1, np.int64)
    first = np.ones(len(own), bool)
    first[1:] = (np.diff(own.sample) != 0) | (np.diff(own.neuron) != 0)
    index[own.sample[first], own.neuron[first]] = np.nonzero(first)[0]
    times = neuron.pseudospike_time(end, network.trial, np.zeros_like(end), network.population(name).neuron)
    times[index >= 0] = own.time[index[index >= 0]]
    return times, index
