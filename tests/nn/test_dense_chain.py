"""Layers in one pass against the same layers one by one: every bit of what they give and of every gradient."""

import itertools
from collections.abc import Callable

import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.cases import finite, loss
from torch import Tensor

from qif2hw.errors import InputError
from qif2hw.ir import Sparse
from qif2hw.kernels import dense_chain, sorting
from qif2hw.neuron import QIF
from qif2hw.nn import ForwardPass, LayerOutput, QIFLayer, QIFNetwork, Regime, derivative, jets
from qif2hw.nn.functional import compiled, dense, scan, sparse

Layers = list[tuple[Tensor, Tensor]]


def network(
    seed: int, sizes: tuple[int, ...], *, batch: int = 20, gain: float = 3.0, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Layers]:
    """Input times, their pseudo-phases, and layers of such sizes: leaves that want gradients."""
    g = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=g, dtype=torch.float64)

    def leaf(tensor: Tensor) -> Tensor:
        return tensor.to(dtype).requires_grad_()

    layers = [
        (leaf(gain / pre**0.5 * (2 * uniform(post, pre) - 1)), leaf(2 + 3 * uniform(post)))
        for pre, post in itertools.pairwise(sizes)
    ]
    return leaf(0.1 + 5 * uniform(batch, sizes[0], 1)), leaf(uniform(batch, sizes[0])), layers


def one_by_one(times: Tensor, psi: Tensor, layers: Layers, **options: float) -> list[LayerOutput]:
    done = []
    for weight, phi0 in layers:
        done.append(dense.layer(times, psi, weight, phi0, **options))
        times, psi = done[-1].times, done[-1].psi
    return done


def together(times: Tensor, psi: Tensor, layers: Layers, *, capacity: int = 2, **options: float) -> list[LayerOutput]:
    return dense.chain(times, psi, layers, capacities=[capacity] * len(layers), **options)[0].layers


def bits(run: Callable[..., list[LayerOutput]], used: tuple[int, ...], inputs: tuple, **options: float) -> list[Tensor]:
    """All results, and the gradients of a loss of those of the layers ``used``."""
    times, psi, layers = inputs
    out = run(times, psi, layers, neuron=QIF(), **options)
    leaves = [times, psi, *(p for pair in layers for p in pair)]
    total = sum(loss(out[k], seed=k) for k in used)
    return [t for o in out for t in o] + list(torch.autograd.grad(total, leaves, allow_unused=True))


def same(ours: list[Tensor | None], theirs: list[Tensor | None]) -> bool:
    return all(
        (a is None or not a.any()) if b is None else (a is not None and torch.equal(a, b))
        for a, b in zip(ours, theirs, strict=True)
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("trial", [2.5, 6.5, 30.0])
@pytest.mark.parametrize("used", [(2,), (0, 1, 2), (1,)])
def test_a_chain_is_its_layers(dtype: torch.dtype, trial: float, used: tuple[int, ...]) -> None:
    inputs = network(1, (3, 17, 40, 6), dtype=dtype)
    expected = bits(one_by_one, used, inputs, trial=trial)
    if trial == 30.0:
        assert expected[0].shape[2] > 2, "the capacity must have grown"
    assert same(bits(together, used, inputs, trial=trial), expected)


def test_spikes_that_come_all_at_once() -> None:
    """One input spike makes many neurons fire between the same two steps; equal neurons fire at equal times."""
    times, psi, layers = network(2, (1, 70, 30, 2), batch=9)
    with torch.no_grad():
        for tensor in layers[0]:
            tensor[10:60] = tensor[10:11]
    inputs = times, psi, layers
    assert same(bits(together, (0, 2), inputs, trial=6.5), bits(one_by_one, (0, 2), inputs, trial=6.5))


def test_each_layer_gets_the_room_it_needs() -> None:
    inputs = network(3, (2, 12, 9, 4), gain=6.0)
    small = bits(together, (0, 1, 2), inputs, trial=40.0, capacity=1)
    large = bits(together, (0, 1, 2), inputs, trial=40.0, capacity=64)
    rooms = [times.shape[2] for times in small[:9:3]]
    assert rooms == [o.times.shape[2] for o in one_by_one(*inputs, neuron=QIF(), trial=40.0, capacity=1)]
    assert max(rooms) > 2
    for k, (a, b) in enumerate(zip(small, large, strict=True)):
        assert torch.equal(finite(a), finite(b)[:, :, : a.shape[2]]) if k in (0, 3, 6) else torch.equal(a, b)


def test_layers_remember_their_room() -> None:
    net = QIFNetwork((2, 8, 8, 2), regime=Regime(trial=30.0), seed=1)
    run = net.run(torch.rand((5, 2), generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    rooms = [layer.capacity for layer in net.layers]
    assert rooms == [out.times.shape[2] for out in run.layers]
    assert max(rooms) > 2


@pytest.mark.parametrize(("sizes", "batch"), [((3, 30, 20, 4), 50), ((600, 230), 24)])
def test_bits_do_not_depend_on_threads(sizes: tuple[int, ...], batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = network(4, sizes, batch=batch)
    used = tuple(range(len(sizes) - 1))
    serial = bits(together, used, inputs, trial=6.5)
    monkeypatch.setattr(compiled, "WORTH_THREADS", 0)
    threads = numba.get_num_threads()
    try:
        for n in {1, threads}:
            numba.set_num_threads(n)
            assert same(bits(together, used, inputs, trial=6.5), serial)
    finally:
        numba.set_num_threads(threads)


@pytest.mark.parametrize("sizes", [(3, 30, 20), (600, 230)])
def test_gradients_of_a_batch_are_the_sum_of_its_samples(sizes: tuple[int, ...]) -> None:
    times, psi, layers = network(8, sizes, batch=24)
    parameters = [p for pair in layers for p in pair]
    assert ((sizes[0] + 1) * sizes[1] > dense_chain.SMALL) == (sizes[0] == 600)

    def gradients(low: int, high: int) -> list[Tensor]:
        out = together(times[low:high], psi[low:high], layers, neuron=QIF(), trial=6.5)[-1]
        return list(torch.autograd.grad(out.psi.square().sum() + finite(out.times).sin().sum(), parameters))

    alone = [gradients(b, b + 1) for b in range(24)]
    for whole, *parts in zip(gradients(0, 24), *alone, strict=True):
        assert torch.allclose(whole, sum(parts), rtol=1e-10, atol=1e-10 * float(whole.abs().max()))


@pytest.mark.parametrize("trial", [2.5, 6.5])
def test_readout(trial: float) -> None:
    times, psi, layers = network(5, (3, 20, 6))
    scale, offset = torch.tensor([2.0, -0.5, 1.5]).double(), torch.tensor([0.1, 0.2, 0.3]).double()

    def read(out: ForwardPass) -> tuple[Tensor, Tensor]:
        first = out.layers[-1].first()
        return offset + scale * (first[:, 1::2] - first[:, 0::2]), first

    def both(fused: bool) -> list[Tensor]:
        out, _ = dense.chain(
            times, psi, layers, neuron=QIF(), trial=trial, capacities=[2, 2], readout=(scale, offset) if fused else None
        )
        y, first = (out.y, out.first) if fused else read(out)
        total = y.square().sum() + first.sin().sum() + loss(out.layers[1])
        return [y, first, *torch.autograd.grad(total, [times, *(p for pair in layers for p in pair)])]

    for ours, theirs in zip(both(True), both(False), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_encoded_inputs(dtype: torch.dtype) -> None:
    net = QIFNetwork((3, 20, 4), seed=1, dtype=dtype, regime=Regime(encode=((0.1, 0.9), (1.0, 1.7), (0.05, 1.95))))
    x = torch.rand((30, 3), generator=torch.Generator().manual_seed(0), dtype=dtype)

    def gradients(encode: bool) -> list[Tensor]:
        own = x.clone().requires_grad_()
        layers = [(layer.weight, layer.phi0) for layer in net.layers]
        times, encoder = (own, (net.earliest, net.latest)) if encode else (net.encode(own), None)
        run, _ = dense.chain(times, None, layers, neuron=QIF(), trial=6.5, capacities=[2, 2], encoder=encoder)
        return [*run.layers[-1], *torch.autograd.grad(loss(run.layers[-1], seed=0), [own, *net.parameters()])]

    assert same(gradients(encode=True), gradients(encode=False))
    other = torch.float32 if dtype == torch.float64 else torch.float64
    if dtype == torch.float64:
        assert torch.equal(net(x.to(other)), net(x.to(other).to(dtype)))
    else:
        with pytest.raises(InputError, match="one type"):
            net(x.to(other))


@pytest.mark.parametrize("used", [(0,), (0, 1)])
def test_samples_know_nothing_of_each_other(used: tuple[int, ...]) -> None:
    times, psi, layers = network(5, (3, 24, 10), batch=11)
    with torch.no_grad():
        psi[3:6] = 0.0
    many = together(times, psi, layers, neuron=QIF(), trial=6.5)
    for b in range(len(times)):
        alone = together(times[b : b + 1], psi[b : b + 1], layers, neuron=QIF(), trial=6.5)
        assert same([t[b : b + 1] for k in used for t in many[k]], [t for k in used for t in alone[k]])


@pytest.mark.parametrize("renormalise_after", [None, 3.0])
def test_wide_layers(renormalise_after: float | None) -> None:
    times, psi, ((weight, phi0),) = network(7, (30, 530), batch=5, gain=6.0)
    options = {"neuron": QIF(), "trial": 6.5}
    ours = dense.layer(times, psi, weight, phi0, renormalise_after=renormalise_after, **options)
    halves = [dense.layer(times, psi, weight[at : at + 265], phi0[at : at + 265], **options) for at in (0, 265)]
    assert same(list(ours), [torch.cat(parts, dim=1) for parts in zip(*halves, strict=True)])
    leaves = [times, psi, weight, phi0]
    theirs = scan.layer(times, psi, weight, phi0, **options)
    for own, other in zip(
        torch.autograd.grad(loss(ours, seed=1), leaves), torch.autograd.grad(loss(theirs, seed=1), leaves), strict=True
    ):
        assert torch.allclose(own, other, rtol=1e-9, atol=1e-9 * float(other.abs().max()))


@given(rows=st.integers(1, 3000), threads=st.integers(1, 64), first=st.integers(0, 40), each=st.integers(1, 40))
def test_threads_sum_every_row_once(rows: int, threads: int, first: int, each: int) -> None:
    begins = [dense_chain.first_row(rows, t, threads, first, each * (threads - 1)) for t in range(threads + 1)]
    assert begins[0] == 0
    assert begins[-1] == rows
    assert begins == sorted(begins)
    if threads > 2:
        assert max(np.diff(begins)[1:]) - min(np.diff(begins)[1:]) <= 1


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    count=st.integers(0, 150),
    swaps=st.sampled_from([0, 3, 60, 20000]),
    ties=st.sampled_from([30, 2**50]),
    span=st.sampled_from([7.5, 1e-6]),
)
def test_almost_sorted_spikes_are_settled(seed: int, count: int, swaps: int, ties: int, span: float) -> None:
    g = np.random.default_rng(seed)
    times = np.full(160, np.inf)
    at = g.permutation(160)[:count]
    times[at] = (7.5 - span) + g.integers(0, ties, count) * (span / ties)
    sequence = np.zeros(160, np.int32)
    sequence[:count] = at[np.argsort(times[at], kind="stable")]
    for _ in range(swaps if count > 1 else 0):
        i = g.integers(0, count - 1)
        sequence[[i, i + 1]] = sequence[[i + 1, i]]
    room = sorting.room_for(160, times)
    order, found = np.zeros(160, np.int32), np.zeros(160, np.int32)
    trial = float(g.choice([6.5, 7.5, 7.5 - 0.5 * span]))
    expected = [q for q in np.argsort(times, kind="stable") if times[q] <= trial]
    assert sorting.arrange(times, trial, room, found) == len(expected)
    assert sorting.settle(times, trial, room, order, sequence, count) == len(expected)
    assert found[: len(expected)].tolist() == order[: len(expected)].tolist() == expected


def test_parameters_in_any_layout() -> None:
    times, psi, ((weight, phi0),) = network(6, (4, 10))
    turned = weight.detach().T.contiguous().T
    assert not turned.is_contiguous()
    ours, theirs = (dense.layer(times, psi, w, phi0, neuron=QIF(), trial=6.5) for w in (turned, weight))
    assert torch.equal(ours.psi, theirs.psi)


def test_layers_and_readouts_that_do_not_fit() -> None:
    times, psi, layers = network(7, (3, 5, 4))
    options = {"neuron": QIF(), "trial": 6.5, "capacities": [2, 2]}
    with pytest.raises(InputError, match="do not fit"):
        dense.chain(times, psi, [layers[0], layers[0]], **options)
    with pytest.raises(InputError, match="one type"):
        dense.chain(times, psi, [layers[0], (layers[1][0].float(), layers[1][1].float())], **options)
    with pytest.raises(InputError, match="readout"):
        dense.chain(times, psi, layers, readout=(torch.ones(3).double(), torch.ones(3).double()), **options)


def step_by_step(net: QIFNetwork, x: Tensor) -> Tensor:
    times, psi = net.encode(x), None
    for layer in net.layers:
        times, psi, _ = out = layer(times, psi)
    first = out.first()
    return net.offset + net.scale * (first[:, 1::2] - first[:, 0::2])


@pytest.mark.parametrize("kind", ["sparse", "another neuron", "another trial"])
def test_other_layers_are_not_chained(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net = QIFNetwork((2, 9, 8, 2), seed=3)
    calls: list[str] = []
    dense = net.layers[1].weight.detach().numpy()
    if kind == "sparse":
        listed, data = Sparse.of(dense * (np.abs(dense) > 0.1))
        net.layers[1] = QIFLayer(synapses=listed, weight=data, trial=6.5)
        one = sparse.layer
        monkeypatch.setattr(sparse, "layer", lambda *a, **k: calls.append("sparse") or one(*a, **k))
    elif kind == "another neuron":
        net.layers[1].neuron = QIF(tau=2.5)
    else:
        net.layers[1].trial = 5.0
    x = torch.rand((5, 2), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.allclose(net(x), step_by_step(net, x), rtol=0, atol=1e-12)
    assert calls == (["sparse"] * 2 if kind == "sparse" else [])
    if kind != "sparse":
        for call in (net.to_network, lambda: jets(net, x), lambda: derivative(net, x)):
            with pytest.raises(InputError, match="must be equal"):
                call()
