from collections.abc import Sequence

import numba
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from qif2hw.bench.structure import bench_jets
from qif2hw.errors import InputError
from qif2hw.nn import QIFNetwork, Regime, derivative, jets

F64 = torch.float64
ALL = [(), (0,), (1,), (0, 0), (0, 1), (1, 1)]
REGIMES = {
    "ordinary": Regime(),
    "pseudospikes": Regime(trial=2.0, hidden_phases=(3.0, 3.0)),
    "some pseudospikes": Regime(trial=5.3),
    "strong, many spikes": Regime(trial=20.0, spread=4.0),
    "late inputs": Regime(trial=40.0, encode=(15.0, 20.0)),
}


def inputs(batch: int, width: int = 2, seed: int = 0) -> Tensor:
    return torch.rand((batch, width), generator=torch.Generator().manual_seed(seed), dtype=F64)


def compiled(network: QIFNetwork, x: Tensor) -> list[Tensor]:
    out = jets(network, x, second="all")
    return [out.value, *out.gradient.unbind(-1), *out.second.unbind(-1)]


def nested(network: QIFNetwork, x: Tensor) -> list[Tensor]:
    return [derivative(network, x, along) for along in ALL]


def loss(parts: Sequence[Tensor]) -> Tensor:
    """Nonlinear, and different for every sample, output and coefficient."""
    g = torch.Generator().manual_seed(1)
    return sum(((torch.randn(u.shape, generator=g, dtype=F64) * u).sin()).sum() for u in parts)  # type: ignore[return-value]


def close(mine: Tensor, other: Tensor, tolerance: float = 1e-8) -> bool:
    return float((mine - other).abs().max()) <= tolerance * max(1.0, float(other.abs().max()))


def agree(network: QIFNetwork, x: Tensor) -> None:
    x = x.clone().requires_grad_()
    mine, other = compiled(network, x), nested(network, x)
    assert all(close(a, b) for a, b in zip(mine, other, strict=True))
    to = [*network.parameters(), x]
    for a, b in zip(torch.autograd.grad(loss(mine), to), torch.autograd.grad(loss(other), to), strict=True):
        assert close(a, b)


@pytest.mark.parametrize("regime", REGIMES)
def test_nested_autograd_of_the_eager_twin(regime: str) -> None:
    """Values, first and second derivatives, and the gradients of a loss on all of them."""
    agree(QIFNetwork((2, 9, 7, 4), regime=REGIMES[regime], scale=1.5, offset=0.3, seed=3), inputs(4))


def test_regimes_are_what_they_are_called() -> None:
    def ordinary(name: str) -> float:
        run = QIFNetwork((2, 9, 7, 4), regime=REGIMES[name], seed=3).run(inputs(4))
        return float(run.layers[-1].number.clamp(max=1).double().mean())

    assert ordinary("ordinary") == 1.0
    assert ordinary("pseudospikes") == 0.0
    assert 0.0 < ordinary("some pseudospikes") < 1.0


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), regime=st.sampled_from(sorted(REGIMES)))
def test_random_networks(seed: int, regime: str) -> None:
    agree(QIFNetwork((2, 4, 3, 2), regime=REGIMES[regime], seed=seed), inputs(2, seed=seed))


def test_value_is_the_networks_own() -> None:
    network = QIFNetwork((3, 20, 10, 4), seed=2)
    x = inputs(30, 3)
    out = jets(network, x, order=1)
    run = network.run(x)
    assert close(out.value, run.y, 1e-12)
    assert close(out.first, run.first, 1e-12)
    assert out.gradient.shape == (30, 2, 3)
    assert out.second.shape == (30, 2, 0)


def test_chosen_directions_and_pairs() -> None:
    network, x = QIFNetwork((3, 8, 4), seed=5), inputs(3, 3)
    along = torch.tensor([[0.5, 0.0, 0.0], [0.2, -1.0, 0.3]], dtype=F64)
    some = jets(network, x, directions=along, second=[(1, 1), (0, 1)])
    whole = jets(network, x, second="all")
    upper = torch.triu_indices(3, 3)
    hessian = torch.zeros((3, 2, 3, 3), dtype=F64)
    hessian[:, :, upper[0], upper[1]] = hessian[:, :, upper[1], upper[0]] = whole.second.detach()
    assert close(some.gradient, whole.gradient @ along.T, 1e-12)
    assert close(some.second[..., 0], torch.einsum("boij,i,j->bo", hessian, along[1], along[1]), 1e-11)
    assert close(some.second[..., 1], torch.einsum("boij,i,j->bo", hessian, along[0], along[1]), 1e-11)


@pytest.mark.parametrize("regime", ["ordinary", "pseudospikes"])
def test_weights_too_strong_for_one_frame(regime: str) -> None:
    """Vectors that grow by hundreds of bits: neither overflow nor lost digits."""
    network = QIFNetwork((2, 30, 4), regime=REGIMES[regime], seed=1)
    with torch.no_grad():
        network.last.weight.mul_(1e3)
    x = inputs(3)
    for a, b in zip(compiled(network, x), nested(network, x), strict=True):
        assert close(a, b, 1e-8)
    for g in torch.autograd.grad(loss(compiled(network, x)), list(network.parameters())):
        assert torch.isfinite(g).all()


def test_third_derivative_against_a_central_difference() -> None:
    network, x, h = QIFNetwork((2, 5, 2), seed=4), inputs(2), 1e-5
    step = torch.tensor([h, 0.0], dtype=F64)
    third = derivative(network, x, (0, 1, 1))
    up, down = (jets(network, x + s, second=[(1, 1)]).second[..., 0] for s in (step, -step))
    assert torch.allclose(third, (up - down) / (2 * h), rtol=1e-6, atol=1e-7)


def test_float32_and_rounded_weights() -> None:
    network = QIFNetwork((2, 6, 2), seed=1, weight_bits=4, dtype=torch.float32)
    x = inputs(5).float()
    out = jets(network, x)
    assert out.value.dtype == F64
    assert torch.allclose(out.value.float(), derivative(network, x), atol=1e-4)
    out.second.sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in network.parameters())


@pytest.mark.slow
def test_bits_do_not_depend_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    network, x = QIFNetwork((2, 20, 10, 2), seed=1), inputs(64)

    def gradients() -> tuple[Tensor, ...]:
        return torch.autograd.grad(loss(compiled(network, x)), list(network.parameters()))

    serial = gradients()
    monkeypatch.setattr("qif2hw.nn.functional.compiled.WORTH_THREADS", 0)
    threads = numba.get_num_threads()
    try:
        for n in {1, threads}:
            numba.set_num_threads(n)
            assert all(torch.equal(a, b) for a, b in zip(serial, gradients(), strict=True))
    finally:
        numba.set_num_threads(threads)


@pytest.mark.slow
def test_second_derivatives_cost_at_most_eight_plain_steps() -> None:
    threads, torch_threads = numba.get_num_threads(), torch.get_num_threads()
    try:
        # One thread each: waiting for a busy second core is not the cost that is meant.
        numba.set_num_threads(1)
        torch.set_num_threads(1)
        assert bench_jets()["ratio"]["all seconds"] <= 8
    finally:
        numba.set_num_threads(threads)
        torch.set_num_threads(torch_threads)


def test_wrong_inputs() -> None:
    network, x = QIFNetwork((2, 3, 2)), inputs(2)
    for call in (
        lambda: jets(network, x[:, :1]),
        lambda: jets(network, x, directions=torch.eye(3)),
        lambda: jets(network, x, second="every"),
        lambda: jets(network, x, second=[(0, 2)]),
        lambda: jets(network, x, order=3),
        lambda: derivative(network, x, (2,)),
    ):
        with pytest.raises(InputError):
            call()
