"""The stepped network in float64, step by step: what every integer execution is measured against."""

import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qif2hw.discrete import apply
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.stepped import Accumulator, Keep, SteppedNetwork, SteppedPopulation, SteppedRun, check_keep, joined

MOST_SAMPLES = 64
"""Most samples of a block."""
BLOCK = 1 << 22
"""Input sums of a population that are held at a time."""


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
        Inputs, as `SteppedNetwork.check_inputs` takes them.
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
    block = max(1, min(MOST_SAMPLES, BLOCK // max(p.size for p in network.populations)))
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
    arriving = {p.name: _constant_input(network, p, x, constant) for p in network.populations}
    state = {p.name: _start(p, len(x)) for p in network.populations}
    spikes: dict[str, list[NDArray[np.bool_]]] = {
        p.name: [] for p in network.populations if not isinstance(p.neuron, Accumulator)
    }
    for step in range(steps):
        sent: dict[str, FloatArray] = {
            name: x[:, step, columns] for name, columns in network.columns.items() if not constant[name]
        }
        for population in network.order:
            total = arriving[population.name].copy()
            for p in network.incoming(population.name):
                if p.pre in sent:
                    total += p.synapses.apply(p.weight, sent[p.pre])
            if isinstance(population.neuron, Accumulator):
                state[population.name] += total
                continue
            neuron = population.neuron
            potential = apply(neuron, state[population.name]) + neuron.gain * total
            fired = potential >= neuron.threshold
            state[population.name] = np.where(fired, neuron.reset, potential)
            sent[population.name] = fired.astype(np.float64)
            spikes[population.name].append(fired)
    y = np.concatenate([output.scale * state[output.population] for output in network.outputs], axis=1)
    return y, {name: np.stack(found, axis=1) for name, found in spikes.items()}


def _start(population: SteppedPopulation, samples: int) -> FloatArray:
    first = 0.0 if isinstance(population.neuron, Accumulator) else population.neuron.reset
    return np.full((samples, population.size), first)


def _constant_input(
    network: SteppedNetwork, population: SteppedPopulation, x: FloatArray, constant: dict[str, bool]
) -> FloatArray:
    """What reaches a population in every step alike: its bias, and the input groups that do not change."""
    total = np.tile(population.current, (len(x), 1))
    for p in network.incoming(population.name):
        if constant.get(p.pre, False):
            total += p.synapses.apply(p.weight, x[:, 0, network.columns[p.pre]])
    return total
