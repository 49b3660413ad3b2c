"""A whole feed-forward network, neuron by neuron, with an oracle for the single neuron."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qif2hw.ir import Network

Neuron = Callable[[float, float, float, NDArray[np.float64], NDArray[np.float64], float], tuple[list[float], float]]
"""(tau, I0, phi0, input times, input weights, trial) -> spike times in [0, trial], potential at its end."""


@dataclass
class OracleRun:
    """One sample: ordinary spikes, and first spikes (pseudospikes included), by population and neuron."""

    spikes: dict[str, list[list[float]]]
    first: dict[str, NDArray[np.float64]]


def run_layers(network: Network, x: NDArray[np.float64], neuron: Neuron) -> OracleRun:
    """Run one sample ``x`` (inputs,) of a network; pseudospikes layer by layer, from potentials."""
    sent: dict[str, list[list[float]]] = {}
    psi: dict[str, NDArray[np.float64]] = {}
    first: dict[str, NDArray[np.float64]] = {}
    column = 0
    for encoder in network.encoders:
        part = x[column : column + encoder.size]
        column += encoder.size
        sent[encoder.name] = [[float(encoder.latest + v * (encoder.earliest - encoder.latest))] for v in part]
        psi[encoder.name] = np.zeros(encoder.size)
    for population in sorted(network.populations, key=lambda p: network.depth[p.name]):
        tau, i0 = population.neuron.tau, population.neuron.i0
        r = np.sqrt(i0 - 0.25)
        incoming = [p for p in network.projections if p.post == population.name]
        fired: list[list[float]] = []
        phases, firsts = np.empty(population.size), np.empty(population.size)
        for i in range(population.size):
            arriving = [(t, p.weight[i, j]) for p in incoming for j, ts in enumerate(sent[p.pre]) for t in ts]
            times, weights = np.array([a[0] for a in arriving]), np.array([a[1] for a in arriving])
            spikes, potential = neuron(tau, i0, float(population.phi0[i]), times, weights, network.trial)
            potential += sum(float(p.weight[i] @ psi[p.pre]) for p in incoming)
            phases[i] = np.arctan((potential - 0.5) / r) / np.pi + 0.5
            to_go = (1.0 - phases[i]) * np.pi * tau / r
            firsts[i] = spikes[0] if spikes else network.trial + to_go
            fired.append(spikes)
        sent[population.name], psi[population.name], first[population.name] = fired, phases, firsts
    return OracleRun({p.name: sent[p.name] for p in network.populations}, first)
