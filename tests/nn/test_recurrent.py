from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.cases import directional, finite, loss
from oracles.membrane import membrane_neuron
from oracles.population import run_population
from torch import Tensor

from qif2hw.errors import InputError
from qif2hw.ir import Sparse
from qif2hw.neuron import QIF
from qif2hw.nn import QIFLayer, QIFNetwork
from qif2hw.nn.functional import dense, recurrent
from qif2hw.nn.functional.output import LayerOutput

F64 = torch.float64
NEURON = QIF()
NAMES = ("times", "psi", "weight", "feedback", "phi0")
DELAYS = [0.0, 0.37]


def tensors(seed: int, *, gain: float = 0.9, back: float = 0.8, until: float = 9.0) -> list[Tensor]:
    g = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=g, dtype=F64)

    return [
        uniform(0.05, until, 2, 3, 2).sort(dim=2).values,
        uniform(0, 1, 2, 3),
        uniform(-gain, gain, 5, 3),
        uniform(-back, back, 5, 5),
        uniform(0, NEURON.period, 5),
    ]


def run(arguments: list[Tensor], delay: float, trial: float = 10.0, capacity: int = 2) -> LayerOutput:
    return recurrent.layer(*arguments, neuron=NEURON, trial=trial, delay=delay, capacity=capacity)


def gradients(arguments: list[Tensor], delay: float, trial: float = 10.0) -> list[Tensor]:
    arguments = [t.clone().requires_grad_() for t in arguments]
    loss(run(arguments, delay, trial)).backward()
    return [torch.zeros_like(t) if t.grad is None else t.grad for t in arguments]


@pytest.mark.parametrize("delay", DELAYS)
@pytest.mark.parametrize("seed", range(4))
def test_central_differences(seed: int, delay: float) -> None:
    arguments = tensors(seed)
    exact, number = gradients(arguments, delay), run(arguments, delay).number
    assert int(number.min()) >= 1
    assert int(number.max()) >= 2
    g = torch.Generator().manual_seed(seed)
    for k, name in enumerate(NAMES):
        way = torch.randn(arguments[k].shape, generator=g, dtype=F64)
        way /= way.norm()

        def moved(h: float, k: int = k, way: Tensor = way) -> float:
            out = run([t + h * way if i == k else t for i, t in enumerate(arguments)], delay)
            assert torch.equal(out.number, number), "the difference must not cross the trial's end"
            return float(loss(out))

        slope = float((way * exact[k]).sum())
        assert slope == pytest.approx(directional(moved, 1e-5), rel=1e-6, abs=1e-6 * float(exact[k].norm())), name


@pytest.mark.parametrize("delay", DELAYS)
def test_against_the_differential_equation(delay: float) -> None:
    """Each neuron by integration, with the input and the others' spikes: by causality no other set of trains fits."""
    times, _, weight, feedback, phi0 = tensors(7)
    found = run([times, torch.zeros(2, 3, dtype=F64), weight, feedback, phi0], delay)
    assert int(found.number.sum()) > 10
    for b in range(2):
        trains = [t[torch.isfinite(t)].numpy() for t in found.times[b]]
        for n in range(5):
            arriving = [(float(t), float(weight[n, j])) for j in range(3) for t in times[b, j]]
            others = [j for j in range(5) if delay > 0 or j != n]
            arriving += [(t + delay, float(feedback[n, j])) for j in others for t in trains[j] if t + delay <= 10.0]
            spikes, _ = membrane_neuron(
                NEURON.tau, NEURON.i0, float(phi0[n]), *np.array(arriving).T, 10.0
            )  # fmt: skip
            assert np.allclose(trains[n], spikes, rtol=0, atol=1e-9)


def compare(arguments: list[Tensor], delay: float, trial: float = 10.0) -> None:
    times, psi, weight, feedback, phi0 = arguments
    ours = run([times, torch.zeros_like(psi), weight, feedback, phi0], delay, trial)
    spikes, theta = run_population(times, weight, feedback, phi0, neuron=NEURON, trial=trial, delay=delay)
    sample, who, _ = np.nonzero(np.isfinite(ours.times.numpy()))
    assert np.array_equal(sample, spikes.sample)
    assert np.array_equal(who, spikes.neuron)
    assert np.allclose(ours.times[torch.isfinite(ours.times)].numpy(), spikes.time, rtol=0, atol=1e-9)
    assert np.allclose(ours.psi.numpy() * np.pi, theta, rtol=0, atol=1e-9)


@pytest.mark.parametrize("delay", DELAYS)
@pytest.mark.parametrize("seed", range(3))
def test_against_phases(seed: int, delay: float) -> None:
    compare(tensors(seed), delay)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), delay=st.sampled_from([0.0, 0.01, 1.0, 7.0]))
def test_random_populations(seed: int, delay: float) -> None:
    compare(tensors(seed, back=0.5), delay)


def test_without_feedback_it_is_a_layer() -> None:
    times, psi, weight, _, phi0 = tensors(3)
    none = torch.zeros((5, 5), dtype=F64)
    for delay in DELAYS:
        ours = run([times, psi, weight, none, phi0], delay)
        plain = dense.layer(times, psi, weight, phi0, neuron=NEURON, trial=10.0)
        assert torch.allclose(finite(ours.times), finite(plain.times), rtol=0, atol=1e-12)
        assert torch.allclose(ours.psi, plain.psi, rtol=0, atol=1e-12)
        mine = gradients([times, psi, weight, none, phi0], delay)
        tensors_ = [t.clone().requires_grad_() for t in (times, psi, weight, phi0)]
        loss(dense.layer(*tensors_, neuron=NEURON, trial=10.0)).backward()
        for a, b in zip([mine[k] for k in (0, 1, 2, 4)], tensors_, strict=True):
            assert b.grad is not None
            assert torch.allclose(a, b.grad, rtol=0, atol=1e-11)


def test_its_own_spike_is_not_felt_at_once() -> None:
    arguments = tensors(2)
    before = run(arguments, 0.0)
    arguments[3] = arguments[3] + 5.0 * torch.eye(5, dtype=F64)
    after = run(arguments, 0.0)
    assert torch.equal(finite(before.times), finite(after.times))
    assert torch.equal(before.psi, after.psi)
    assert not torch.equal(gradients(arguments, 0.37)[3].diagonal(), torch.zeros(5, dtype=F64))


@pytest.mark.parametrize("trial", [2.0, 5.0, 10.0])
def test_one_way_feedback_is_two_layers(trial: float) -> None:
    """Neurons 0 and 1 feed 2 to 4: spikes, pseudospikes and gradients of a network of two layers."""
    times, _, weight, feedback, phi0 = tensors(6, until=1.9)
    none = torch.zeros((2, 3), dtype=F64)
    feedback[:2], feedback[:, 2:] = 0.0, 0.0

    def layers(w: Tensor, v: Tensor, p: Tensor) -> LayerOutput:
        up = dense.layer(times, none, w[:2], p[:2], neuron=NEURON, trial=trial)
        room = up.times.shape[2]
        outside = torch.cat([times, torch.full((2, 3, max(0, room - 2)), torch.inf, dtype=F64)], dim=2)
        inside = torch.cat([up.times, torch.full((2, 2, max(0, 2 - room)), torch.inf, dtype=F64)], dim=2)
        both, psi = torch.cat([outside, inside], dim=1), torch.cat([none, up.psi], dim=1)
        return dense.layer(
            both, psi, torch.cat([w[2:], v[2:, :2]], dim=1), p[2:], neuron=NEURON, trial=trial
        )  # fmt: skip

    leaves = [t.clone().requires_grad_() for t in (weight, feedback, phi0)]
    ours = run([times, none, *leaves], 0.0, trial).spike(1, NEURON.period)[:, 2:]
    other = layers(*leaves).spike(1, NEURON.period)
    assert torch.allclose(ours, other, rtol=0, atol=1e-11)
    mine, theirs = (list(torch.autograd.grad(u.sin().sum(), leaves)) for u in (ours, other))
    # Of the feedback only the synapses that the two layers have, too.
    mine[1], theirs[1] = mine[1][2:, :2], theirs[1][2:, :2]
    for a, b in zip(mine, theirs, strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-10)


def test_strong_weights_long_trials_and_room() -> None:
    """Vectors beyond the range of float64, and more spikes and events than room was made for."""
    arguments = tensors(4, gain=1e25, back=1e25)
    few, many = run(arguments, 0.37, 60.0, capacity=1), run(arguments, 0.37, 60.0, capacity=200)
    most = int(many.number.max())
    assert torch.equal(few.number, many.number)
    assert torch.equal(finite(few.times)[:, :, :most], finite(many.times)[:, :, :most])
    assert most > 8
    assert all(torch.isfinite(g).all() for g in gradients(arguments, 0.0, 9.0))


def test_layer_trains() -> None:
    made = QIFLayer(3, 6, trial=10.0, recurrent=True, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    times = tensors(0)[0].float()
    optimizer = torch.optim.Adam(made.parameters(), lr=1e-2)
    target = torch.linspace(6.0, 9.0, 6)
    errors = []
    for _ in range(60):
        error = (made(times).spike(2, NEURON.period) - target).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(float(error))
    assert errors[-1] < 0.3 * errors[0]


@pytest.mark.parametrize("delay", DELAYS)
def test_weights_on_the_grid(delay: float) -> None:
    """Both arrays, each with its own unit, and gradients passed straight through."""
    made = QIFLayer(3, 5, trial=10.0, recurrent=True, delay=delay, generator=torch.Generator().manual_seed(1))
    times, *_ = tensors(0)
    made.weight_bits = 3
    rounded = made.on_grid(made.weight), made.on_grid(made.feedback)
    assert all(len(w.unique()) <= 7 for w in rounded)
    out = made(times)
    leaves = [w.detach().requires_grad_() for w in rounded]
    twin = recurrent.layer(times, None, *leaves, made.phi0, neuron=NEURON, trial=10.0, delay=delay)
    assert torch.equal(finite(out.times), finite(twin.times))
    loss(out).backward()
    loss(twin).backward()
    assert torch.equal(made.weight.grad, leaves[0].grad)
    assert torch.equal(made.feedback.grad, leaves[1].grad)


def test_listed_synapses_with_feedback() -> None:
    times, _, weight, feedback, phi0 = tensors(2)
    listed, data = Sparse.of(torch.where(weight > 0, weight, 0.0).numpy())
    made = QIFLayer(synapses=listed, weight=data, trial=10.0, recurrent=True)
    with torch.no_grad():
        made.feedback.copy_(feedback)
        made.phi0.copy_(phi0)
    plain = recurrent.layer(times, None, made.dense_weight(), feedback, phi0, neuron=NEURON, trial=10.0)
    assert torch.equal(finite(made(times).times), finite(plain.times))


def test_a_network_refuses_it_when_it_is_built() -> None:
    network = QIFNetwork((3, 5, 2))
    made = QIFLayer(3, 5, trial=6.5, recurrent=True)
    for build in (
        lambda: network.layers.__setitem__(0, made),
        lambda: network.layers.append(made),
        lambda: network.layers.insert(0, made),
        lambda: network.layers.append(torch.nn.Linear(2, 2)),
    ):
        with pytest.raises(InputError, match="no cycles"):
            build()
    assert len(network.layers) == 2


@pytest.mark.parametrize(
    "call",
    [
        lambda: run([*tensors(0)[:3], torch.zeros((5, 4), dtype=F64), tensors(0)[4]], 0.0),
        lambda: run(tensors(0), -1.0),
        lambda: run(tensors(0), 0.0, trial=0.0),
        lambda: run([-tensors(0)[0], *tensors(0)[1:]], 0.0),
        lambda: run([*tensors(0)[:2], tensors(0)[2].float(), *tensors(0)[3:]], 0.0),
        lambda: run([*tensors(0)[:3], tensors(0)[3].float(), tensors(0)[4]], 0.0),
        lambda: QIFLayer(3, 0, trial=1.0, recurrent=True),
        lambda: QIFLayer(3, 2, trial=1.0, delay=1.0),
        lambda: QIFLayer(3, 5, trial=10.0, recurrent=True)(tensors(0)[0], path="eager"),
    ],
)
def test_wrong_inputs(call: Callable[[], object]) -> None:
    with pytest.raises(InputError):
        call()
