"""Run a network population by population, in the order of their depth."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qif2hw import neuron
from qif2hw.errors import InputError
from qif2hw.ir import large
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.network import Network, Population, Projection
from qif2hw.ir.spikes import Keep, Run, Spikes, check_keep, counts_of, joined_runs, power_of_two
from qif2hw.ir.synapses import BySource, Synapses, join
from qif2hw.reference.kernels import collect, place, propagate
from qif2hw.threads import one_blas_thread

MOST_SAMPLES = 256
"""Most samples of a block: a power of two, and so are smaller blocks.  Shards (`qif2hw.workers`) begin at multiples of
it: the bits of a product of matrices depend on their sizes."""
BLOCK = 1 << 24
"""Numbers that a block of samples may take: what bounds the memory."""
_EXPONENT_ROOM = 900
"""Powers of two a plane vector may grow or shrink by between renormalisations; float64 has 1022 each way."""


@dataclass(frozen=True)
class _Events:
    """Spikes of one input group or population; those of sample ``b`` are ``start[b]:start[b + 1]``."""

    start: IntArray
    channel: NDArray[np.int32]
    time: FloatArray


@dataclass(frozen=True)
class Trace:
    """Everything that happened in a trial.

    Parameters
    ----------
    spikes
        Ordinary spikes (``t <= T``) by population.
    theta
        Angle of every neuron right after the trial, the extra shear at ``T`` included, (samples, neurons) by
        population, in ``[0, pi]``: ``theta / pi`` is its pseudo-phase.
    """

    spikes: dict[str, Spikes]
    theta: dict[str, FloatArray]


def trace(network: Network, x: ArrayLike) -> Trace:
    r"""Execute a network: all spikes of all neurons, and the flush after the trial.

    Layer by layer, each population's input is the merged spikes of its sources.  At the trial's end ``T``
    every neuron receives one extra shear of weight ``sum_j w_ij psi_j``, where ``psi_j = theta_j / pi`` is
    the pseudo-phase of its source ``j`` after that source's own extra shear (0 for an input channel).

    Parameters
    ----------
    network
        What to run.
    x
        Inputs (samples, columns), as `check_inputs` of the network takes them.

    Raises
    ------
    InputError
        On inputs of a wrong width or out of range, and on weights so large that float64 cannot hold their
        effect.

    References
    ----------
    C. Klos and R.-M. Memmesheimer, *Smooth exact gradient descent learning in spiking neural networks*, 2025
    (pseudospikes).
    """
    checked = network.encoded(x)
    with one_blas_thread():
        block = _block(network)
        parts = [_trace_chunk(network, checked[i : i + block], i) for i in range(0, len(checked), block)]
    if len(parts) == 1:
        return parts[0]
    return Trace(
        {
            p.name: Spikes(
                *(
                    np.concatenate([getattr(part.spikes[p.name], f) for part in parts])
                    for f in ("sample", "neuron", "time")
                )
            )
            for p in network.populations
        },
        {p.name: np.concatenate([part.theta[p.name] for part in parts]) for p in network.populations},
    )


def run(
    network: Network,
    x: ArrayLike,
    *,
    keep: Keep = "spikes",
    progress: Callable[[int, int], None] | None = None,
) -> Run:
    """Execute a network and decode its result: the exact run that every other backend is measured against.

    See `trace` for what is computed.  Times are in time units, results (samples, outputs).

    Parameters
    ----------
    network, x
        As of `trace`.
    keep
        ``spikes``: every spike.  ``counts``: how many each neuron sent, so that memory grows with the results alone.
    progress
        Called with samples done and samples in all.

    Raises
    ------
    InputError
        As of `trace`, or on an unknown ``keep``.
    """
    check_keep(keep)
    return joined_runs(_blocks(network, network.check_inputs(x), progress), keep)


def _blocks(network: Network, x: FloatArray, progress: Callable[[int, int], None] | None) -> Iterator[tuple[int, Run]]:
    """Runs of blocks of samples, with the number of the first."""
    block = _block(network)
    for low in range(0, len(x), block):
        yield low, _run(network, x[low : low + block])
        if progress is not None:
            progress(min(low + block, len(x)), len(x))


def _block(network: Network) -> int:
    """Number of samples of a block."""
    return power_of_two(min(MOST_SAMPLES, BLOCK // (8 * sum(network.sizes.values()))))


def _run(network: Network, x: FloatArray) -> Run:
    begin = time.perf_counter()
    result = trace(network, x)
    times, ordinary = {}, {}
    for name in network.output_populations:
        spikes, theta = result.spikes[name], result.theta[name]
        first = _first_times(spikes, theta.shape)
        ordinary[name] = np.isfinite(first)
        pseudo = neuron.pseudospike_time(theta, network.trial, np.zeros_like(theta), network.population(name).neuron)
        times[name] = np.where(ordinary[name], first, pseudo)
    raw = network.decode(times)
    y = network.solve(x, raw)
    return Run(
        backend="reference",
        y=y,
        raw=raw,
        label=network.label(raw, y),
        spike_time=np.concatenate([times[name] for name in network.output_populations], axis=1),
        ordinary=np.concatenate([ordinary[name] for name in network.output_populations], axis=1),
        spikes=result.spikes,
        seconds=time.perf_counter() - begin,
        counts=counts_of(result.spikes, network.sizes),
    )


def _first_times(spikes: Spikes, shape: tuple[int, ...]) -> FloatArray:
    """First spike time per (sample, neuron), infinite where there is none."""
    first = np.full(shape, np.inf)
    np.minimum.at(first, (spikes.sample, spikes.neuron), spikes.time)
    return first


def _trace_chunk(network: Network, x: FloatArray, first_sample: int) -> Trace:
    samples = len(x)
    events: dict[str, _Events] = {}
    psi: dict[str, FloatArray] = {}
    for encoder in network.encoders:
        times = encoder.times(x[:, network.columns[encoder.name]])
        channel = np.tile(np.arange(encoder.size, dtype=np.int32), samples)
        events[encoder.name] = _Events(np.arange(samples + 1) * encoder.size, channel, times.ravel())
    spikes: dict[str, Spikes] = {}
    theta: dict[str, FloatArray] = {}
    for population in network.order:
        name, incoming = population.name, network.incoming(population.name)
        arriving = _merge([events[p.pre] for p in incoming], [network.sizes[p.pre] for p in incoming], samples)
        renew = _renewal(population, max(large.largest(p.weight) for p in incoming) / population.neuron.r)
        found, theta[name] = [], np.empty((samples, population.size))
        for low, high in _blocks_of_neurons(population.size, incoming):
            part, own = (
                replace(population, phi0=population.phi0[low:high]),
                [_shears(p, low, high, population.neuron.r) for p in incoming],
            )
            shears = join([synapses.by_source(weight) for synapses, weight in own])
            part_found, end = _run_population(part, arriving, shears, renew, network.trial, samples)
            extra = np.zeros((samples, part.size))
            for p, (synapses, weight) in zip(incoming, own, strict=True):
                if p.pre in psi:
                    extra += synapses.apply(weight, psi[p.pre])
            theta[name][:, low:high] = np.arctan2(end[:, 1], neuron.shear(end[:, 0], end[:, 1], extra))
            found.append(replace(part_found, neuron=part_found.neuron + np.int32(low)))
            for p in incoming:
                large.release(p.weight)
        every = _by_sample(found)
        start = np.searchsorted(every.sample, np.arange(samples + 1))
        events[name] = _Events(start, every.neuron, every.time)
        spikes[name] = Spikes(every.sample + np.int32(first_sample), every.neuron, every.time)
        psi[name] = neuron.pseudo_phase(theta[name])
    return Trace(spikes, theta)


def _blocks_of_neurons(size: int, incoming: Sequence[Projection]) -> Iterator[tuple[int, int]]:
    """First neuron of a block and the one after it: what a block receives bounds the memory of a large population."""
    whole = any(p.synapses.neurons_alone(0, 1) is None for p in incoming)
    rows = size if whole else max(1, large.BLOCK // sum(p.synapses.shape[1] for p in incoming))
    for low in range(0, size, rows):
        yield low, min(low + rows, size)


def _shears(p: Projection, low: int, high: int, r: float) -> tuple[Synapses, FloatArray]:
    """Synapses onto the neurons from ``low`` to ``high``, and what they shear by, of their weights' shape."""
    synapses = p.synapses.neurons_alone(low, high)
    return (p.synapses, p.weight / r) if synapses is None else (synapses, p.weight[low:high] / r)


def _by_sample(parts: Sequence[Spikes]) -> Spikes:
    """Spikes of consecutive blocks of neurons, sorted by sample, neuron and time."""
    if len(parts) == 1:
        return parts[0]
    sample = np.concatenate([part.sample for part in parts])
    order = np.argsort(sample, kind="stable")
    return Spikes(
        sample[order],
        np.concatenate([part.neuron for part in parts])[order],
        np.concatenate([part.time for part in parts])[order],
    )


def _merge(sources: list[_Events], widths: list[int], samples: int) -> _Events:
    """Spikes of several sources as one, with consecutive channel numbers."""
    if len(sources) == 1:
        return sources[0]
    start = np.sum([source.start for source in sources], axis=0)
    merged = _Events(start, np.empty(start[-1], np.int32), np.empty(start[-1]))
    position, first_channel = start[:samples].copy(), 0
    for source, width in zip(sources, widths, strict=True):
        place(position, source.start, source.channel, source.time, first_channel, merged.channel, merged.time)
        first_channel += width
    return merged


def _renewal(population: Population, largest: float) -> int:
    """Number of events after which vectors are scaled back, with shears up to ``largest``."""
    # A shear by a changes a length by a factor of at most 1 + |a|, up or down.
    growth = np.log2(1.0 + largest)
    if growth > _EXPONENT_ROOM / 2:
        raise InputError(f"weights onto population '{population.name}' reach 2^{growth:.0f}: too large for float64")
    return max(1, int(_EXPONENT_ROOM / 2 / max(growth, 1.0)))


def _run_population(
    population: Population, arriving: _Events, shears: BySource, renew: int, trial: float, samples: int
) -> tuple[Spikes, FloatArray]:
    """Spikes of a population, and its plane vectors at the trial's end."""
    size, omega = population.size, population.neuron.omega
    capacity = size * (2 + int(trial / population.neuron.period))
    end, count = np.empty((samples, 2, size)), np.empty(samples, np.int64)
    while True:
        time_buffer, neuron_buffer = np.empty((samples, capacity)), np.empty((samples, capacity), np.int32)
        propagate(
            arriving.start,
            arriving.time,
            arriving.channel,
            shears,
            population.phi0,
            omega,
            trial,
            renew,
            time_buffer,
            neuron_buffer,
            end,
            count,
        )
        if count.max() <= capacity:
            break
        capacity = int(count.max())
    start = np.concatenate([[0], np.cumsum(count)])
    found = Spikes(np.empty(start[-1], np.int32), np.empty(start[-1], np.int32), np.empty(start[-1]))
    collect(start, size, time_buffer, neuron_buffer, found.sample, found.neuron, found.time)
    return found, end
