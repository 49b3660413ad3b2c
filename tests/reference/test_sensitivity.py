"""Derivatives of the results against central differences, in every regime."""

from dataclasses import replace

import numpy as np
import pytest
from networks import branched, ordinary, published

from qif2hw.ir import Network, Population, Projection
from qif2hw.reference import run
from qif2hw.reference.sensitivity import sensitivity

H = 1e-6


def with_weight(network: Network, k: int, i: int, j: int, change: float) -> Network:
    p = network.projections[k]
    weight = p.weight.copy()
    weight[i, j] += change
    projections = list(network.projections)
    projections[k] = Projection(p.pre, p.post, weight)
    return replace(network, projections=tuple(projections))


def with_phase(network: Network, k: int, i: int, change: float) -> Network:
    p = network.populations[k]
    phi0 = p.phi0.copy()
    phi0[i] += change
    populations = list(network.populations)
    populations[k] = Population(p.name, p.neuron, phi0)
    return replace(network, populations=tuple(populations))


def difference(up: Network, down: Network, x: np.ndarray) -> np.ndarray:
    return ((sensitivity(up, x).value - sensitivity(down, x).value) / (2 * H)).ravel()


@pytest.mark.parametrize(
    "network",
    # A gain of 2.5 gives several spikes per neuron.
    [ordinary((2, 9, 7, 2), 3, 2.5), published((2, 9, 7, 4), 2), branched(2)],
    ids=["ordinary", "pseudospikes", "graph"],
)
def test_against_central_differences(network: Network) -> None:
    rng = np.random.default_rng(1)
    x = rng.random((3, network.inputs))
    s = sensitivity(network, x)
    for k, p in enumerate(network.projections):
        for i, j in zip(rng.integers(p.weight.shape[0], size=8), rng.integers(p.weight.shape[1], size=8), strict=True):
            expected = difference(with_weight(network, k, i, j, H), with_weight(network, k, i, j, -H), x)
            np.testing.assert_allclose(s.weight[k][:, i, j], expected, rtol=1e-5, atol=1e-7)
    for k, population in enumerate(network.populations):
        for i in range(population.size):
            expected = difference(with_phase(network, k, i, H), with_phase(network, k, i, -H), x)
            np.testing.assert_allclose(s.phi0[k][:, i], expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("network", [ordinary((3, 8, 4), 1), branched(1)], ids=["readout", "product"])
def test_values_are_those_of_a_run(network: Network) -> None:
    x = np.random.default_rng(0).random((20, network.inputs))
    np.testing.assert_allclose(sensitivity(network, x).value, run(network, x).y, rtol=1e-13, atol=1e-13)
