"""Tasks from sampled functions."""

from typing import Any

import numpy as np
import pytest

import qif2hw
from qif2hw import physics
from qif2hw.errors import InputError
from qif2hw.train import Settings, Task, train

PLACES = np.linspace(0, 2, 5)


def sampled() -> tuple[Any, Any]:
    a = np.random.default_rng(0).uniform(-1, 1, (30, 2))
    return a[:, :1] + a[:, 1:] * PLACES[:4], a[:, :1] * PLACES + a[:, 1:] * PLACES**2 / 2


def task(**options: Any) -> Task:
    chosen: dict[str, Any] = {
        "train": sampled, "test": sampled, "points": PLACES[:, None], "sensors": ("a", "b", "c", "d"),
        "reach": (-3, 3), "coordinates": {"x": (0.0, 2.0, "m")}, "factor": lambda x: x, "hidden": (8,), "products": 4,
        "fields": 3, "settings": Settings(steps=60, learning_rate=1e-2, batch=10),
    }  # fmt: skip
    return physics.operator("integral", **(chosen | options))


def test_a_small_operator_from_functions_to_the_engine() -> None:
    one = task()
    result = train(one)
    assert result.network.width == 5
    assert result.network.inputs == 4 + 3
    assert result.network.host is not None
    assert [i.name for i in result.network.host.inputs] == ["a", "b", "c", "d", "x"]
    functions, values = sampled()
    rows = np.concatenate([np.repeat(functions, 5, axis=0), np.tile(PLACES, 30)[:, None]], axis=1)
    np.testing.assert_allclose(result.x, rows, atol=1e-14)
    np.testing.assert_array_equal(result.truth[:, 0], values.ravel())
    run = qif2hw.run(result.network, rows)
    np.testing.assert_allclose(run.y, result.y, atol=1e-10)
    assert (run.y[::5] == 0).all()
    engine = qif2hw.compile(result.network).run(rows)
    assert np.abs(engine.y - run.y).max() < 0.3


def test_functions_of_other_shapes_are_refused() -> None:
    with pytest.raises(InputError, match=r"functions of shape \(30, 4\).*\(functions, 3\) and"):
        train(task(sensors=("a", "b", "c")))
    with pytest.raises(InputError, match=r"points of shape \(5,\)"):
        task(points=PLACES)
    with pytest.raises(InputError, match="factor has the parameter 'y'"):
        task(factor=lambda y: y)
