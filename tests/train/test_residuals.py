"""Residuals of a batch: their rows against autograd and finite differences, and steps against closed solutions."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from qif2hw import physics
from qif2hw.errors import InputError
from qif2hw.experiments import tasks
from qif2hw.experiments.tasks import burgers_pinn, poisson_pinn
from qif2hw.ir.weight_grid import largest_weight, weight_step
from qif2hw.nn import QIFNetwork, Regime
from qif2hw.physics.distillation import teacher_values
from qif2hw.train import Settings, Task, finish, train
from qif2hw.train.loop import build
from qif2hw.train.optim.gauss_newton import GaussNewton
from qif2hw.train.residuals import Residuals, networks

SENSORS = np.linspace(-1, 1, 5)


def drawn(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Antiderivatives of a x + b."""
    a, b = np.random.default_rng(count).uniform(-1, 1, (2, count, 1))
    return a * SENSORS + b, a * SENSORS**2 / 2 + b * SENSORS


OPERATOR = physics.operator(
    "antiderivative",
    train=lambda: drawn(30),
    test=lambda: drawn(31),
    points=SENSORS[:, None],
    sensors=[f"f{k}" for k in range(5)],
    reach=(-2.0, 2.0),
    coordinates={"x": (-1.0, 1.0)},
    factor=lambda x: 1 + x.square(),
    hidden=(6,),
    products=3,
    fields=3,
    settings=Settings(steps=60, learning_rate=1e-2, batch=10, finish_steps=15, rounding_steps=20),
)
FLOW = physics.pinn(
    "flow",
    coordinates={"x": (0.0, 2.0), "t": (-1.0, 1.0)},
    quantities=("u", "v"),
    residual=lambda u, v, u_x, u_tt, v_xt, v_t: (u_x * u + u_tt - v, v_xt + v_t, u - v),
    base=lambda x, t: (x.sin(), 1.0),
    factor=lambda x, t: (x, t),
    hidden=(7,),
    fields=3,
)
DECAY = physics.pinn(
    "decay",
    coordinates={"t": (0.0, 1.0)},
    residual=lambda u, u_t: u_t + 2 * u,
    base=lambda: 1.0,
    factor=lambda t: t,
    hidden=(16, 16),
    test=(np.linspace(0, 1, 500)[:, None], np.exp(-2 * np.linspace(0, 1, 500))[:, None]),
    settings=Settings(steps=100, learning_rate=1e-2, batch=100, finish_steps=30),
)
BURGERS = replace(burgers_pinn.TEACHER, sizes=(2, 7, 7, 2))
CASES = {
    "regression": replace(tasks.get("ripple"), sizes=(2, 7, 7, 2)),
    "late spikes": replace(tasks.get("ripple"), sizes=(2, 7, 7, 2), regime=Regime(margin=3.0)),
    "weak form": replace(tasks.get("poisson_pinn"), sizes=(1, 7, 2)),
    "three equations": FLOW,
    "smooth": replace(FLOW, regime=replace(FLOW.regime, margin=None, trial=2.0)),
    "odd": BURGERS,
    "operator": OPERATOR,
    "operator, late spikes": replace(OPERATOR, regime=replace(OPERATOR.regime, margin=3.0)),
}


def of(task: Task, groups: int) -> tuple[torch.nn.Module, Residuals, Residuals]:
    model = build(task, 0)
    draw = (task.residuals or finish.regression_residuals)(task, model, 0, None)
    assert isinstance(model, torch.nn.Module)
    return model, *draw(3, groups)


@pytest.mark.parametrize("name", CASES)
def test_rows_are_autograds_gradients(name: str) -> None:
    model, batch, _ = of(CASES[name], 12)
    rows, missing = batch.rows(model, np.float64)
    groups = len(batch.takes[0])
    leaves = finish.parameters(model)
    runs = [network.run(x) for network, x in zip(networks(model), batch.inputs, strict=True)]
    left = batch.form(*(run.y[torch.from_numpy(t)] for run, t in zip(runs, batch.takes, strict=True))).flatten()
    late = sum((n.deadline_penalty(run.first) for n, run in zip(networks(model), runs, strict=True)), torch.zeros(()))
    assert (float(late.detach()) > 0) == (len(missing) > len(left)) >= ("late" in name)
    np.testing.assert_array_equal(missing[: len(left)], -left.detach().numpy())
    np.testing.assert_array_equal(batch.values(model).ravel(), left.detach().numpy())
    for row, one in zip(rows[: len(left)], left, strict=False):
        expected = torch.cat([g.flatten() for g in torch.autograd.grad(one, leaves, retain_graph=True)]).numpy()
        assert expected.any()
        np.testing.assert_allclose(row, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())
    # All rows together are those of the loss.
    loss = left.square().sum() / groups + late
    assert batch.loss(model) == pytest.approx(float(loss.detach()), rel=1e-12)
    assert np.square(missing).sum() / groups == pytest.approx(float(loss.detach()), rel=1e-9)
    gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, leaves)]).numpy()
    np.testing.assert_allclose(-2 * missing @ rows / groups, gradient, rtol=1e-7, atol=1e-9 * np.abs(gradient).max())


@pytest.mark.parametrize("name", CASES)
def test_rows_are_finite_differences(name: str) -> None:
    model, batch, _ = of(CASES[name], 12)
    rows, _ = batch.rows(model, np.float64)
    direction = torch.from_numpy(np.random.default_rng(0).normal(size=rows.shape[1]))

    def moved(length: float) -> np.ndarray:
        with torch.no_grad():
            for p, part in zip(leaves, direction.split([p.numel() for p in leaves]), strict=True):
                p.add_(part.view(p.shape), alpha=length)
        return batch.values(model).ravel()

    # Short differences lose digits, longer ones meet the kinks of real spikes.
    leaves, h = finish.parameters(model), 1e-5 if name in ("smooth", "odd") else 1e-7
    difference = (moved(h) - moved(-2 * h)) / (2 * h)
    moved(h)
    expected = rows[: len(difference)] @ direction.numpy()
    np.testing.assert_allclose(difference, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["three equations", "odd", "operator"])
def test_a_step_is_the_closed_solution_of_the_linear_problem(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of residuals that are linear around the present parameters, damped; float64 and numpy beside it."""
    monkeypatch.setattr(finish, "ROWS", 60)
    monkeypatch.setattr(finish, "ELEMENT", np.float64)
    task = replace(CASES[name], settings=replace(CASES[name].settings, finish_steps=1))
    model = build(task, 0)
    assert task.residuals is not None
    equations = 3 if name == "three equations" else 1
    batch, _ = task.residuals(task, model, 0, None)(5, 60 // equations)
    rows, missing = batch.rows(model, np.float64)  # type: ignore[arg-type]
    optimizer = GaussNewton(finish.parameters(model), damping=1e-2)
    finish.finish_of(task, model, 0)(optimizer, 5, 1.0)
    assert optimizer.damping == 1e-2
    gram = rows.T @ rows + 1e-2 * np.square(rows).sum() / len(rows) * np.eye(rows.shape[1])
    np.testing.assert_allclose(optimizer.direction, np.linalg.solve(gram, rows.T @ missing), rtol=1e-6, atol=1e-9)


def test_the_operators_batches_make_up_its_loss() -> None:
    task = replace(OPERATOR, settings=replace(OPERATOR.settings, batch=None))
    model, batch, others = of(task, 75)
    assert task.objective is not None
    whole = float(task.objective(task, model, 0, None)(0).detach())  # type: ignore[arg-type]
    assert (batch.loss(model) + others.loss(model)) / 2 == pytest.approx(whole, rel=1e-12)


def test_the_exact_solution_leaves_nothing() -> None:
    """Burgers' solution by Cole and Hopf in the differences of its teacher; Poisson's in the weak form."""
    for task, equation, exact, most in (
        (burgers_pinn.TEACHER, burgers_pinn.PHYSICS, cole_hopf, 0.05),
        (tasks.get("poisson_pinn"), poisson_pinn.PHYSICS, lambda c: 2 * torch.sin(math.pi * c), 1e-9),
    ):
        batch = of(replace(task, sizes=(task.sizes[0], 3, 2)), 400)[1]
        c = equation.coordinates(batch.inputs[0])
        factor = equation.factor(c)
        results = torch.where(factor == 0, 0.0, (exact(c) - equation.base(c)) / factor)
        taken = results[torch.from_numpy(batch.takes[0])]
        assert float(batch.form(taken).abs().max()) < most
        assert float(batch.form(1.1 * taken).abs().max()) > 10 * most


def cole_hopf(c: Tensor) -> Tensor:
    return torch.tensor([burgers_pinn.exact(np.array([x]), t)[0] for x, t in c.tolist()])[:, None]


def test_equations_and_operators_gain_by_a_finish() -> None:
    for task in (DECAY, OPERATOR):
        alone = train(replace(task, settings=replace(task.settings, finish_steps=0)))
        assert train(task).error < 0.6 * alone.error


def test_an_operator_goes_onto_the_grid() -> None:
    network = train(OPERATOR, weight_bits=6).network
    for projection in network.projections:
        levels = projection.weight / np.abs(projection.weight).max() * (largest_weight(6) // weight_step(6))
        np.testing.assert_allclose(levels, levels.round(), atol=1e-9)


def test_losses_that_are_no_squares_are_refused_before_the_teacher_is_trained() -> None:
    task = tasks.get("navier_stokes_pinn")
    with pytest.raises(InputError, match="needs residuals"):
        train(replace(task, settings=replace(task.settings, finish_steps=5)))


def test_a_student_has_the_odd_part_of_its_teacher() -> None:
    teacher = QIFNetwork((2, 5, 2), seed=1)
    x = torch.rand(9, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    across = torch.stack([1 - x[:, 0], x[:, 1]], dim=1)
    values = teacher_values(burgers_pinn.PHYSICS, teacher, x, 0)
    opposite = teacher_values(burgers_pinn.PHYSICS, teacher, across, 0)
    torch.testing.assert_close(values, -opposite)
    plain = [burgers_pinn.PHYSICS.value(at, teacher(at)).detach() for at in (x, across)]
    torch.testing.assert_close(values, (plain[0] - plain[1]) / 2)


def test_a_network_starts_from_its_teacher() -> None:
    first = replace(DECAY, settings=Settings(steps=3, batch=10))
    second = replace(first, settings=Settings(steps=1, learning_rate=0.0, batch=10), teacher=first)
    taught = train(replace(second, starts_from_teacher=True), steps=1).network
    assert taught == train(first, steps=3).network
    assert taught != train(second, steps=1).network
