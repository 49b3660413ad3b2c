"""Derivatives of the results against central differences, in every regime."""

from dataclasses import replace

import numpy as np
import pytest
from networks import branched, listed, ordinary, published, thinned

from qif2hw.ir import Network, Population, Projection
from qif2hw.reference import run
from qif2hw.reference import sensitivity as module
from qif2hw.reference.sensitivity import derivatives, sensitivity

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


@pytest.mark.parametrize(
    "network",
    [ordinary((2, 70, 9, 2), 3, 2.5), published((2, 9, 70, 4), 2), listed(thinned(branched(2)))],
    ids=["ordinary", "pseudospikes", "listed"],
)
def test_derivatives_of_some_neurons_are_those_of_all(network: Network) -> None:
    """Populations larger than a block, and ranges that no block begins with."""
    x = np.random.default_rng(1).random((3, network.inputs))
    whole, found = sensitivity(network, x), derivatives(network, x)
    np.testing.assert_array_equal(found.value, whole.value)
    for one, other in zip(found.phi0, whole.phi0, strict=True):
        np.testing.assert_array_equal(one, other)
    for population in network.populations:
        low, high = population.size // 3, population.size - 1
        seen = 0
        for part in found.by_weights(population.name, low, high):
            weights = whole.weight[part.projection].reshape(whole.value.size, -1)
            np.testing.assert_allclose(part.slope, weights[:, part.place], rtol=1e-12, atol=1e-14)
            seen += part.place.size
        ends = [p.synapses.edges().post for p in network.incoming(population.name)]
        assert seen == sum(int(((post >= low) & (post < high)).sum()) for post in ends)


@pytest.mark.parametrize("network", [ordinary((2, 9, 7, 2), 3, 2.5), published((2, 9, 7, 4), 2)])
def test_scaling_lengths_back_changes_nothing(monkeypatch: pytest.MonkeyPatch, network: Network) -> None:
    x = np.random.default_rng(1).random((3, network.inputs))
    whole = sensitivity(network, x)
    monkeypatch.setattr(module, "_EXPONENT_ROOM", 3)
    scaled = sensitivity(network, x)
    for one, other in zip((*whole.weight, *whole.phi0), (*scaled.weight, *scaled.phi0), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-300)


def test_lengths_far_beyond_the_range_of_numbers() -> None:
    """Weights of 1e6 onto a layer with 60 input spikes: squared lengths would reach 1e700."""
    network = ordinary((60, 3, 2), 0)
    first = network.projections[0]
    network = replace(network, projections=(replace(first, weight=1e6 * np.sign(first.weight)), network.projections[1]))
    found = sensitivity(network, np.random.default_rng(0).random((2, 60)))
    for slope in (*found.weight, *found.phi0):
        assert np.isfinite(slope).all()
    assert max(np.abs(slope).max() for slope in found.weight) > 0
