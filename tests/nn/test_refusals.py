"""What networks refuse: second derivatives that would be left out, parameters and inputs that mean nothing."""

import math

import pytest
import torch

from qif2hw.errors import InputError
from qif2hw.nn import QIFLayer, QIFNetwork, derivative, jets
from qif2hw.nn.functional.first_order import JETS


def network(sizes: tuple[int, ...] = (2, 5, 4, 2)) -> QIFNetwork:
    return QIFNetwork(sizes)


def x(samples: int = 6) -> torch.Tensor:
    return torch.rand(samples, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("path", ["kernel", "scan"])
def test_a_derivative_in_a_loss_is_refused_and_the_jets_named(path: str) -> None:
    given = x().requires_grad_()
    y = network().run(given, path=path).layers[-1].first()  # type: ignore[arg-type]
    (slope,) = torch.autograd.grad(y.sum(), given, create_graph=True)
    assert bool(slope.isfinite().all())
    with pytest.raises(InputError) as refused:
        (slope**2).sum().backward()
    assert str(refused.value) == JETS
    assert "qif2hw.nn.jets" in JETS


def test_a_gradient_that_nobody_differentiates_is_what_it_was() -> None:
    """create_graph=True alone changes nothing."""
    net, given = network(), x().requires_grad_()
    y = net(given).sum()
    kept = torch.autograd.grad(y, [given, *net.parameters()], create_graph=True)
    plain = torch.autograd.grad(net(given).sum(), [given, *net.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(kept, plain, strict=True))


def test_a_penalty_is_refused_where_its_gradient_is_taken_by_parameters_alone() -> None:
    net, given = network(), x().requires_grad_()
    (slope,) = torch.autograd.grad(net(given).sum(), given, create_graph=True)
    with pytest.raises(InputError, match=r"qif2hw\.nn\.jets"):
        torch.autograd.grad((slope**2).sum(), list(net.parameters()), allow_unused=True)


def test_hessian_is_refused() -> None:
    net = network()
    with pytest.raises(InputError, match=r"qif2hw\.nn\.jets"):
        torch.autograd.functional.hessian(lambda v: net(v).sum(), x(1))


def test_weights_changed_between_the_passes_are_refused() -> None:
    net = network()
    loss = net(x()).sum()
    with torch.no_grad():
        net.layers[1].weight.add_(0.1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["weight", "phi0"])
def test_parameters_that_are_no_numbers_are_named(name: str, value: float) -> None:
    net = network()
    with torch.no_grad():
        getattr(net.layers[1], name).view(-1)[2] = value
    for call in (lambda: net(x()), lambda: jets(net, x()), lambda: derivative(net, x())):
        with pytest.raises(InputError, match=rf"layers\.1\.{name} holds {value:g}"):
            call()
    with pytest.raises(InputError, match=f"(phi0 of|projection to) population 'hidden2'|hidden2.* holds {value:g}"):
        net.to_network()


@pytest.mark.parametrize("value", [-1e-9, math.pi * 100])
def test_phases_outside_the_cycle_are_named(value: float) -> None:
    layer = QIFLayer(3, 2, trial=6.5)
    times = torch.full((1, 3, 1), 0.5, dtype=torch.float64)
    layer(times)
    with torch.no_grad():
        layer.phi0[1] = value
    with pytest.raises(InputError, match=r"parameter phi0 holds .* keep_inside\(\)"):
        layer(times)
    layer.keep_inside()
    layer(times)


def test_huge_weights_are_numbers() -> None:
    layer = QIFLayer(3, 2, trial=6.5)
    with torch.no_grad():
        layer.weight.fill_(1e200)
    layer.check_parameters()


@pytest.mark.parametrize(("value", "said"), [(math.nan, "nan"), (1.0000000001, "1.0000000001"), (-0.25, "-0.25")])
def test_inputs_out_of_range_are_named_with_all_digits(value: float, said: str) -> None:
    net, given = network(), x()
    given[3, 1] = value
    for call in (lambda: net(given), lambda: jets(net, given), lambda: derivative(net, given)):
        with pytest.raises(InputError, match=rf"inputs hold {said} at \[3, 1\]: every value must be scaled"):
            call()
