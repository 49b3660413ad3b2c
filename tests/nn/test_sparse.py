"""Layers with listed synapses against their dense twins, whose other weights are zero.

The kernels keep vectors in different frames, so sums run in another order: spike times, pseudo-phases and gradients
agree to 1e-12 of the largest, numbers of spikes exactly.
"""

from collections.abc import Callable

import numba
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.cases import REGIMES, Case, directional, finite, gradients, loss
from torch import Tensor

from qif2hw.bench.structure import bench_sparse
from qif2hw.errors import InputError
from qif2hw.ir import Sparse
from qif2hw.neuron import QIF
from qif2hw.nn import LayerOutput, QIFLayer, QIFNetwork, random_synapses
from qif2hw.nn.functional import compiled, sparse

F64 = torch.float64
EYE = Sparse([0, 1, 2], [0, 1], 2)


def thin(regime: str, seed: int, share: float = 0.4) -> tuple[Case, Tensor, Sparse]:
    """A layer with most weights zero, where they are not, and the same as synapses."""
    layer = REGIMES[regime](seed)
    here = torch.rand(layer.weight.shape, generator=torch.Generator().manual_seed(seed)) < share
    layer.weight = torch.where(here, layer.weight, torch.zeros_like(layer.weight))
    return layer, here, Sparse.of(layer.weight.numpy())[0]


def run(layer: Case, synapses: Sparse, *tensors: Tensor, **options: int) -> LayerOutput:
    return sparse.layer(*tensors, synapses=synapses, neuron=layer.neuron, trial=layer.trial, **options)


def arguments(layer: Case, here: Tensor) -> list[Tensor]:
    return [layer.times, layer.psi, layer.weight[here], layer.phi0]


def sparse_gradients(layer: Case, here: Tensor, synapses: Sparse, dtype: torch.dtype = F64) -> list[Tensor]:
    tensors = [t.clone().to(dtype).requires_grad_() for t in arguments(layer, here)]
    loss(run(layer, synapses, *tensors)).backward()
    return [torch.zeros_like(t) if t.grad is None else t.grad for t in tensors]


def agree(regime: str, seed: int, share: float) -> None:
    layer, here, synapses = thin(regime, seed, share)
    ours, dense = run(layer, synapses, *arguments(layer, here)), layer.run()
    assert torch.equal(ours.number, dense.number)
    slots = min(ours.times.shape[2], dense.times.shape[2])
    assert torch.allclose(finite(ours.times)[:, :, :slots], finite(dense.times)[:, :, :slots], rtol=0, atol=1e-12)
    assert torch.allclose(ours.psi, dense.psi, rtol=0, atol=1e-12)
    assert torch.allclose(ours.next, dense.next, rtol=0, atol=1e-12)
    exact = gradients(layer)
    exact[2] = exact[2][here]
    for a, b in zip(sparse_gradients(layer, here, synapses), exact, strict=True):
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
    layer, here, synapses = thin(regime, 5)
    tensors, exact = arguments(layer, here), sparse_gradients(layer, here, synapses)
    g = torch.Generator().manual_seed(0)
    for k in range(4):
        way = torch.randn(tensors[k].shape, generator=g, dtype=F64)
        way /= way.norm()

        def moved(h: float, k: int = k, way: Tensor = way) -> float:
            return float(loss(run(layer, synapses, *[t + h * way if i == k else t for i, t in enumerate(tensors)])))

        slope = float((way * exact[k]).sum())
        assert slope == pytest.approx(directional(moved, 1e-4), rel=1e-6, abs=1e-6 * float(exact[k].norm()))


def test_float32() -> None:
    layer, here, synapses = thin("hidden", 1)
    singles = sparse_gradients(layer, here, synapses, torch.float32)
    for a, b in zip(singles, sparse_gradients(layer, here, synapses), strict=True):
        assert a.dtype == torch.float32
        assert (a.double() - b).norm() <= 1e-3 * b.norm()
    # Not other numbers than the float64 layer's, but the same rounded.
    given = [t.float() for t in arguments(layer, here)]
    for single, double in zip(
        run(layer, synapses, *given), run(layer, synapses, *(t.double() for t in given)), strict=True
    ):
        assert torch.equal(single, double.float())


def test_strong_weights_and_capacity() -> None:
    """Vectors beyond the range of float64, more spikes than room was made for."""
    layer, here, synapses = thin("many spikes", 2, 0.8)
    layer.weight *= 1e30
    few = run(layer, synapses, *arguments(layer, here), capacity=1)
    many = run(layer, synapses, *arguments(layer, here), capacity=64)
    assert torch.equal(few.number, layer.run().number)
    assert torch.equal(finite(few.times), finite(many.times)[:, :, : few.times.shape[2]])
    assert all(torch.isfinite(g).all() for g in sparse_gradients(layer, here, synapses))


def test_a_layer_chooses_its_kernel() -> None:
    layer, here, synapses = thin("hidden", 4)
    made = QIFLayer(synapses=synapses, weight=layer.weight[here], trial=layer.trial)
    with torch.no_grad():
        made.phi0.copy_(layer.phi0)
    ours, plain = made(layer.times, layer.psi), run(layer, synapses, *arguments(layer, here))
    assert all(torch.equal(a, b) for a, b in zip(ours, plain, strict=True))
    assert torch.equal(made.dense_weight(), layer.weight)
    assert made.capacity == ours.times.shape[2]
    for path in ("scan", "eager"):
        other = made(layer.times, layer.psi, path=path)
        assert torch.allclose(ours.psi, other.psi, rtol=0, atol=1e-9)


def test_initial_weights_suit_each_neurons_fan_in() -> None:
    made = QIFLayer(
        synapses=Sparse([0, 1, 5], [2, 0, 1, 2, 3], 4), trial=6.5, generator=torch.Generator().manual_seed(0)
    )
    weight = made.dense_weight().detach()
    assert weight[0].count_nonzero() == 1
    assert float(weight[1].abs().max()) <= 0.45


@pytest.mark.slow
def test_bits_do_not_depend_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, here, synapses = thin("hidden", 1)
    layer.times, layer.psi = layer.times.repeat(20, 1, 1), layer.psi.repeat(20, 1)
    serial = sparse_gradients(layer, here, synapses)
    monkeypatch.setattr(compiled, "WORTH_THREADS", 0)
    threads = numba.get_num_threads()
    try:
        for n in {1, threads}:
            numba.set_num_threads(n)
            for a, b in zip(serial, sparse_gradients(layer, here, synapses), strict=True):
                assert torch.equal(a, b)
    finally:
        numba.set_num_threads(threads)


def test_the_benchmark_counts_its_synapses() -> None:
    found = bench_sparse(size=100, batch=2, densities=(0.01, 0.1), repeats=1)
    few, many = found["rows"]
    assert few["share_of_updates"] == few["synapses"] / 100**2
    assert 70 < few["synapses"] < 130 < 850 < many["synapses"] < 1150
    for row in (few, many):
        assert row["ns_per_synapse"] == pytest.approx(1e6 * row["ms"] / (2 * row["synapses"]))


@pytest.mark.parametrize(
    "make",
    [
        lambda: QIFLayer(trial=6.5),
        lambda: QIFLayer(2, 3, synapses=EYE, trial=6.5),
        lambda: QIFLayer(synapses=EYE, weight=[1.0], trial=6.5),
        lambda: QIFLayer(synapses=EYE, trial=6.5, dtype=torch.float16),
        lambda: QIFLayer(synapses=EYE, trial=6.5)(torch.zeros((1, 3, 1), dtype=F64)),
        lambda: QIFLayer(synapses=EYE, trial=6.5)(torch.zeros((1, 2, 1))),
        lambda: QIFLayer(synapses=EYE, trial=6.5)(-torch.ones((1, 2, 1), dtype=F64)),
        lambda: sparse.layer(
            torch.zeros((1, 2, 1)), None, torch.zeros(3), torch.zeros(2), synapses=EYE, neuron=QIF(), trial=6.5
        ),
        lambda: random_synapses(4, 3, 0.0),
        lambda: random_synapses(0, 3, 0.5),
        lambda: QIFNetwork((2, 2, 2), synapses=[None]),
        lambda: QIFNetwork((3, 2, 2), synapses=[EYE, None]),
    ],
)
def test_wrong_inputs(make: Callable[[], object]) -> None:
    with pytest.raises(InputError):
        make()
