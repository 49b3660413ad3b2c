from collections.abc import Callable

import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.cases import REGIMES, Case, directional, finite, gradients, loss
from torch import Tensor

from qif2hw.bench.structure import bench_sparse
from qif2hw.errors import InputError
from qif2hw.nn import QIFNetwork
from qif2hw.nn.functional import sparse
from qif2hw.nn.functional.dense import LayerOutput
from qif2hw.nn.functional.jets import jets
from qif2hw.nn.functional.sparse import Pattern, SparseQIFLayer

F64 = torch.float64


def thin(regime: str, seed: int, share: float = 0.4) -> tuple[Case, Tensor, Pattern]:
    """A layer with most weights zero, where they are not, and the same as a pattern."""
    layer = REGIMES[regime](seed)
    here = torch.rand(layer.weight.shape, generator=torch.Generator().manual_seed(seed)) < share
    layer.weight = torch.where(here, layer.weight, torch.zeros_like(layer.weight))
    return layer, here, Pattern.of(layer.weight.numpy())


def run(layer: Case, pattern: Pattern, *tensors: Tensor, **options: int) -> LayerOutput:
    return sparse.layer(*tensors, pattern=pattern, neuron=layer.neuron, trial=layer.trial, **options)


def arguments(layer: Case, here: Tensor) -> list[Tensor]:
    return [layer.times, layer.psi, layer.weight[here], layer.phi0]


def sparse_gradients(layer: Case, here: Tensor, pattern: Pattern, dtype: torch.dtype = F64) -> list[Tensor]:
    tensors = [t.clone().to(dtype).requires_grad_() for t in arguments(layer, here)]
    loss(run(layer, pattern, *tensors)).backward()
    return [torch.zeros_like(t) if t.grad is None else t.grad for t in tensors]


def agree(regime: str, seed: int, share: float) -> None:
    layer, here, pattern = thin(regime, seed, share)
    ours, dense = run(layer, pattern, *arguments(layer, here)), layer.run()
    assert torch.equal(ours.number, dense.number)
    slots = min(ours.times.shape[2], dense.times.shape[2])
    assert torch.allclose(finite(ours.times)[:, :, :slots], finite(dense.times)[:, :, :slots], rtol=0, atol=1e-12)
    assert torch.allclose(ours.psi, dense.psi, rtol=0, atol=1e-12)
    assert torch.allclose(ours.next, dense.next, rtol=0, atol=1e-12)
    exact = gradients(layer)
    exact[2] = exact[2][here]
    for a, b in zip(sparse_gradients(layer, here, pattern), exact, strict=True):
        assert a.numel() == 0 or (a - b).abs().max() <= 1e-12 * max(1.0, float(b.abs().max()))


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("seed", range(2))
def test_the_dense_layer_with_zeros(regime: str, seed: int) -> None:
    agree(regime, seed, 0.4)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31), regime=st.sampled_from(["ordinary", "hidden", "fast"]), share=st.floats(0.0, 1.0)
)  # fmt: skip
def test_any_share_of_synapses(seed: int, regime: str, share: float) -> None:
    agree(regime, seed, share)


@pytest.mark.parametrize("regime", REGIMES)
def test_central_differences(regime: str) -> None:
    layer, here, pattern = thin(regime, 5)
    tensors, exact = arguments(layer, here), sparse_gradients(layer, here, pattern)
    g = torch.Generator().manual_seed(0)
    for k in range(4):
        way = torch.randn(tensors[k].shape, generator=g, dtype=F64)
        way /= way.norm()

        def moved(h: float, k: int = k, way: Tensor = way) -> float:
            return float(loss(run(layer, pattern, *[t + h * way if i == k else t for i, t in enumerate(tensors)])))

        slope = float((way * exact[k]).sum())
        assert slope == pytest.approx(directional(moved, 1e-4), rel=1e-6, abs=1e-6 * float(exact[k].norm()))


def test_float32() -> None:
    layer, here, pattern = thin("hidden", 1)
    for a, b in zip(
        sparse_gradients(layer, here, pattern, torch.float32), sparse_gradients(layer, here, pattern), strict=True
    ):
        assert a.dtype == torch.float32
        assert (a.double() - b).norm() <= 1e-3 * b.norm()


def test_strong_weights_and_capacity() -> None:
    """Vectors beyond the range of float64, more spikes than room was made for."""
    layer, here, pattern = thin("many spikes", 2, 0.8)
    layer.weight *= 1e30
    few = run(layer, pattern, *arguments(layer, here), capacity=1)
    many = run(layer, pattern, *arguments(layer, here), capacity=64)
    assert torch.equal(few.number, layer.run().number)
    assert torch.equal(finite(few.times), finite(many.times)[:, :, : few.times.shape[2]])
    assert all(torch.isfinite(g).all() for g in sparse_gradients(layer, here, pattern))


def thinned(seed: int) -> tuple[QIFNetwork, QIFNetwork]:
    """A dense network with zeros, and the same with a sparse layer in the middle."""
    dense, thin = QIFNetwork((2, 9, 8, 2), seed=seed), QIFNetwork((2, 9, 8, 2), seed=seed)
    with torch.no_grad():
        weight = dense.layers[1].weight
        weight.mul_(torch.rand(weight.shape, generator=torch.Generator().manual_seed(seed)) < 0.3)
        pattern = Pattern.of(weight.numpy())
        thin.layers[1] = SparseQIFLayer(
            pattern, weight.numpy()[pattern.rows, pattern.indices], trial=dense.regime.trial
        )
        thin.layers[1].phi0.copy_(dense.layers[1].phi0)
    return dense, thin


def test_in_a_network() -> None:
    dense, thin = thinned(3)
    x = torch.rand((5, 2), generator=torch.Generator().manual_seed(0), dtype=F64)
    assert torch.allclose(dense(x), thin(x), rtol=0, atol=1e-12)
    dense(x).sum().backward()
    thin(x).sum().backward()
    pattern = thin.layers[1].pattern
    assert torch.allclose(
        dense.layers[1].weight.grad[pattern.rows, pattern.indices], thin.layers[1].weight.grad, rtol=0, atol=1e-12
    )
    assert torch.allclose(dense.layers[0].weight.grad, thin.layers[0].weight.grad, rtol=0, atol=1e-12)
    assert thin.to_network() == dense.to_network()
    assert torch.allclose(jets(dense, x).second, jets(thin, x).second, rtol=0, atol=1e-10)
    dense.weight_bits = thin.weight_bits = 4
    assert torch.allclose(dense(x), thin(x), rtol=0, atol=1e-12)


def test_initial_weights_suit_each_neurons_fan_in() -> None:
    pattern = Pattern(np.array([0, 1, 5]), np.array([2, 0, 1, 2, 3]), 4)
    made = SparseQIFLayer(pattern, trial=6.5, generator=torch.Generator().manual_seed(0))
    weight = made.effective_weight().detach()
    assert weight[0].count_nonzero() == 1
    assert float(weight[1].abs().max()) <= 0.45


@pytest.mark.slow
def test_bits_do_not_depend_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, here, pattern = thin("hidden", 1)
    layer.times, layer.psi = layer.times.repeat(20, 1, 1), layer.psi.repeat(20, 1)
    serial = sparse_gradients(layer, here, pattern)
    monkeypatch.setattr(sparse, "WORTH_THREADS", 0)
    threads = numba.get_num_threads()
    try:
        for n in {1, threads}:
            numba.set_num_threads(n)
            for a, b in zip(serial, sparse_gradients(layer, here, pattern), strict=True):
                assert torch.equal(a, b)
    finally:
        numba.set_num_threads(threads)


def test_the_benchmark_counts_its_synapses() -> None:
    found = bench_sparse(size=100, batch=2, densities=(0.01, 0.1), repeats=1)
    few, many = found["rows"]
    assert 70 < few["synapses"] < 130 < 850 < many["synapses"] < 1150
    for row in (few, many):
        assert row["ns_per_synapse"] == pytest.approx(1e6 * row["ms"] / (2 * row["synapses"]))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Pattern(np.array([1, 2]), np.array([0]), 3),
        lambda: Pattern(np.array([0, 2, 1]), np.array([0]), 3),
        lambda: Pattern(np.array([0, 2]), np.array([0]), 3),
        lambda: Pattern(np.array([0, 1]), np.array([3]), 3),
        lambda: Pattern(np.array([0, 2]), np.array([1, 1]), 3),
        lambda: Pattern.of(np.ones(3)),
        lambda: SparseQIFLayer(Pattern.of(np.eye(2)), [1.0], trial=6.5),
        lambda: SparseQIFLayer(Pattern.of(np.eye(2)), trial=6.5)(torch.zeros((1, 3, 1), dtype=F64)),
        lambda: SparseQIFLayer(Pattern.of(np.eye(2)), trial=6.5)(-torch.ones((1, 2, 1), dtype=F64)),
    ],
)
def test_wrong_inputs(make: Callable[[], object]) -> None:
    with pytest.raises(InputError):
        make()
