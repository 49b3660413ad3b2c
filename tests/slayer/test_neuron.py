"""The QIF neuron in SLAYER: forward the machine's integers, backward the gradient of the float neuron."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from qif2hw.discrete import SteppedQIF, potential_moments
from qif2hw.engine.stepped import spec
from qif2hw.errors import InputError
from qif2hw.ir.stepped_program import SteppedProgramPopulation
from qif2hw.nn.functional.discrete import discrete_steps

pytest.importorskip("lava.lib.dl.slayer", reason="lava-dl needs Python 3.10")
from lava.lib.dl import slayer

from qif2hw_slayer import block
from qif2hw_slayer.neuron import DiscreteQIF

UNIT = 1 / 4096
KINDS = ("exact", "euler")


def inputs(shape: tuple[int, ...], deviation: float, seed: int = 0) -> torch.Tensor:
    """Sums of weights: multiples of 2 / 64."""
    x = np.random.default_rng(seed).normal(0.2, deviation, shape)
    return torch.from_numpy(np.rint(x * 32) / 32).float()


# Euler's neurons with wide steps warn that they approach their rest from both sides; they spike as specified too.
@pytest.mark.filterwarnings("ignore:a .u2 - u1. = :UserWarning")
@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    a=st.floats(0.02, 1.5),
    u1=st.floats(-0.4, 0.3),
    d=st.floats(0.05, 0.8),
    threshold=st.floats(0.6, 2.0),
    reset=st.floats(-1, 0.25),
    seed=st.integers(0, 2**32 - 1),
    deviation=st.sampled_from([0.3, 2.0, 1000.0]),
)
@example(kind="euler", a=1.5, u1=0.0, d=0.75, threshold=1.0, reset=0.0, seed=0, deviation=0.3)
def test_spikes_are_those_of_the_specification(
    kind: Any, a: float, u1: float, d: float, threshold: float, reset: float, seed: int, deviation: float
) -> None:
    try:
        SteppedQIF(a, u1, u1 + d, int(threshold * 64) / 64, reset, kind=kind)
    except InputError:
        assume(False)
    neuron = DiscreteQIF(threshold, a, u1, u1 + d, reset, kind)
    x = inputs((3, 2, 4, 5, 6), deviation, seed)
    spikes = neuron(x)
    assert spikes.shape == x.shape
    population = SteppedProgramPopulation("p", (1, 1, 40), neuron.arithmetic, np.zeros(1), np.full(1, UNIT))
    state = np.repeat(spec.start(population)[:, None], 3, axis=1)
    current = (x.double().numpy() * 4096).astype(np.int64).reshape(3, 40, 6)
    for n in range(6):
        state, fired = spec.step(population, state, current[..., n])
        assert np.array_equal(spikes.numpy().reshape(3, 40, 6)[..., n], fired)


@pytest.mark.parametrize("kind", KINDS)
def test_potentials_follow_the_equation(kind: Any) -> None:
    """From each potential the next one is that of the float neuron within a few units."""
    neuron = DiscreteQIF(1.0, 0.3, -0.25, 0.5, -0.125, kind)
    x = inputs((200, 5, 8), 0.6)
    spikes, v = neuron(x), None
    assert neuron.voltage is not None
    v, own = neuron.voltage.double().numpy(), neuron.constants
    assert ((v >= 1) == spikes.numpy().astype(bool)).all()
    assert 0.02 < spikes.mean() < 0.6
    u = np.full(v.shape[:-1], own.reset)
    for n in range(8):
        if kind == "exact":
            ratio = (u - own.u1) / (u - own.u2) * np.exp(-own.a * (own.u2 - own.u1))
            relaxed = (own.u1 - own.u2 * ratio) / (1 - ratio)
        else:
            relaxed = u + own.a * (u - own.u1) * (u - own.u2)
        # Far above rest the map is steep, and so are its rounding errors.
        assert np.abs(v[..., n] - relaxed - x[..., n].numpy()).max() < 6 * UNIT
        u = np.where(v[..., n] >= 1, own.reset, v[..., n])


@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_is_that_of_the_float_neuron(kind: Any, detach: bool) -> None:
    """Where both spike alike and no potential is near to an edge of the window, gradients agree to rounding errors."""
    neuron = DiscreteQIF(kind=kind, window=0.4, detach_reset=detach)
    x = inputs((400, 5, 6), 0.5, seed=1).requires_grad_()
    outer = torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
    spikes = neuron(x)
    (spikes * outer).sum().backward()

    twin = x.detach().double().movedim(-1, 0).contiguous().requires_grad_()
    floats, _ = discrete_steps(
        twin,
        torch.zeros(twin.shape[1:], dtype=torch.float64),
        neuron.equation.parameter_vector(),
        steps=6,
        window=[0.4] * 6,
        detach_reset=detach,
    )
    (floats * outer.movedim(-1, 0)).sum().backward()
    assert neuron.voltage is not None
    assert x.grad is not None
    assert twin.grad is not None
    off = (neuron.voltage - 1).abs()
    clear = ((off > 20 * UNIT) & ((off - 0.4).abs() > 20 * UNIT)).all(-1) & (floats.movedim(0, -1) == spikes).all(-1)
    assert clear.float().mean() > 0.8
    assert (x.grad[clear] != 0).float().mean() > 0.3
    torch.testing.assert_close(x.grad[clear].double(), twin.grad.movedim(0, -1)[clear], rtol=0.02, atol=0.02)


def test_the_analytic_window() -> None:
    neuron = DiscreteQIF(window="analytic")
    widths = [deviation for _, deviation in potential_moments(neuron.constants, 3)]
    assert 1 < widths[2] != widths[1]
    x = torch.tensor([[[1.0, 0.0, 0.0]]], requires_grad=True)
    neuron(x).sum().backward()
    # Reset in the first step, and then at rest: the last potential lies 1 below the threshold, within the window.
    assert x.grad is not None
    np.testing.assert_allclose(x.grad[0, 0, 2], 1 / (2 * widths[2]), rtol=1e-6)


def test_dropout_acts_on_spikes_and_a_mean_becomes_a_bias() -> None:
    neuron = DiscreteQIF(norm=slayer.neuron.norm.MeanOnlyBatchNorm, dropout=torch.nn.Dropout(1.0))
    x = inputs((50, 3, 6), 0.5) + 0.5
    assert neuron(x).sum() == 0
    neuron.eval()
    spikes = neuron(x)
    bias = neuron.norm.bias / 64
    assert (bias != 0).all()
    assert torch.equal(spikes, DiscreteQIF()(x + bias.view(1, 3, 1)))
    assert 0 < spikes.sum() < DiscreteQIF()(x).sum()


def test_wrong_calls_are_refused() -> None:
    with pytest.raises(InputError, match="u1 must not lie above u2"):
        DiscreteQIF(u1=0.6, u2=0.5)
    with pytest.raises(InputError, match="threshold = 0: it must lie above"):
        DiscreteQIF(threshold=0.01, reset=-1)
    with pytest.raises(InputError, match="too near to the pole"):
        DiscreteQIF(threshold=4.5)
    with pytest.raises(InputError, match="threshold is too large for Euler's square"):
        DiscreteQIF(threshold=9.0, kind="euler")
    with pytest.raises(InputError, match="MeanOnlyBatchNorm alone"):
        DiscreteQIF(norm=slayer.neuron.norm.WgtScaleBatchNorm)
    with pytest.raises(InputError, match="window = 0"):
        DiscreteQIF(window=0)
    neuron = DiscreteQIF()
    neuron(torch.zeros(2, 3, 4))
    with pytest.raises(InputError, match=r"the neurons have shape \(3,\)"):
        neuron(torch.zeros(2, 4, 4))
    with pytest.raises(InputError, match="run on the CPU"):
        DiscreteQIF()(torch.zeros(2, 3, 4, device="meta"))


def test_blocks_train() -> None:
    """A few steps of gradient descent on one batch lower its loss, through a convolution too."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        block.Conv({}, 1, 4, 3, stride=2, padding=1, weight_scale=4),
        block.Flatten(),
        block.Dense({"kind": "euler"}, 64, 3, weight_scale=4, delay_shift=False),
    )
    x = (torch.rand(30, 1, 8, 8, 5) < 0.3).float()
    y = torch.arange(30) % 3
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    losses = []
    for _ in range(30):
        losses.append(torch.nn.functional.cross_entropy(net(x).sum(-1), y))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.5 * losses[0]
    # One step later for each block with a delay shift.
    assert net(x)[..., 0].sum() == 0
