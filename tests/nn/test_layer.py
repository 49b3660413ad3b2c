import numba
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from networks import ordinary, published
from nn.cases import REGIMES, case, finite, gradients
from oracles.layers import run_layers
from oracles.membrane import membrane_neuron

from qif2hw.errors import InputError
from qif2hw.ir.weight_grid import nearest_unit, round_to_grid
from qif2hw.nn import QIFLayer, QIFNetwork
from qif2hw.nn.functional import compiled, dense


@pytest.mark.parametrize("network", [ordinary((2, 5, 4), 1), published((2, 4, 2), 2)])
def test_against_the_differential_equation(network: object) -> None:
    x = np.random.default_rng(0).uniform(size=(2, 2))
    run = QIFNetwork.from_network(network).run(torch.from_numpy(x))
    for b in range(len(x)):
        oracle = run_layers(network, x[b], membrane_neuron)
        assert np.abs(run.first[b].detach().numpy() - oracle.first["output"]).max() < 1e-9
        for out, population in zip(run.layers, network.order, strict=True):
            for n, spikes in enumerate(oracle.spikes[population.name]):
                times = out.times[b, n].detach().numpy()
                assert np.allclose(times[np.isfinite(times)], spikes, rtol=0, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), regime=st.sampled_from(sorted(REGIMES)))
def test_spike_times_are_continuous_in_the_weights(seed: int, regime: str) -> None:
    layer = REGIMES[regime](seed)
    way = torch.randn(layer.weight.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    here = layer.run().first()
    there = layer.run(layer.times, layer.psi, layer.weight + 1e-9 * way, layer.phi0).first()
    assert (here - there).abs().max() < 1e-4


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), regime=st.sampled_from(sorted(REGIMES)))
def test_eager_twin_agrees(seed: int, regime: str) -> None:
    layer = REGIMES[regime](seed)
    for a, b in zip(gradients(layer), gradients(layer, oracle=True), strict=True):
        assert (a - b).norm() <= 1e-9 * (1 + b.norm())


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_gradient_is_continuous_where_a_spike_becomes_a_pseudospike(seed: int) -> None:
    layer = case(seed, batch=1, post=5)
    layer.trial = 12.0
    times = layer.run().times[:, :, 0].detach()
    late = times[(times > 2.0) & times.isfinite()]
    assume(late.numel() > 0)
    crossing = float(late.median())
    grads = []
    for layer.trial in (crossing - 1e-9, crossing + 1e-9):
        tensors = [t.clone().requires_grad_() for t in layer.tensors]
        out = layer.run(*tensors).first()
        grads.append([out.detach(), *torch.autograd.grad(out.sum(), [tensors[0], tensors[2], tensors[3]])])
    for a, b in zip(*grads, strict=True):
        assert torch.allclose(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("gain", [3.0, 1e3])
def test_renormalisation_changes_no_bit(gain: float) -> None:
    layer = case(5, depth=3, window=(0.1, 6.4), gain=gain)
    often, never = layer.run(renormalise_after=0.5), layer.run(renormalise_after=1e9)
    assert torch.equal(finite(often.times), finite(never.times))
    assert torch.equal(often.psi, never.psi)
    for a, b in zip(gradients(layer, renormalise_after=0.5), gradients(layer, renormalise_after=1e9), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(("dtype", "gain"), [(torch.float64, 1e12), (torch.float32, 1e3)])
def test_weights_that_would_overflow(dtype: torch.dtype, gain: float) -> None:
    layer = case(6, pre=40, gain=gain, window=(0.1, 6.4))
    ours, twin = layer.run(dtype=dtype), layer.run(oracle=True)
    assert torch.equal(ours.number, twin.number)
    tolerance = 1e-9 if dtype == torch.float64 else 1e-3
    assert torch.allclose(ours.first().double(), twin.first(), rtol=0, atol=tolerance)
    assert all(torch.isfinite(g).all() for g in gradients(layer, dtype=dtype))


def test_capacity_grows_so_that_no_spike_is_dropped() -> None:
    layer = REGIMES["many spikes"](0)
    small, large = layer.run(capacity=1), layer.run(capacity=64)
    assert torch.equal(small.number, large.number)
    assert torch.equal(finite(small.times), finite(large.times)[:, :, : small.times.shape[2]])


def test_equal_times_and_padding_anywhere() -> None:
    layer = case(7, batch=2, pre=4)
    layer.times[:] = 1.0
    split = layer.times.repeat(1, 1, 3)
    split[:, :, [0, 2]] = torch.inf
    a = layer.run().first()
    b = layer.run(split, layer.psi, layer.weight, layer.phi0).first()
    assert torch.equal(a, b)
    assert torch.allclose(a, layer.run(oracle=True).first(), rtol=0, atol=1e-12)


def test_spikes_after_the_trial_do_nothing() -> None:
    layer = case(8)
    late = torch.cat([layer.times, torch.full_like(layer.times, 7.0)], dim=2)
    assert torch.equal(layer.run().first(), layer.run(late, layer.psi, layer.weight, layer.phi0).first())


def test_bits_do_not_depend_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = case(9, batch=50, pre=20, post=30, depth=2, window=(0.1, 6.4))
    serial = gradients(layer)
    monkeypatch.setattr(compiled, "WORTH_THREADS", 0)
    threads = numba.get_num_threads()
    try:
        for n in {1, threads}:
            numba.set_num_threads(n)
            for a, b in zip(serial, gradients(layer), strict=True):
                assert torch.equal(a, b)
    finally:
        numba.set_num_threads(threads)


def test_many_inputs_are_ordered() -> None:
    """More input spikes than one block of the sort holds, with many ties."""
    layer = case(10, batch=2, pre=300, gain=0.05)
    layer.times[:] = torch.round(layer.times * 20) / 20
    assert torch.allclose(layer.run().first(), layer.run(oracle=True).first(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("bad", [-0.5, float("nan")])
def test_bad_input_times(bad: float) -> None:
    layer = case(0)
    layer.times[1, 2, 0] = bad
    with pytest.raises(InputError, match="spike time"):
        layer.run()


def test_bad_shapes_and_types() -> None:
    layer = case(0)
    with pytest.raises(InputError, match="do not fit"):
        layer.run(layer.times[:, :3], layer.psi, layer.weight, layer.phi0)
    with pytest.raises(InputError, match="phi0"):
        layer.run(layer.times, layer.psi, layer.weight, layer.phi0[:2])
    with pytest.raises(InputError, match="one type"):
        dense.layer(layer.times.float(), *layer.tensors[1:], neuron=layer.neuron, trial=6.5)
    with pytest.raises(InputError, match="trial"):
        dense.layer(*layer.tensors, neuron=layer.neuron, trial=0.0)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_what_is_trained_is_what_is_deployed(bits: int) -> None:
    network = QIFNetwork((2, 6, 4), seed=1, weight_bits=bits)
    x = torch.rand((5, 2), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    deployed = network.to_network()
    for projection in deployed.projections:
        unit = nearest_unit(projection.weight, bits)
        assert np.array_equal(round_to_grid(projection.weight, unit, bits) * unit, projection.weight)
    assert torch.equal(network(x), QIFNetwork.from_network(deployed)(x))
    network(x).sum().backward()
    rounded = {id(p): p.grad.clone() for p in network.parameters()}
    free = QIFNetwork.from_network(deployed)
    free(x).sum().backward()
    for a, b in zip(network.parameters(), free.parameters(), strict=True):
        assert torch.equal(rounded[id(a)], b.grad), "straight through: the gradient at the rounded weights"


def test_initial_phases_stay_inside() -> None:
    layer = QIFLayer(2, 3, trial=6.5, dtype=torch.float32)
    with torch.no_grad():
        layer.phi0.copy_(torch.tensor([-1.0, 7.0, 3.0]))
    layer.keep_inside()
    assert layer.phi0.tolist()[0] == 0.0
    assert float(layer.phi0.max()) < layer.neuron.period


def test_network_round_trip_and_refusals() -> None:
    network = ordinary((3, 7, 5, 4), 3)
    assert QIFNetwork.from_network(network).to_network() == network
    with pytest.raises(InputError, match="even"):
        QIFNetwork((1, 4, 3))
    with pytest.raises(InputError, match="needed"):
        QIFNetwork((2, 4, 2)).run(torch.zeros(3, 1, dtype=torch.float64))
