"""Tasks from equations written with names: what is tested, what is refused, what is part of the model."""

import math
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import qif2hw
from qif2hw import physics
from qif2hw.errors import InputError
from qif2hw.nn import PUBLISHED
from qif2hw.physics.residuals import _Stencil
from qif2hw.train import Settings, Task, train
from qif2hw.train.loop import build


def decay(steps: int = 400, **options: Any) -> Task:
    """u' = -2 u, u(0) = 1 on [0, 1]."""
    t = np.linspace(0, 1, 500)[:, None]
    chosen: dict[str, Any] = {
        "coordinates": {"t": (0.0, 1.0, "s")},
        "residual": lambda u, u_t: u_t + 2 * u,
        "base": lambda: 1.0,
        "factor": lambda t: t,
        "test": (t, np.exp(-2 * t)),
        "settings": Settings(steps=steps, learning_rate=1e-2, batch=100),
    }
    return physics.pinn("decay", **(chosen | options))


@pytest.mark.parametrize("pairs", [{"u_xx", "u_tt"}, {"u_xt"}])
def test_differences_are_exact_for_polynomials(pairs: set[str]) -> None:
    """Of fourth degree along each coordinate; a mixed derivative of second degree in each."""

    def exact(x: Tensor, t: Tensor) -> Tensor:
        return (x**2 + 1) * (t**2 - 2 * t) if pairs == {"u_xt"} else x**4 - 3 * x**2 * t + t**4 - x * t**3

    def wanted(x: Tensor, t: Tensor) -> dict[str, Tensor]:
        if pairs == {"u_xt"}:
            return {"u_x": 2 * x * (t**2 - 2 * t), "u_t": (x**2 + 1) * (2 * t - 2), "u_xt": 2 * x * (2 * t - 2)}
        first = {"u_x": 4 * x**3 - 6 * x * t - t**3, "u_t": -3 * x**2 + 4 * t**3 - 3 * x * t**2}
        return first | {"u_xx": 12 * x**2 - 6 * t, "u_tt": 12 * t**2 - 6 * x * t}

    names = sorted(pairs | {"u_x", "u_t"})

    def residual(x: Tensor, t: Tensor, u: Tensor, **given: Tensor) -> tuple[Tensor, ...]:
        return (u - exact(x, t), *(given[name] - wanted(x, t)[name] for name in names))

    # A signature with all the names.
    source = f"lambda x, t, u, {', '.join(names)}: residual(x, t, u, {', '.join(f'{n}={n}' for n in names)})"
    equation = physics.differential_equation({"x": (-1, 3), "t": (0, 2)}, eval(source, {"residual": residual}))
    stencil = _Stencil(equation)
    x, h = (
        0.1 + 0.8 * torch.rand(20, 2, dtype=torch.float64),
        torch.tensor([[0.03, 0.02]], dtype=torch.float64).expand(20, 2),
    )
    values = [exact(c[:, :1], c[:, 1:]) for c in equation.coordinates(stencil.everywhere(x, h)).split(20)]
    assert float(stencil.residual(x, h, values).abs().max()) < 1e-8


def test_the_conditions_are_part_of_the_model() -> None:
    task = physics.pinn(
        "system",
        coordinates={"x": (0.0, 2.0, "m"), "t": (0.0, 3.0)},
        quantities=("u", "v"),
        residual=lambda u_t, v_x, v_xt: (u_t, v_x - v_xt),
        base=lambda x, t: ((math.pi * x).sin(), 2.0),
        factor=lambda x, t: (t * x * (2 - x), t),
        hidden=(6,),
    )
    model = build(task, 0)
    network = replace(model.to_network(), host=task.host)
    assert network.host is not None
    assert [one.range for one in network.host.inputs] == ["[0.0, 2.0] m", "[0.0, 3.0]"]
    assert [one.name for one in network.host.outputs] == ["u", "v"]
    c = np.array([[0.5, 0.0], [2.0, 1.5], [0.7, 2.0]])
    y = qif2hw.run(network, c).y
    results = model(torch.from_numpy(c / [2, 3])).detach().numpy()
    np.testing.assert_allclose(y, task.solution(c / [2, 3], results), atol=1e-12)
    np.testing.assert_allclose(y[0], [1.0, 2.0], atol=1e-12)
    np.testing.assert_allclose(y[1, 0], 0.0, atol=1e-12)
    assert math.isinf(next(iter(task.errors(y, task.test_set().y[:3]).values())).relative)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"residual": lambda u, u_y: u}, "'u_y' is none of t, u or a first or second derivative such as u_t"),
        ({"residual": lambda w_t: w_t}, "'w_t'"),
        ({"residual": lambda u_ttt: u_ttt}, "'u_ttt'"),
        ({"coordinates": {"u": (0.0, 1.0)}}, "'u' among coordinates and quantities"),
        ({"quantities": ("u", "u_1")}, "'u_1' among coordinates and quantities"),
        ({"factor": lambda x: x}, "factor has the parameter 'x': coordinates are t"),
        ({"base": lambda: (1.0, 2.0)}, "base gives 2 values for u"),
        ({"test": (np.zeros((3, 2)), np.zeros((3, 1)))}, "a test set of shapes"),
        ({"quantities": ()}, "at least one"),
    ],
)
def test_wrong_names_and_shapes(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as refused:
        decay(**options)
    assert said in str(refused.value)


@pytest.mark.slow
def test_real_spikes_are_trained_by_differences_and_pseudospikes_by_derivatives() -> None:
    """Both reach the solution, and neither warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert train(decay(600, hidden=(32, 32))).error < 0.01
        assert train(decay(600, hidden=(32, 32), fields=None, regime=PUBLISHED)).error < 0.02


def test_a_training_that_kinks_fool_is_warned_about() -> None:
    """The loss is small and the solution far off; with differences, which see the kinks, it is right."""
    x = np.linspace(0, 1, 500)[:, None]
    fields, settings = 16, Settings(steps=600, learning_rate=3e-3, batch=50, optimizer="soap")
    task = physics.pinn(
        "poisson",
        coordinates={"x": (0.0, 1.0)},
        residual=lambda x, u_xx: u_xx / np.pi**2 + (np.pi * x).sin(),
        base=lambda: 0.0,
        factor=lambda x: x * (1 - x),
        test=(x, np.sin(np.pi * x)),
        hidden=(32,),
        fields=fields,
        settings=settings,
    )
    pointwise = replace(
        task, objective=lambda task, model, seed, teacher: physics.collocation(task.equation, model, seed, 50)
    )
    losses: list[float] = []
    with pytest.warns(physics.UnseenChange, match=r"lies in kinks.*qif2hw\.physics\.differences"):
        fooled = train(pointwise, progress=lambda done, total, loss, error: losses.append(loss))
    assert losses[-1] < 2e-3
    assert fooled.error > 0.2
    with warnings.catch_warnings():
        warnings.simplefilter("error", physics.UnseenChange)
        assert train(task).error < 0.05
