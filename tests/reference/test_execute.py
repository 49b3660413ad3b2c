"""Properties of the reference that need no oracle."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.nets import random_layers, two_branches

from qif2hw import reference
from qif2hw.errors import InputError
from qif2hw.ir import layered
from qif2hw.reference import execute


def test_free_neurons_fire_once_a_period() -> None:
    network = layered([np.zeros((2, 1))], [np.array([1.0, 5.5])], trial=20.0, encode=(1.0, 2.0))
    run = reference.run(network, [[0.5]])
    np.testing.assert_allclose(run.spikes["output"].time, [5, 11, 17, 0.5, 6.5, 12.5, 18.5], rtol=0, atol=1e-13)
    np.testing.assert_array_equal(run.spikes["output"].neuron, [0, 0, 0, 1, 1, 1, 1])
    np.testing.assert_allclose(run.y, [[-4.5]], atol=1e-13)


def test_spikes_are_sorted_and_inside_the_trial() -> None:
    network = random_layers((3, 20, 20, 2), 0, gain=5.0, trial=13.0)
    run = reference.run(network, np.random.default_rng(0).uniform(size=(30, 3)))
    for spikes in run.spikes.values():
        order = np.lexsort((spikes.time, spikes.neuron, spikes.sample))
        np.testing.assert_array_equal(order, np.arange(len(spikes)))
        assert (spikes.time > 0).all()
        assert (spikes.time <= network.trial).all()
        assert (spikes.sample.dtype, spikes.neuron.dtype, spikes.time.dtype) == (
            np.int32,
            np.int32,
            np.float64,
        )


def test_first_spike_is_the_earliest_of_several() -> None:
    network = random_layers((3, 20, 20, 2), 0, gain=5.0, trial=20.0)
    run = reference.run(network, np.random.default_rng(0).uniform(size=(30, 3)))
    spikes = run.spikes["output"]
    assert len(spikes) > 2 * run.ordinary.sum()
    for b in range(30):
        for i in range(2):
            times = spikes.time[(spikes.sample == b) & (spikes.neuron == i)]
            assert run.ordinary[b, i] == (len(times) > 0)
            assert not len(times) or run.spike_time[b, i] == times.min()


def test_samples_do_not_see_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """One by one, in chunks, or all at once: the same spikes."""
    network = two_branches(0, gain=3.0)
    x = np.random.default_rng(2).uniform(size=(20, network.inputs))
    whole = reference.trace(network, x)
    monkeypatch.setattr(execute, "MOST_SAMPLES", 8)
    chunked = reference.trace(network, x)
    monkeypatch.undo()
    for name, spikes in whole.spikes.items():
        assert spikes == chunked.spikes[name]
        np.testing.assert_allclose(whole.theta[name], chunked.theta[name], rtol=0, atol=1e-14)
    for b in range(20):
        alone = reference.trace(network, x[b : b + 1])
        for name, spikes in whole.spikes.items():
            np.testing.assert_array_equal(alone.spikes[name].time, spikes.time[spikes.sample == b])


@settings(max_examples=30, deadline=None)
@given(st.floats(0.0, 1.0), st.integers(0, 2**32 - 1))
def test_first_spike_is_continuous_where_it_leaves_the_trial(x: float, seed: int) -> None:
    """The trial ends a hair before or after an output spike: pseudospike and ordinary spike agree."""
    rng = np.random.default_rng(seed)
    weights = [rng.uniform(-1, 1, (6, 1)), rng.uniform(-1, 1, (2, 6)) / 2]
    phi0 = [rng.uniform(2, 5, 6), rng.uniform(0, 3, 2)]

    def run(trial: float) -> tuple[float, bool]:
        found = reference.run(layered(weights, phi0, trial=trial, encode=(0.05, 1.95)), [[x]])
        return float(found.spike_time[0, 0]), bool(found.ordinary[0, 0])

    spike, ordinary = run(60.0)
    assert ordinary
    if spike > 2.0:
        before, after = run(spike - 1e-7), run(spike + 1e-7)
        assert (before[1], after[1]) == (False, True)
        assert after[0] == pytest.approx(spike, abs=1e-9)
        assert before[0] == pytest.approx(spike, abs=2e-6)


def test_decodes_as_the_network_says() -> None:
    network = two_branches(3)
    run = reference.run(network, np.full((2, network.inputs), 0.3))
    branch, trunk = run.spike_time[:, :4], run.spike_time[:, 4:]
    left = branch[:, [1, 3]] - branch[:, [0, 2]]
    right = np.array([0.1, -0.2]) + np.array([0.5, 2.0]) * (trunk[:, [1, 3]] - trunk[:, [0, 2]])
    np.testing.assert_allclose(run.y[:, 0], -1.0 + 2.0 * (left * right).sum(axis=1))
    np.testing.assert_allclose(run.y[:, 1], 0.25 + 1.5 * (branch[:, 0] - branch[:, 3]))
    assert run.backend == "reference"
    assert run.seconds > 0


def test_refuses_wrong_inputs() -> None:
    network = random_layers((3, 4, 2), 0)
    with pytest.raises(InputError, match="samples, 3"):
        reference.run(network, np.zeros((5, 2)))
    with pytest.raises(InputError, match="scaled to"):
        reference.run(network, np.full((1, 3), 1.5))


def test_refuses_weights_beyond_float64() -> None:
    network = layered([np.array([[1e200], [1.0]])], [np.array([1.0, 0.5])], trial=6.5, encode=(0.1, 1.0))
    with pytest.raises(InputError, match="too large for float64"):
        reference.run(network, [[0.5]])


@pytest.mark.slow
def test_a_second_process_compiles_nothing(tmp_path: os.PathLike[str]) -> None:
    code = (
        "import numpy as np\n"
        "from qif2hw import reference\n"
        "from qif2hw.ir import layered\n"
        "from qif2hw.reference import kernels\n"
        "n = layered([np.ones((2, 1))], [np.array([1.0, 0.5])], trial=6.5, encode=(0.1, 1.0))\n"
        "reference.run(n, [[0.5]])\n"
        "stats = kernels.propagate.stats\n"
        "print(sum(stats.cache_misses.values()), sum(stats.cache_hits.values()))\n"
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    said = [
        subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True).stdout
        for _ in range(2)
    ]
    assert [s.split() for s in said] == [["1", "0"], ["0", "1"]]
