"""Exact derivatives of every result with respect to every weight and initial phase, sample by sample.

The compiler uses them to see what rounding a weight does to the result.  They are the closed forms of `qif2hw.neuron`
(`spike_weight_slope`, `spike_input_slope`, `spike_phase_slope`), accumulated from the results back to the inputs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from qif2hw import neuron
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.network import Network, Projection
from qif2hw.ir.readout import FirstSpike, Readout
from qif2hw.ir.spikes import Spikes
from qif2hw.machinecode import compiled
from qif2hw.reference.execute import trace

_rotate = numba.njit(inline="always")(neuron.rotate)
_shear = numba.njit(inline="always")(neuron.shear)
_weight_slope = numba.njit(inline="always")(neuron.spike_weight_slope)
_input_slope = numba.njit(inline="always")(neuron.spike_input_slope)
_phase_slope = numba.njit(inline="always")(neuron.spike_phase_slope)


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


def sensitivity(network: Network, x: ArrayLike) -> Sensitivity:
    """Derivatives of the results at the inputs ``x`` (samples, columns).

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
    weight = [np.zeros((samples, rows, *p.weight.shape)) for p in network.projections]
    phi0 = {p.name: np.zeros((samples, rows, p.size)) for p in network.populations}
    columns = network.columns
    for population in reversed(network.order):
        incoming = [k for k, p in enumerate(network.projections) if p.post == population.name]
        sources = []
        for k in incoming:
            pre = network.projections[k].pre
            if pre in columns:
                encoder = next(e for e in network.encoders if e.name == pre)
                times = encoder.times(inputs[:, columns[pre]])
                sample, channel = np.divmod(np.arange(times.size), encoder.size)
                sources.append((sample, channel, times.ravel(), np.zeros_like(times), np.zeros((times.size, rows))))
            else:
                s = result.spikes[pre]
                sources.append((s.sample, s.neuron, s.time, result.theta[pre] / np.pi, pull_time[pre]))
        projections = [network.projections[k] for k in incoming]
        widths = [network.sizes[p.pre] for p in projections]
        offset = np.cumsum([0, *widths])
        sample = np.concatenate([s[0] for s in sources])
        channel = np.concatenate([s[1] + o for s, o in zip(sources, offset, strict=False)]).astype(np.int64)
        time = np.concatenate([s[2] for s in sources])
        order = np.lexsort((time, sample))
        start = np.searchsorted(sample[order], np.arange(samples + 1))
        own = result.spikes[population.name]
        ends = np.cumsum([0, *(p.weight.size for p in projections)])
        to_weight = np.zeros((samples, rows, int(ends[-1])))
        to_time, to_psi = np.zeros((time.size, rows)), np.zeros((samples, int(offset[-1]), rows))
        _pull_back(
            start, time[order], channel[order], _by_neuron(projections, offset, ends), np.concatenate(
                [p.weight.ravel() / population.neuron.r for p in projections]
            ), np.concatenate([s[3] for s in sources], axis=1),
            population.phi0, population.neuron.r, population.neuron.omega, network.trial,
            np.searchsorted(own.sample.astype(np.int64) * population.size + own.neuron,
                            np.arange(samples * population.size + 1)),
            own.time, pull_time[population.name], pull_end[population.name],
            to_weight, phi0[population.name], to_time, to_psi,
        )  # fmt: skip
        back = np.empty_like(to_time)
        back[order] = to_time
        begin = 0
        for n, (k, source, low, high) in enumerate(zip(incoming, sources, offset[:-1], offset[1:], strict=True)):
            weight[k] += to_weight[:, :, ends[n] : ends[n + 1]].reshape(weight[k].shape)
            end = begin + len(source[2])
            pre = network.projections[k].pre
            if pre in pull_time:
                pull_time[pre] += back[begin:end]
                pull_end[pre] += to_psi[:, low:high] / np.pi
            begin = end
    return Sensitivity(
        value,
        tuple(w.reshape(samples * rows, *w.shape[2:]) for w in weight),
        tuple(phi0[p.name].reshape(samples * rows, p.size) for p in network.populations),
    )


class _ByNeuron(NamedTuple):
    """Synapses of neuron ``i``, ``begin[i]:begin[i + 1]``: the channels they come from, the places of their weights."""

    begin: IntArray
    channel: IntArray
    place: IntArray


def _by_neuron(projections: Sequence[Projection], channels: IntArray, places: IntArray) -> _ByNeuron:
    """Synapses of several projections whose channels and weights are numbered through from the given ones."""
    edges = [p.synapses.edges() for p in projections]
    post = np.concatenate([e.post for e in edges])
    order = np.argsort(post, kind="stable")
    return _ByNeuron(
        np.searchsorted(post[order], np.arange(projections[0].synapses.shape[0] + 1)),
        np.concatenate([e.pre + first for e, first in zip(edges, channels, strict=False)])[order],
        np.concatenate([e.place + first for e, first in zip(edges, places, strict=False)])[order],
    )


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


@compiled(parallel=True)
def _pull_back(  # type: ignore[no-untyped-def]
    start: Any, time: Any, channel: Any, synapses: Any, shears: Any, psi: Any, phi0: Any, r: float, omega: float,
    trial: float, own_start: Any, own_time: Any, pull_time: Any, pull_end: Any, to_weight: Any, to_phi0: Any,
    to_time: Any, to_psi: Any,
):  # fmt: skip
    """One population: derivatives of spike times and final angles become those of weights, phases and input times.

    ``pull_time`` (spikes, rows) and ``pull_end`` (samples, neurons, rows) hold what arrived from above; ``shears`` is
    ``w / r`` of every weight of the population, ``to_weight`` (samples, rows, weights).
    """
    rows, posts, channels = pull_time.shape[1], phi0.size, psi.shape[1]
    for b in numba.prange(start.size - 1):
        first, events = start[b], start[b + 1] - start[b]
        height, before, after, rise = np.empty(events), np.empty(events), np.empty(events), np.empty(rows)
        place, shear = np.empty(channels, np.int64), np.empty(channels)
        for i in range(posts):
            place[:] = -1
            shear[:] = 0.0
            for k in range(synapses.begin[i], synapses.begin[i + 1]):
                place[synapses.channel[k]] = synapses.place[k]
                shear[synapses.channel[k]] = shears[synapses.place[k]]
            spike, last = own_start[b * posts + i], own_start[b * posts + i + 1]
            spike_length = np.empty(last - spike)
            x, y, length, now = math.cos(omega * phi0[i]), math.sin(omega * phi0[i]), 0.0, 0.0
            seen = spike
            for e in range(events):
                t = time[first + e]
                while seen < last and own_time[seen] <= t:
                    spike_length[seen - spike] = length
                    seen += 1
                x, y = _rotate(x, y, math.cos(omega * (t - now)), math.sin(omega * (t - now)))
                now = t
                height[e], before[e] = y, length
                x = _shear(x, y, shear[channel[first + e]])
                grown = math.hypot(x, y)
                x, y, length = x / grown, y / grown, length + math.log(grown)
                after[e] = length
            while seen < last:
                spike_length[seen - spike] = length
                seen += 1
            x, y = _rotate(x, y, math.cos(omega * (trial - now)), math.sin(omega * (trial - now)))
            flush = 0.0
            for j in range(channels):
                flush += psi[b, j] * shear[j]
            grown = math.hypot(_shear(x, y, flush), y)
            for q in range(rows):
                # t' = T + (pi - theta') / omega stands for the final angle.
                rise[q] = -omega * pull_end[b, i, q] * math.exp(-2.0 * (length + math.log(grown)))
                slope = _weight_slope(y * math.exp(length), 1.0, r, omega) * rise[q]
                if slope != 0.0:
                    for j in range(channels):
                        if place[j] >= 0:
                            to_weight[b, q, place[j]] += slope * psi[b, j]
                        to_psi[b, j, q] += slope * shear[j] * r
            for e in range(events - 1, -1, -1):
                while seen > spike and own_time[seen - 1] > time[first + e]:
                    seen -= 1
                    for q in range(rows):
                        rise[q] += pull_time[seen, q] * math.exp(-2.0 * spike_length[seen - spike])
                short = math.exp(2.0 * before[e])
                stretch = _input_slope(short, math.exp(2.0 * after[e]), 1.0)
                slope = short * _weight_slope(height[e], 1.0, r, omega)
                at = place[channel[first + e]]
                for q in range(rows):
                    if at >= 0:
                        to_weight[b, q, at] += slope * rise[q]
                    to_time[first + e, q] += stretch * rise[q]
            while seen > spike:
                seen -= 1
                for q in range(rows):
                    rise[q] += pull_time[seen, q] * math.exp(-2.0 * spike_length[seen - spike])
            for q in range(rows):
                to_phi0[b, q, i] += _phase_slope(1.0) * rise[q]
