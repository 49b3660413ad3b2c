"""The ANN on differential equations: its derivatives against torch's, and an equation it learns."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from qif2hw.errors import InputError
from qif2hw.experiments.baselines import Ann, Architecture
from qif2hw.experiments.baselines.derivatives import derivatives
from qif2hw.experiments.baselines.fitting import descend
from qif2hw.experiments.baselines.on_physics import on_physics, polish
from qif2hw.ir.host_part.receptive_fields import ReceptiveFields


@pytest.mark.parametrize("fields", [None, ReceptiveFields(4), ReceptiveFields(3, 1.5)])
def test_derivatives_are_those_of_autograd(fields: ReceptiveFields | None) -> None:
    channels = 3 if fields is None else 3 * fields.count
    model = Ann(Architecture(((channels, 7, 6, 2),), fields), 0)
    with torch.no_grad():
        for linear in model.layers[0]:
            linear.bias.uniform_(-1, 1, generator=torch.Generator().manual_seed(1))
        model.centre.fill_(0.4)
        model.spread.fill_(0.3)
        model.offset.copy_(torch.tensor([1.0, -2.0]))
        model.scale.copy_(torch.tensor([2.0, 0.5]))
    directions = torch.tensor([[0.5, 0.0, 0.0], [0.0, 1 / 3, 0.2]], dtype=torch.float64)
    pairs = [(0, 0), (0, 1), (1, 1)]
    x = torch.rand((4, 3), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = derivatives(model, x, directions, pairs)
    torch.testing.assert_close(found.value, model(x))
    for n in range(4):
        for m in range(2):

            def output(point: Tensor, m: int = m) -> Tensor:
                return model(point[None])[0, m]

            gradient = torch.autograd.functional.jacobian(output, x[n])
            hessian = torch.autograd.functional.hessian(output, x[n])
            torch.testing.assert_close(found.gradient[n, m], directions @ gradient, rtol=1e-10, atol=1e-10)
            expected = torch.stack([directions[i] @ hessian @ directions[j] for i, j in pairs])
            torch.testing.assert_close(found.second[n, m], expected, rtol=1e-10, atol=1e-10)


def test_only_networks_of_one_chain_have_derivatives() -> None:
    model = Ann(Architecture(((1, 2), (1, 2))), 0)
    with pytest.raises(InputError, match="one chain"):
        derivatives(model, torch.zeros((1, 2), dtype=torch.float64), torch.eye(2, dtype=torch.float64))


@dataclass(frozen=True)
class Oscillator:
    """``u'' = -u`` on [0, 2] with ``u = 1 + c^2 N``, whose solution is the cosine."""

    directions: Tensor
    pairs: tuple[tuple[int, int], ...] = ((0, 0),)

    def residual(self, value: Tensor, gradient: Tensor, second: Tensor, x: Tensor) -> Tensor:
        c = 2 * x
        u = 1 + c.square() * value
        return u + 2 * value + 4 * c * gradient[..., 0] + c.square() * second[..., 0]

    def points(self, count: int, rng: np.random.Generator) -> np.ndarray:
        return rng.random((count, 1))


def test_an_equation_is_learned_from_its_residual() -> None:
    equation = Oscillator(torch.tensor([[0.5]], dtype=torch.float64))
    model = Ann(Architecture(((1, 16, 1),)), 0)
    losses = descend(model, on_physics(model, equation, 64, 0), 300, 1e-2)
    assert losses[-10:].mean() < 1e-2 * losses[0]
    assert polish(model, equation, 60, 0) < 0.1 * losses[-10:].mean()
    x = np.linspace(0, 1, 50)[:, None]
    u = 1 + (2 * x) ** 2 * model.predict(x)
    assert np.abs(u - np.cos(2 * x)).max() < 1e-3
    assert math.isclose(u[0, 0], 1.0)
