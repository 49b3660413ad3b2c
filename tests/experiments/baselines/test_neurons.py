"""Integrate-and-fire neurons against closed forms, a loop written apart, and snnTorch."""

import numpy as np
import pytest
import torch

from qif2hw.errors import InputError
from qif2hw.experiments.baselines import Architecture, LifNetwork, Spiking
from qif2hw.experiments.baselines.neurons import bipolar, leaky


def test_counts_of_a_constant_current_are_the_closed_form() -> None:
    # Sixty-fourths are exact, so is every sum of them.
    current = torch.arange(-64, 65, dtype=torch.float64) / 64
    start = torch.tensor([-0.5, 0.0, 0.5], dtype=torch.float64)[:, None].expand(3, 129).reshape(-1)
    spikes = bipolar(current.repeat(3)[None, None], 100, start)[:, 0]
    t = np.arange(1, 101)[:, None]
    total = t * current.repeat(3).numpy() + start.numpy()
    assert set(np.unique(spikes)) == {-1.0, 0.0, 1.0}
    np.testing.assert_array_equal(spikes.cumsum(dim=0).numpy(), np.sign(total) * np.floor(np.abs(total)))


def test_leaky_neurons_are_those_of_snntorch() -> None:
    snntorch = pytest.importorskip("snntorch")
    generator = torch.Generator().manual_seed(3)
    current = torch.randn((20, 5, 7), generator=generator) * 0.5 + 0.2
    weight = torch.randn((20, 5, 7), generator=generator)
    ours, theirs = (current.clone().requires_grad_() for _ in range(2))
    spikes = leaky(ours, 20, 0.9)
    neuron, potential, expected = snntorch.Leaky(beta=0.9), torch.zeros(5, 7), []
    for now in theirs:
        spike, potential = neuron(now, potential)
        expected.append(spike)
    assert 0.1 < spikes.mean() < 0.9
    torch.testing.assert_close(spikes, torch.stack(expected), rtol=0, atol=0)
    (spikes * weight).sum().backward()
    (torch.stack(expected) * weight).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-6)


def test_the_surrogate_gradient_of_a_bipolar_neuron() -> None:
    # The reset is held constant, so I_t moves every potential from t on by the same amount.
    rng = np.random.default_rng(0)
    current, weight = rng.normal(0, 0.6, 12), rng.normal(size=12)
    tensor = torch.from_numpy(current)[:, None, None].requires_grad_()
    spikes = bipolar(tensor, 12)
    (spikes[:, 0, 0] * torch.from_numpy(weight)).sum().backward()
    potential, total = [], 0.0
    for now in current:
        total += now
        potential.append(total)
        total -= np.sign(total) * (abs(total) >= 1)
    slope = weight / (1 + (np.pi * (np.abs(potential) - 1)) ** 2)
    assert (spikes != 0).any()
    np.testing.assert_allclose(tensor.grad[:, 0, 0], slope[::-1].cumsum()[::-1], rtol=1e-12)


def test_a_network_is_the_same_simulated_by_snntorch() -> None:
    pytest.importorskip("snntorch")
    architecture = Architecture(((2, 8, 8, 1),))
    fused, slow = (LifNetwork(architecture, Spiking(16, False), 1, simulator) for simulator in ("fused", "snntorch"))
    x = torch.rand((30, 2), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(fused(x), slow(x), rtol=1e-5, atol=1e-6)
    fused(x).sum().backward()
    slow(x).sum().backward()
    for a, b in zip(fused.parameters(), slow.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-5)


def test_what_cannot_be_simulated() -> None:
    architecture = Architecture(((1, 2, 1),))
    with pytest.raises(InputError, match="'snntorch' leaky ones"):
        LifNetwork(architecture, Spiking(8, True), 0, "snntorch")
    with pytest.raises(InputError, match="at least one"):
        LifNetwork(architecture, Spiking(0, True), 0)
