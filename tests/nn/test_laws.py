"""Laws that hold for every network, looked for counterexamples to.

``QIF2HW_LAWS=2000 pytest tests/nn/test_laws.py`` draws as many networks for each law as the variable says.
"""

import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.cases import REGIMES, Case, case, finite, gradients, loss
from oracles.trajectory import stored_gradients
from torch import Tensor

from qif2hw.nn.functional import dense, scan
from qif2hw.nn.functional.output import LayerOutput

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

networks = settings(max_examples=int(os.environ.get("QIF2HW_LAWS", "100")), deadline=None, derandomize=True)
seeds, regimes = st.integers(0, 2**31), st.sampled_from(sorted(REGIMES))


def _close(a: Tensor, b: Tensor, tolerance: float) -> bool:
    return bool((a - b).abs().max() <= tolerance * max(1.0, float(a.abs().max()))) if a.numel() else True


@networks
@given(seed=seeds, regime=regimes)
def test_spike_times_are_continuous_in_the_weights(seed: int, regime: str) -> None:
    """No spike jumps: twice the step, at most about twice the way, spikes paired from the first on."""
    layer = REGIMES[regime](seed)
    way = torch.randn(layer.weight.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    step = 1e-9 / float(way.norm())
    here = layer.run()
    there = layer.run(layer.times, layer.psi, layer.weight + step * way, layer.phi0)
    slope = max(float(g.abs().max()) for g in _slopes(layer))
    for k in range(1, int(here.number.max()) + 2):
        moved = there.spike(k, layer.neuron.period) - here.spike(k, layer.neuron.period)
        assert moved.abs().max() <= 1e-9 * (1.0 + 10.0 * slope), k


def _slopes(layer: Case) -> list[Tensor]:
    """Slopes of every spike, ordinary or pseudo, with respect to its neuron's weights (summed over the batch)."""
    weight = layer.weight.clone().requires_grad_()
    out = layer.run(layer.times, layer.psi, weight, layer.phi0)
    found = []
    for k in range(1, int(out.number.max()) + 2):
        for b in range(len(out.psi)):
            total = out.spike(k, layer.neuron.period)[b].sum()
            found.append(torch.autograd.grad(total, weight, retain_graph=True)[0])
    return [g * weight.shape[1] for g in found]


@networks
@given(seed=seeds, which=st.integers(0, 40))
def test_gradients_are_continuous_where_a_spike_becomes_a_pseudospike(seed: int, which: int) -> None:
    """The trial's end moves across an output spike: spikes of any number and their gradients, also to a layer below."""
    first, second = _two_layers(seed)
    output = _run(first, second, [first.weight, first.phi0, second.weight, second.phi0], 12.0)[1]
    crossing = _one_of(output.times, which)
    sides = []
    for trial in (crossing - 1e-9, crossing + 1e-9):
        tensors = [t.clone().requires_grad_() for t in (first.weight, first.phi0, second.weight, second.phi0)]
        hidden, out = _run(first, second, tensors, trial)
        spikes = torch.stack([out.spike(k, first.neuron.period) for k in (1, 2, 3)])
        sides.append((hidden.number, [spikes.detach(), *torch.autograd.grad(spikes.sin().sum(), tensors)]))
    if torch.equal(sides[0][0], sides[1][0]):  # else a hidden spike crosses at the same time: the law below
        for a, b in zip(sides[0][1], sides[1][1], strict=True):
            assert _close(a, b, 1e-5)


@networks
@given(seed=seeds, which=st.integers(0, 40))
def test_results_are_continuous_where_a_hidden_spike_becomes_a_pseudospike(seed: int, which: int) -> None:
    """Gradients too, for output spikes before the trial's end.

    Not for those after it: a spike moved by dt just before the end moves them by ``(R+^2 - R-^2) / R_k^2 dt`` more.
    """
    first, second = _two_layers(seed)
    hidden = _run(first, second, [first.weight, first.phi0, second.weight, second.phi0], 12.0)[0]
    crossing = _one_of(hidden.times, which)
    sides = []
    for trial in (crossing - 1e-9, crossing + 1e-9):
        tensors = [t.clone().requires_grad_() for t in (first.weight, first.phi0, second.weight, second.phi0)]
        out = _run(first, second, tensors, trial)[1]
        early = torch.where(out.times < crossing - 1e-6, out.times, 0.0).sin().sum()
        sides.append([out.first().detach(), *torch.autograd.grad(early, tensors)])
    assert _close(sides[0][0], sides[1][0], 1e-6)
    for a, b in zip(sides[0][1:], sides[1][1:], strict=True):
        assert _close(a, b, 1e-9)


def _two_layers(seed: int) -> tuple[Case, Case]:
    return case(seed, batch=1, post=5), case(seed + 1, batch=1, pre=5, post=4)


def _run(first: Case, second: Case, tensors: list[Tensor], trial: float) -> tuple[LayerOutput, LayerOutput]:
    hidden = dense.layer(*first.tensors[:2], *tensors[:2], neuron=first.neuron, trial=trial)
    return hidden, dense.layer(hidden.times, hidden.psi, *tensors[2:], neuron=second.neuron, trial=trial)


def _one_of(times: Tensor, which: int) -> float:
    late = times[torch.isfinite(times) & (times > 2.0)]
    return float(late[which % len(late)])


@networks
@given(seed=seeds, regime=regimes)
def test_replayed_backward_is_the_stored_one(seed: int, regime: str) -> None:
    """The closed form over a replay, against an adjoint recursion over a stored trajectory."""
    layer = REGIMES[regime](seed)
    for mine, other in zip(gradients(layer), stored_gradients(layer), strict=True):
        assert _close(mine, torch.from_numpy(other), 1e-9)


@networks
@given(seed=seeds, regime=regimes)
def test_the_scan_is_the_kernel(seed: int, regime: str) -> None:
    layer = REGIMES[regime](seed)
    tensors = [t.clone().requires_grad_() for t in layer.tensors]
    out, kernel = scan.layer(*tensors, neuron=layer.neuron, trial=layer.trial), layer.run()
    assert torch.equal(out.number, kernel.number)
    slots = int(kernel.number.max())
    assert _close(finite(out.times)[:, :, :slots], finite(kernel.times)[:, :, :slots], 1e-9)
    loss(out).backward()
    for mine, tensor in zip(gradients(layer), tensors, strict=True):
        assert _close(mine, torch.zeros_like(tensor) if tensor.grad is None else tensor.grad, 1e-9)
