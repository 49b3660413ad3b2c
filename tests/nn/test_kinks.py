"""What derivatives at points miss, on functions where it is known, and the warning of a network in training."""

import warnings
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from qif2hw.nn import QIFNetwork, jets
from qif2hw.nn.functional import kinks

F64 = torch.float64


def along_x(function: Callable[[Tensor], Tensor], x: Tensor, directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Values and derivatives at points, by autograd, as jets give them."""
    x = x.clone().requires_grad_()
    with torch.enable_grad():
        y = function(x)
        (first,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        slope = (first * directions).sum(1, keepdim=True)
        second = torch.zeros_like(x)
        if slope.requires_grad:
            (second,) = torch.autograd.grad(slope.sum(), x)
    return y.detach()[..., None], slope.detach()[..., None], (second * directions).sum(1, keepdim=True)[..., None]


def unseen(function: Callable[[Tensor], Tensor], width: int = 1) -> kinks.Unseen:
    x = torch.rand((7, width), generator=torch.Generator().manual_seed(0), dtype=F64)
    return kinks.unseen(partial(along_x, function), x)


def test_a_smooth_function_hides_nothing() -> None:
    found = unseen(lambda x: (5 * x[:, :1]).sin() * (1 + x[:, 1:]).exp(), 2)
    assert max(found) < 1e-8


def test_kinks_are_all_that_bends_a_polygon() -> None:
    found = unseen(lambda x: (x[:, :1] - 0.437).abs())
    assert found.first < 0.02
    assert found.second == pytest.approx(1.0)


def test_kinks_that_cancel_each_other_do_no_harm() -> None:
    """A parabola with a small zigzag on it: slopes jump, and jump back."""
    found = unseen(lambda x: 4 * x**2 + 0.001 * torch.asin((300 * x).sin()))
    assert found.second < 0.25


def test_a_jump_beside_the_condition_is_seen() -> None:
    """The initial value is right, and the solution three times too large from there on."""
    found = unseen(lambda x: 1 + 2 * (3000 * x).tanh() + 3 * ((-2 * x).exp() - 1))
    assert found.first > kinks.MOST


@pytest.mark.parametrize(("order", "what"), [(1, "values"), (2, "slope")])
def test_a_network_in_training_warns_once(monkeypatch: pytest.MonkeyPatch, order: int, what: str) -> None:
    monkeypatch.setattr(kinks, "EVERY", 2)
    monkeypatch.setattr(kinks, "MOST", 0.0)
    network, x = QIFNetwork((2, 12, 12, 2), seed=1), torch.rand((30, 2), dtype=F64)
    jets(network, x, order=order)
    with pytest.warns(kinks.UnseenChange, match=rf"network's {what} lies in kinks.*qif2hw\.physics\.differences"):
        jets(network, x, order=order)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(4):
            jets(network, x, order=order)
        with torch.no_grad():
            for _ in range(4):
                jets(QIFNetwork((2, 12, 2)), x)
