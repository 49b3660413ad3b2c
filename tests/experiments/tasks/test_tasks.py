"""The problems: their data against values worked out apart."""

import math

import numpy as np
import pytest

from qif2hw.errors import InputError
from qif2hw.experiments import catalogue, tasks
from qif2hw.experiments.reproduce.paper import PAPER


@pytest.mark.parametrize(("name", "regime"), [(name, r) for r, known in tasks.REGIMES.items() for name in known])
def test_data_fits_the_network(name: str, regime: str) -> None:
    task = tasks.get(name, regime)
    test = task.test_set()
    assert test.x.shape == (len(test.y), task.sizes[0])
    assert test.y.shape[1] == len(task.quantities) <= task.outputs
    assert len(test.x) % task.block == 0
    x = task.train_set(0).x
    for inputs in (test.x, x):
        assert inputs.min() >= 0
        assert inputs.max() <= 1
    assert x.shape[1] == task.sizes[0]
    values = task.solution(test.x[:7], np.zeros((7, task.outputs)))
    assert values.shape == (7, len(task.quantities))


@pytest.mark.parametrize(
    ("name", "point", "value"),
    [
        ("parabola", (0.5,), 0.25),
        # At the centre the wavelet is 1 / (pi 0.8^4); at rho = s sqrt(2) it is zero.
        ("ricker", (0.0, 0.0), 1 / (math.pi * 0.4096)),
        ("ricker", (0.8, 0.8), 0.0),
        # rho = 0.125 is a quarter of a period, rho = 1 two whole ones.
        ("ripple", (0.125, 0.0), 0.75),
        ("ripple", (0.6, 0.8), 0.5),
    ],
)
def test_values(name: str, point: tuple[float, ...], value: float) -> None:
    samples = tasks.get(name).test_set()
    nearest = np.argmin(np.abs(2 * samples.x - 1 - np.array(point)).max(axis=1))
    offset = np.abs(2 * samples.x[nearest] - 1 - np.array(point)).max()
    assert offset < 0.004
    assert samples.y[nearest, 0] == pytest.approx(value, abs=12 * offset + 1e-12)


def test_the_names_are_known_without_what_computes_the_tasks() -> None:
    assert tuple(tasks.TASKS) == catalogue.TASKS
    assert tuple(tasks.REGIMES) == catalogue.REGIMES
    assert set(tasks.PUBLISHED_TASKS) == {task for task, _ in PAPER} <= set(catalogue.TASKS)


def test_unknown_task_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="known are parabola, ricker, ripple"):
        tasks.get("cubic")
    with pytest.raises(InputError, match="known are ordinary, published"):
        tasks.get("parabola", "natural")
