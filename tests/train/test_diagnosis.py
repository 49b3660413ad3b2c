"""What training tells about a network that does not learn."""

import pytest
import torch

from qif2hw.nn import QIFNetwork
from qif2hw.train import diagnose


def test_every_number_against_its_definition() -> None:
    network = QIFNetwork((3, 6, 5, 2), seed=1)
    with torch.no_grad():
        network.layers[0].phi0[:2] = 0.0
        network.layers[0].weight[:2] = -3.0
    x = torch.tensor([[0.5, 0.5, 0.1], [0.2, 0.9, 0.201]], dtype=torch.float64)
    y = torch.zeros((2, 1), dtype=torch.float64)
    found = diagnose(network, x, y, grid_step=0.01)
    run = network.run(x)
    numbers = [out.number for out in run.layers]
    for k, number in enumerate(numbers):
        assert found.silent[k] == pytest.approx(float((number.sum(dim=0) == 0).double().mean()))
        assert found.spikes[k] == pytest.approx(float(number.double().mean()))
    assert found.silent[0] >= 2 / 6
    assert found.outputs_missing == float((numbers[-1] == 0).double().mean())
    assert found.colliding[0] == pytest.approx(2 / 4), "of two gaps per sample one is below the step"
    network.zero_grad()
    (run.y.square().mean() + network.deadline_penalty(run.first)).backward()
    for name, parameter in network.named_parameters():
        assert found.gradient_norms[name] == pytest.approx(float(parameter.grad.norm()))
    text = str(found)
    for part in ("silent", "within 0.01", "outputs without an ordinary spike", "gradient norms: layers.0.weight"):
        assert part in text
    assert any("layer 1" in warning for warning in found.warnings)


def test_without_a_truth_there_are_no_gradients() -> None:
    network = QIFNetwork((1, 4, 2))
    assert diagnose(network, torch.rand((3, 1), dtype=torch.float64)).gradient_norms == {}
