"""The reference against independent oracles: every spike time, pseudospikes included."""

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles import closed_form_neuron, membrane_neuron, run_layers
from oracles.layers import Neuron
from oracles.nets import random_layers, two_branches

from qif2hw import reference
from qif2hw.ir import Encoder, Network, Population, Projection, Readout, layered
from qif2hw.neuron import QIF


def largest_difference(network: Network, x: NDArray[np.float64], neuron: Neuron) -> tuple[float, int]:
    """Largest difference of any spike time, after checking that the spikes are the same; and their number."""
    run = reference.run(network, x)
    worst, count = 0.0, 0
    for b, row in enumerate(x):
        expected = run_layers(network, row, neuron)
        for name, neurons in expected.spikes.items():
            spikes = run.spikes[name]
            for i, times in enumerate(neurons):
                got = spikes.time[(spikes.sample == b) & (spikes.neuron == i)]
                assert len(got) == len(times), f"sample {b}, {name}[{i}]: {got} instead of {times}"
                worst = max(worst, np.abs(got - times).max(initial=0.0))
                count += len(times)
        first = np.concatenate([expected.first[name] for name in network.output_populations])
        fired = np.concatenate([[bool(s) for s in expected.spikes[name]] for name in network.output_populations])
        worst = max(worst, np.abs(run.spike_time[b] - first).max())
        np.testing.assert_array_equal(run.ordinary[b], fired)
    return worst, count


def inputs(network: Network, samples: int, seed: int = 5) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(size=(samples, network.inputs))


@pytest.mark.parametrize("seed", [0, 1])
def test_ordinary_regime_by_integration(seed: int) -> None:
    network = random_layers((3, 20, 20, 2), seed)
    worst, count = largest_difference(network, inputs(network, 1), membrane_neuron)
    assert worst < 1e-9
    assert count >= 42


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 8))
def test_more_of_the_ordinary_regime_by_integration(seed: int) -> None:
    network = random_layers((3, 20, 20, 2), seed)
    assert largest_difference(network, inputs(network, 3), membrane_neuron)[0] < 1e-9


@pytest.mark.parametrize("seed", range(5))
def test_ordinary_regime_in_closed_form(seed: int) -> None:
    network = random_layers((3, 20, 20, 2), seed)
    assert largest_difference(network, inputs(network, 3), closed_form_neuron)[0] < 1e-12


@pytest.mark.parametrize("neuron", [membrane_neuron, closed_form_neuron])
def test_pseudospikes_through_the_layers(neuron: Neuron) -> None:
    """Trial shorter than a third of the period: hardly a neuron fires, and the flush carries the result."""
    rng = np.random.default_rng(3)
    weights = [rng.normal(size=s) / np.sqrt(s[1]) for s in ((12, 3), (12, 12), (4, 12))]
    network = layered(weights, [np.full(12, 3.0), np.full(12, 3.0), np.full(4, 3.0)], trial=2.0, encode=(0.05, 1.95))
    x = inputs(network, 2)
    assert largest_difference(network, x, neuron)[0] < 1e-9
    assert not reference.run(network, x).ordinary.any()


@pytest.mark.parametrize("gain", [0.9, 4.0, 30.0])
@pytest.mark.parametrize("neuron", [membrane_neuron, closed_form_neuron])
def test_graph_with_branches_and_skips(gain: float, neuron: Neuron) -> None:
    network = two_branches(1, gain=gain)
    assert largest_difference(network, inputs(network, 1), neuron)[0] < 1e-9


@pytest.mark.parametrize("seed", range(4))
def test_weights_up_to_100(seed: int) -> None:
    """Stiff: the potential is thrown from end to end; several spikes per neuron."""
    rng = np.random.default_rng(seed)
    weights = [rng.uniform(-100, 100, (8, 6)), rng.uniform(-100, 100, (2, 8))]
    network = layered(weights, [rng.uniform(0, 6, 8), np.array([1.0, 0.5])], trial=13.0, encode=(0.05, 12.0))
    worst, count = largest_difference(network, inputs(network, 4), closed_form_neuron)
    assert worst < 1e-9
    assert count > 8 * 4 * 2


def test_gaps_of_many_turns() -> None:
    """Nothing arrives for whole periods, between events and before the end."""
    neuron = QIF(tau=0.3, i0=2.0)
    rng = np.random.default_rng(0)
    network = layered([rng.normal(size=(4, 2))], [rng.uniform(0, 0.5, 4)], trial=9.0, encode=(0.5, 8.0), neuron=neuron)
    worst, count = largest_difference(network, np.array([[1.0, 0.0], [0.4, 0.41], [0.9, 0.9]]), closed_form_neuron)
    assert worst < 1e-12
    assert count > 3 * 4 * 10


def test_more_spikes_than_the_first_buffer_holds() -> None:
    """Each strong kick makes the neuron fire: far more spikes than periods in the trial."""
    kicks = 40
    network = Network(
        trial=30.0,
        encoders=(Encoder("input", kicks, 0.1, 29.0),),
        populations=(Population("output", QIF(), np.array([1.0, 0.5])),),
        projections=(Projection("input", "output", np.full((2, kicks), 60.0)),),
        outputs=(Readout("output", np.array([0]), np.array([1]), np.ones(1), np.zeros(1)),),
    )
    worst, count = largest_difference(network, np.linspace(0, 1, kicks)[None], closed_form_neuron)
    assert worst < 1e-11
    assert count > 2 * (2 + 30 // 6) * 2


def test_long_runs_stay_in_range() -> None:
    """A third of a turn between strong kicks: unnormalised, the vectors would grow past 2^1024."""
    channels = 500
    rng = np.random.default_rng(1)
    weights = rng.uniform(50, 100, (2, channels)) * rng.choice([-1, 1], (2, channels))
    network = layered([weights], [np.array([1.0, 0.5])], trial=2.0 * channels, encode=(0.5, 2.0 * channels - 0.5))
    worst, count = largest_difference(network, inputs(network, 1), closed_form_neuron)
    assert worst < 1e-9
    assert count > 100
