"""The differential equations: exact solutions satisfy them, in every form in which networks are trained on them."""

import math
from dataclasses import replace

import mpmath
import numpy as np
import pytest
import torch
from torch import Tensor

from qif2hw.experiments import tasks
from qif2hw.experiments.tasks import burgers_pinn, navier_stokes_pinn, poisson_operator, poisson_pinn
from qif2hw.nn.functional.jets import derivative, jets
from qif2hw.nn.functional.output import ForwardPass
from qif2hw.nn.layer import Route
from qif2hw.nn.network import QIFNetwork
from qif2hw.nn.regime import Regime
from qif2hw.physics import Physics, collocation

TASKS = {"poisson_pinn": poisson_pinn, "burgers_pinn": burgers_pinn, "navier_stokes_pinn": navier_stokes_pinn}


def beltrami(c: Tensor) -> Tensor:
    x, y, t = c.T
    u, v = -torch.cos(x) * torch.sin(y) * torch.exp(-2 * t), torch.sin(x) * torch.cos(y) * torch.exp(-2 * t)
    return torch.stack([u, v, -(torch.cos(2 * x) + torch.cos(2 * y)) * torch.exp(-4 * t) / 4], dim=1)


def sine(c: Tensor) -> Tensor:
    return 2 * torch.sin(math.pi * c)


def inside(physics: Physics, count: int) -> Tensor:
    return 0.05 + 0.9 * torch.from_numpy(physics.points(count, np.random.default_rng(0)))


@pytest.mark.parametrize(("module", "exact"), [(poisson_pinn, sine), (navier_stokes_pinn, beltrami)])
def test_the_exact_solution_has_no_residual(module: object, exact: object) -> None:
    physics: Physics = module.PHYSICS  # type: ignore[attr-defined]
    x = inside(physics, 40)
    c = physics.coordinates(x).requires_grad_()
    # The network's results that make the ansatz the exact solution, and their derivatives by autograd.
    results = (exact(c) - physics.base(c)) / physics.factor(c)  # type: ignore[operator]
    first, second = [], []
    for column in results.T:
        (gradient,) = torch.autograd.grad(column.sum(), c, create_graph=True)
        first.append(gradient)
        rows = [torch.autograd.grad(part.sum(), c, retain_graph=True)[0] for part in gradient.T]
        second.append(torch.stack([rows[i][:, j] for i, j in physics.pairs], dim=-1))
    residual = physics.residual(results, torch.stack(first, dim=1), torch.stack(second, dim=1), x)
    assert float(residual.detach().abs().max()) < 1e-9
    wrong = physics.residual(1.01 * results, torch.stack(first, dim=1), torch.stack(second, dim=1), x)
    assert float(wrong.detach().abs().max()) > 1e-4


@pytest.mark.parametrize("name", TASKS)
def test_conditions_hold_whatever_the_network_says(name: str) -> None:
    task, physics = tasks.get(name), TASKS[name].PHYSICS
    test = task.test_set()
    low, high = np.array(physics.domain).T
    edge = (test.x[:, : 2 if name == "navier_stokes_pinn" else 1] % 1 == 0).any(axis=1)
    if name != "poisson_pinn":
        edge |= test.x[:, -1] == 0
    assert edge.sum() > 1
    y = np.random.default_rng(1).normal(size=(edge.sum(), task.outputs))
    np.testing.assert_allclose(task.solution(test.x[edge], y), test.y[edge], atol=1e-12)
    assert (low < high).all()


def test_derivatives_of_the_ansatz_against_nested_autograd() -> None:
    physics = burgers_pinn.PHYSICS
    network = QIFNetwork((2, 5, 2), regime=Regime(), seed=3)
    x = inside(physics, 6)
    inputs = x.clone().requires_grad_()
    c = physics.coordinates(x)
    u = physics.value(inputs, derivative(network, inputs))
    (gradient,) = torch.autograd.grad(u.sum(), inputs, create_graph=True)
    first = gradient * torch.diagonal(physics.directions)
    (second,) = torch.autograd.grad(first[:, 0].sum(), inputs)
    wanted = physics.equations(c, u, first[:, None], (second[:, :1] * physics.directions[0, 0])[:, None])
    found = jets(network, x, directions=physics.directions, second=physics.pairs)
    residual = physics.residual(found.value, found.gradient, found.second, x)
    torch.testing.assert_close(residual, wanted, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("t", [0.0099, 0.3, 0.99])
def test_burgers_by_cole_and_hopf_to_ten_digits(t: float) -> None:
    x = np.array([-0.9, -0.3, 0.001, 0.01, 0.5])
    found = burgers_pinn.exact(x, t)
    mpmath.mp.dps = 30
    nu = mpmath.mpf(burgers_pinn.NU)

    def weight(z: mpmath.mpf, at: float) -> mpmath.mpf:
        return mpmath.exp(-mpmath.cos(mpmath.pi * z) / (2 * mpmath.pi * nu) - (at - z) ** 2 / (4 * nu * t))

    for at, value in zip(x, found, strict=True):
        reach = 14 * mpmath.sqrt(4 * nu * t)
        ends = [at - reach + 2 * reach * k / 64 for k in range(65)]
        upper = mpmath.quad(lambda z, at=at: mpmath.sin(mpmath.pi * z) * weight(z, at), ends, maxdegree=4)
        lower = mpmath.quad(lambda z, at=at: weight(z, at), ends, maxdegree=4)
        assert value == pytest.approx(float(-upper / lower), abs=1e-10)


def test_burgers_satisfies_its_equation() -> None:
    x, h, t = np.linspace(-0.95, 0.95, 9), 1e-4, 0.2
    u = [burgers_pinn.exact(x, t + k * h) for k in (-1, 0, 1)]
    left, right = burgers_pinn.exact(x - h, t), burgers_pinn.exact(x + h, t)
    residual = (u[2] - u[0]) / (2 * h) + u[1] * (right - left) / (2 * h)
    residual -= burgers_pinn.NU * (right - 2 * u[1] + left) / h**2
    assert np.abs(residual).max() < 1e-5


def test_operator_data_solve_the_equation() -> None:
    f, u = poisson_operator.fields(300, 5)
    assert np.abs(u[:, [0, -1]]).max() < 1e-12
    h = poisson_operator.SENSORS[1] - poisson_operator.SENSORS[0]
    # Numerov's difference: exact to h^4.
    second = -(u[:, 2:] - 2 * u[:, 1:-1] + u[:, :-2]) / h**2
    mean = (f[:, 2:] + 10 * f[:, 1:-1] + f[:, :-2]) / 12
    assert np.abs(second - mean).max() < 1e-6
    # Unit variance, and correlation exp(-d^2 / 2).
    assert f.std() == pytest.approx(1.0, abs=0.1)
    correlation = np.mean(f[:, 0] * f[:, 25]) / np.sqrt(np.mean(f[:, 0] ** 2) * np.mean(f[:, 25] ** 2))
    assert correlation == pytest.approx(np.exp(-0.5), abs=0.12)


def test_null_baselines() -> None:
    found = {}
    for name in TASKS:
        task = tasks.get(name)
        test = task.test_set()
        errors = task.errors(task.solution(test.x, np.zeros((len(test.x), task.outputs))), test.y)
        found[name] = max(error.relative for error in errors.values())
    assert found["poisson_pinn"] == 1.0
    assert found["burgers_pinn"] == pytest.approx(0.693, abs=1e-3)
    assert found["navier_stokes_pinn"] == pytest.approx(0.0379, abs=1e-4)


def test_losses_follow_from_the_step_alone() -> None:
    network = QIFNetwork((3, 6, 6), seed=1)
    physics = navier_stokes_pinn.PHYSICS
    first, second = (collocation(physics, network, 0, 8) for _ in range(2))
    first(0)
    assert float(first(250)) == float(second(250))


def test_the_weak_form_sees_what_a_derivative_does_not() -> None:
    """-u'' = 2 pi^2 sin(pi x) plus a kink: the pointwise residual is that of the smooth part, the weak one is not."""

    class Known(QIFNetwork):
        kink = 0.0

        def run(self, x: Tensor, *, path: Route | None = None) -> ForwardPass:
            y = 2 * torch.sin(math.pi * x) / (4 * x * (1 - x)) + self.kink * torch.minimum(x, 1 - x) / (x * (1 - x))
            return replace(super().run(x, path=path), y=y, first=torch.zeros_like(x))

    network = Known((1, 3, 2), seed=0)
    loss = poisson_pinn.POISSON.objective
    assert loss is not None
    assert float(loss(poisson_pinn.POISSON, network, 0, None)(0).detach()) < 1e-18
    network.kink = 0.1
    assert float(loss(poisson_pinn.POISSON, network, 0, None)(0).detach()) > 1e-3
