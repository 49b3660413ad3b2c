import pytest
import torch
from nn.cases import REGIMES, Case, case, directional, finite, gradients, loss

from qif2hw.neuron import QIF
from qif2hw.nn.functional import dense, eager

NAMES = ("times", "psi", "weight", "phi0")


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("seed", range(3))
def test_central_differences(regime: str, seed: int) -> None:
    layer = REGIMES[regime](seed)
    exact = gradients(layer)
    number = layer.run().number
    g = torch.Generator().manual_seed(seed)
    for k, name in enumerate(NAMES):
        for _ in range(3):
            way = torch.randn(layer.tensors[k].shape, generator=g, dtype=torch.float64)
            way /= way.norm()

            def moved(h: float, k: int = k, way: torch.Tensor = way) -> float:
                tensors = list(layer.tensors)
                tensors[k] = tensors[k] + h * way
                out = layer.run(*tensors)
                assert torch.equal(out.number, number), "the difference must not cross the trial's end"
                return float(loss(out))

            slope = float((way * exact[k]).sum())
            assert slope == pytest.approx(directional(moved, 1e-4), rel=1e-6, abs=1e-6 * float(exact[k].norm())), name


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("seed", range(3))
def test_autograd_of_the_eager_twin(regime: str, seed: int) -> None:
    layer = REGIMES[regime](seed)
    ours, twin = layer.run(), layer.run(oracle=True)
    assert torch.equal(ours.number, twin.number)
    slots = twin.times.shape[2]
    assert torch.allclose(finite(ours.times)[:, :, :slots], finite(twin.times), rtol=0, atol=1e-10)
    assert torch.allclose(ours.psi, twin.psi, rtol=0, atol=1e-11)
    assert torch.allclose(ours.next, twin.next, rtol=0, atol=1e-10)
    for mine, other in zip(gradients(layer), gradients(layer, oracle=True), strict=True):
        assert (mine - other).abs().max() <= 1e-10 * max(1.0, float(other.abs().max()))


def test_regimes_are_what_they_are_called() -> None:
    assert int(REGIMES["pseudospikes"](0).run().number.min()) == 0
    assert int(REGIMES["many spikes"](0).run().number.max()) >= 4
    assert int(REGIMES["long gaps"](0).run().number.max()) >= 9
    assert int(REGIMES["ordinary"](0).run().number.max()) >= 1


@pytest.mark.parametrize("k", [1, 2, 3])
def test_any_spike_ordinary_or_pseudo(k: int) -> None:
    layer = case(4, trial=6.5)
    tensors = [t.clone().requires_grad_() for t in layer.tensors]
    spike = layer.run(*tensors).spike(k, layer.neuron.period)
    twin = layer.run(*tensors, oracle=True).spike(k, layer.neuron.period)
    assert torch.allclose(spike, twin, rtol=0, atol=1e-10)
    for mine, other in zip(
        torch.autograd.grad(spike.sum(), tensors), torch.autograd.grad(twin.sum(), tensors), strict=True
    ):
        assert torch.allclose(mine, other, rtol=0, atol=1e-10)


def _two_layers(trial: float, first: Case, second: Case) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """First spikes of the second layer, and their gradients to the first layer's weights and both phases."""
    first.trial = second.trial = trial
    tensors = [first.weight, first.phi0, second.weight, second.phi0]
    w1, p1, w2, p2 = (t.clone().requires_grad_() for t in tensors)
    hidden = dense.layer(first.times, first.psi, w1, p1, neuron=first.neuron, trial=trial)
    out = dense.layer(hidden.times, hidden.psi, w2, p2, neuron=second.neuron, trial=trial).first()
    return out.detach(), list(torch.autograd.grad(out.sin().sum(), [w1, p1, w2, p2]))


@pytest.mark.parametrize("seed", range(4))
def test_spike_that_crosses_the_end_of_the_trial(seed: int) -> None:
    """Value and gradient are continuous where an ordinary spike, hidden or output, becomes a pseudospike."""
    first, second = case(seed, batch=1, post=5), case(seed + 100, batch=1, pre=5, post=4)
    hidden = dense.layer(*first.tensors, neuron=first.neuron, trial=12.0)
    output = dense.layer(hidden.times, hidden.psi, *second.tensors[2:], neuron=second.neuron, trial=12.0)
    for times in (hidden.times, output.times):
        for crossing in times[torch.isfinite(times) & (times > 2.5)][:4]:
            before, grads_before = _two_layers(float(crossing) - 1e-9, first, second)
            after, grads_after = _two_layers(float(crossing) + 1e-9, first, second)
            assert torch.allclose(before, after, rtol=0, atol=1e-7)
            for a, b in zip(grads_before, grads_after, strict=True):
                assert torch.allclose(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("regime", ["ordinary", "hidden", "pseudospikes"])
def test_float32(regime: str) -> None:
    layer = REGIMES[regime](1)
    single, double = layer.run(dtype=torch.float32), layer.run()
    assert torch.equal(single.number, double.number)
    assert torch.allclose(single.first().double(), double.first(), rtol=0, atol=1e-4)
    for a, b in zip(gradients(layer, dtype=torch.float32), gradients(layer), strict=True):
        assert (a.double() - b).norm() <= 1e-3 * b.norm()


def test_second_order_of_the_eager_twin() -> None:
    layer = case(0, batch=2, pre=3, post=2)
    times = layer.times.clone().requires_grad_()
    y = eager.layer(times, *layer.tensors[1:], neuron=layer.neuron, trial=layer.trial).first().sum()
    (slope,) = torch.autograd.grad(y, times, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), times)

    def slope_at(h: float) -> float:
        moved = (layer.times + h).requires_grad_()
        out = eager.layer(moved, *layer.tensors[1:], neuron=layer.neuron, trial=layer.trial).first().sum()
        return float(torch.autograd.grad(out, moved)[0].sum())

    assert float(curvature.sum()) == pytest.approx(directional(slope_at, 1e-4), rel=1e-6, abs=1e-8)


def test_one_neuron_closed_form() -> None:
    """One input, one neuron: the spike time by hand from the phase transition curve."""
    neuron = QIF()
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    out = dense.layer(
        one, torch.zeros(1, 1).double(), 0.7 * one[0], 2.0 * one[0, 0], neuron=neuron, trial=6.5
    )  # fmt: skip
    theta = torch.tensor(neuron.omega * 3.0, dtype=torch.float64)
    after = torch.atan2(theta.sin(), theta.cos() - 0.7 / neuron.r * theta.sin()) / neuron.omega
    assert float(out.times[0, 0, 0]) == pytest.approx(1.0 + neuron.period - float(after), abs=1e-13)
