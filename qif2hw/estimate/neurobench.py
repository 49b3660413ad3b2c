"""Metrics under the names of NeuroBench (Yik et al., 2023), and the neuron updates, which it does not count here.

Computed from programs and counts, because NeuroBench knows the neurons of snnTorch alone.  As there, an operation
with a number other than 0 and 1 is a MAC: adding up lateness is.
"""

from dataclasses import dataclass

import numpy as np

from qif2hw.estimate.counts import Counts
from qif2hw.estimate.messages import AnyProgram


@dataclass(frozen=True)
class Metrics:
    """Metrics of a mean sample.

    Parameters
    ----------
    footprint
        Bytes that synapses, tables and neurons fill on the target's cores.
    connection_sparsity
        Share of the weights that are zero; synapses that a list leaves out are zero, a kernel counts once.
    activation_sparsity
        Share of neurons and machine steps without a spike.
    effective_acs, effective_macs
        Additions of a weight that is not zero, and of such a weight times a number.
    neuron_updates
        Neurons times machine steps.
    """

    footprint: int
    connection_sparsity: float
    activation_sparsity: float
    effective_acs: float
    effective_macs: float
    neuron_updates: float


def metrics(program: AnyProgram, counts: Counts) -> Metrics:
    """Metrics of a program, from the counts of a run."""
    neurons = sum(program.sizes[name] for name in counts.spikes)
    spikes = sum(counts.spikes.values()) / counts.samples
    return Metrics(
        footprint=counts.bytes,
        connection_sparsity=connection_sparsity(program),
        activation_sparsity=1 - spikes / (neurons * counts.steps) if neurons else 1.0,
        effective_acs=counts.accumulates / counts.samples,
        effective_macs=counts.multiplies / counts.samples,
        neuron_updates=counts.per_sample()["neuron_updates"],
    )


def connection_sparsity(program: AnyProgram) -> float:
    """Share of the weights that are zero."""
    all_of_them = real = 0
    for p in program.projections:
        listed = p.synapses.index_bits > 0
        all_of_them += int(np.prod(p.synapses.shape)) if listed else p.weight.size
        real += int(np.count_nonzero(p.weight))
    return 1 - real / all_of_them
