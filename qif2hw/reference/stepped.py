"""The stepped network in float64, step by step: what every integer execution is measured against."""

import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qif2hw.discrete import SteppedCUBA, SteppedLIF, SteppedQIF, SteppedSynaptic, apply, cuba
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.spikes import power_of_two
from qif2hw.ir.stepped import Accumulator, Keep, SteppedNetwork, SteppedPopulation, SteppedRun, check_keep, joined

MOST_SAMPLES = 64
"""Most samples of a block: a power of two, as in `qif2hw.reference.execute`."""
BLOCK = 1 << 22
"""Neurons of a population that are worked on at a time: what bounds the memory."""


def run(
    network: SteppedNetwork,
    x: ArrayLike,
    *,
    keep: Keep = "spikes",
    progress: Callable[[int, int], None] | None = None,
) -> SteppedRun:
    """Execute a stepped network in float64, block by block of samples.

    Parameters
    ----------
    network
        What to run.
    x
        Inputs (samples, 1 or time steps, inputs), as `SteppedNetwork.check_inputs` takes them.
    keep
        ``spikes``: every spike.  ``counts``: how many each neuron sent, so that memory does not grow with the samples.
    progress
        Called with time steps done and time steps of all samples.

    Raises
    ------
    InputError
        On inputs of a wrong shape, values that are not finite, or an unknown ``keep``.
    """
    check_keep(keep)
    inputs = network.check_inputs(x)
    return joined("reference", _blocks(network, inputs, progress), keep)


def _blocks(
    network: SteppedNetwork, x: FloatArray, progress: Callable[[int, int], None] | None
) -> Iterator[SteppedRun]:
    """Runs of blocks of samples."""
    steps = network.clock.count
    block = power_of_two(min(MOST_SAMPLES, BLOCK // max(p.size for p in network.populations)))
    for low in range(0, len(x), block):
        begin = time.perf_counter()
        y, spikes = _run(network, x[low : low + block])
        yield SteppedRun("reference", y, spikes, time.perf_counter() - begin)
        if progress is not None:
            progress(min(low + block, len(x)) * steps, len(x) * steps)


def _run(network: SteppedNetwork, x: FloatArray) -> tuple[FloatArray, dict[str, NDArray[np.bool_]]]:
    steps = network.clock.count
    # What does not change from step to step is weighed once.
    constant = {e.name: x.shape[1] == 1 for e in network.encoders}
    constants = {p.name: _constant_input(network, p, x, constant) for p in network.populations}
    state = {p.name: _start(p, len(x)) for p in network.populations}
    spikes: dict[str, list[NDArray[np.bool_]]] = {p.name: [] for p in network.populations if p.spiking}
    past: dict[str, list[FloatArray]] = {p.pre: [] for p in network.projections if p.delay is not None}
    late = {id(p): _late_sources(p.delay) for p in network.projections if p.delay is not None}
    longest = max((d for groups in late.values() for d in groups), default=0)
    for step in range(steps):
        frame = x[:, min(step, x.shape[1] - 1)]
        sent: dict[str, FloatArray] = {name: frame[:, columns] for name, columns in network.columns.items()}
        for population in network.order:
            total = constants[population.name].copy()
            for p in network.incoming(population.name):
                if p.delay is not None:
                    total += p.synapses.apply(p.weight, _arriving(late[id(p)], [sent[p.pre], *past[p.pre]]))
                elif not constant.get(p.pre, False):
                    total += p.synapses.apply(p.weight, sent[p.pre])
            if isinstance(population.neuron, Accumulator):
                state[population.name] += total
                continue
            state[population.name], fired = _step(population.neuron, population, state[population.name], total)
            if population.spiking:
                sent[population.name] = fired.astype(np.float64)
                spikes[population.name].append(fired)
        for name, before in past.items():
            before.insert(0, sent[name])
            del before[longest:]
    y = np.concatenate([output.scale * _read(network, output.population, state) for output in network.outputs], axis=1)
    return y, {name: np.stack(found, axis=1) for name, found in spikes.items()}


def _step(
    neuron: SteppedQIF | SteppedLIF | SteppedSynaptic | SteppedCUBA,
    population: SteppedPopulation,
    state: FloatArray,
    total: FloatArray,
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """State after a step, and who fired."""
    if isinstance(neuron, SteppedCUBA):
        return _cuba(neuron, population, state, total)
    if isinstance(neuron, SteppedSynaptic):
        return _synaptic(neuron, state, total)
    potential = apply(neuron, state) + neuron.gain * total
    fired = potential >= neuron.threshold
    return np.where(fired, neuron.reset, potential), fired


def _cuba(
    neuron: SteppedCUBA, population: SteppedPopulation, state: FloatArray, total: FloatArray
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """The same for a CUBA neuron, whose state are voltage and current in counts, (2, samples, neurons)."""

    def of_neurons(values: tuple[int, ...]) -> NDArray[np.int64]:
        channels = np.resize(np.array(values, np.int64), population.shape[0])
        return np.repeat(channels, population.size // population.shape[0])

    bias = np.rint(population.current / neuron.UNIT).astype(np.int64)
    given = np.rint(total / neuron.UNIT).astype(np.int64) - bias
    v, u = state.astype(np.int64)
    u, v = cuba.advance(u, v, given, bias, of_neurons(neuron.current_decay), of_neurons(neuron.voltage_decay))
    fired = v > (of_neurons(neuron.threshold) << cuba.STATE_SHIFT) if neuron.threshold else np.zeros(v.shape, np.bool_)
    return np.stack([np.where(fired, 0, v), u]).astype(np.float64), fired


def _synaptic(neuron: SteppedSynaptic, state: FloatArray, total: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """The same for a neuron with a current: the state are potential and current, (2, samples, neurons)."""
    u, current = state
    current = neuron.current_leak * current + total
    v = neuron.rest + neuron.leak * (u - neuron.rest) + neuron.gain * current
    fired = v >= neuron.threshold
    return np.stack([np.where(fired, neuron.reset, v), current]), fired


def _read(network: SteppedNetwork, name: str, state: dict[str, FloatArray]) -> FloatArray:
    """What a population that does not spike holds."""
    neuron = network.population(name).neuron
    if isinstance(neuron, SteppedCUBA):
        return SteppedCUBA.UNIT * state[name][0]
    return state[name][0] if isinstance(neuron, SteppedSynaptic) else state[name]


def _late_sources(delay: NDArray[np.int32]) -> dict[int, NDArray[np.int64]]:
    """Sources by their delay."""
    return {int(d): np.flatnonzero(delay == d) for d in np.unique(delay)}


def _arriving(late: dict[int, NDArray[np.int64]], sent: list[FloatArray]) -> FloatArray:
    """What arrives now of what sources sent, the latest step first, and nothing before the first."""
    arriving = np.zeros_like(sent[0])
    for d, sources in late.items():
        if d < len(sent):
            arriving[:, sources] = sent[d][:, sources]
    return arriving


def _start(population: SteppedPopulation, samples: int) -> FloatArray:
    if isinstance(population.neuron, SteppedCUBA):
        return np.zeros((2, samples, population.size))
    if isinstance(population.neuron, SteppedSynaptic):
        start = np.zeros((2, samples, population.size))
        start[0] = population.neuron.reset
        return start
    first = 0.0 if isinstance(population.neuron, Accumulator) else population.neuron.reset
    return np.full((samples, population.size), first)


def _constant_input(
    network: SteppedNetwork, population: SteppedPopulation, x: FloatArray, constant: dict[str, bool]
) -> FloatArray:
    """What reaches a population in every step alike: its bias, and the input groups that do not change."""
    total = np.tile(population.current, (len(x), 1))
    for p in network.incoming(population.name):
        if constant.get(p.pre, False) and p.delay is None:
            total += p.synapses.apply(p.weight, x[:, 0, network.columns[p.pre]])
    return total
