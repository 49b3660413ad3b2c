"""Weights that go onto the grid in rounds, each rounding compensated by all parameters after it."""

import copy
import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from qif2hw.errors import InputError
from qif2hw.experiments import tasks
from qif2hw.ir.weight_grid import nearest_unit, round_to_grid
from qif2hw.nn import QIFNetwork
from qif2hw.train import Settings, finish, loop, rounding, train
from qif2hw.train.optim.nearest_plane import NearestPlane
from qif2hw.train.quantize import IncrementalQuantizer

RICKER = replace(
    tasks.get("ricker"),
    sizes=(2, 8, 2),
    settings=Settings(steps=250, learning_rate=1e-2, finish_steps=30, rounding_steps=20, batch=256, optimizer="soap"),
)
TINY = 1e-12


def round_last(gram: Any, pull: Any, start: Any, step: Any, most: int, damping: float) -> Any:
    return NearestPlane(gram, pull, start, damping).round_last(step, most)


def quadratic(parameters: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Derivatives (rows, parameters) that are badly conditioned, what is missing (rows,), and parameters."""
    rng = np.random.default_rng(seed)
    jacobian = rng.normal(size=(40, parameters)) @ rng.normal(size=(parameters, parameters))
    return jacobian, rng.normal(size=40), rng.normal(size=parameters)


@pytest.mark.parametrize("seed", range(5))
def test_a_single_rounding_is_the_best_one(seed: int) -> None:
    """Of all grid points of the last parameter, with the others at their minimum by numpy's least squares."""
    jacobian, missing, start = quadratic(6, seed)

    def left(last: float) -> tuple[float, np.ndarray]:
        right = missing - jacobian[:, -1] * (last - start[-1])
        others = np.linalg.lstsq(jacobian[:, :-1], right, rcond=None)[0]
        return float(np.sum((right - jacobian[:, :-1] @ others) ** 2)), start[:-1] + others

    found = round_last(jacobian.T @ jacobian, jacobian.T @ missing, start, np.array([0.5]), 8, TINY)
    best = min(np.arange(-8, 9) * 0.5, key=lambda last: left(last)[0])
    assert found[-1] == best
    np.testing.assert_allclose(found[:-1], left(best)[1], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_all_on_the_grid(seed: int) -> None:
    """Every parameter on its grid; the form is within Babai's bound, and of rounding to the nearest much better."""
    jacobian, missing, start = quadratic(4, seed)
    step = np.array([0.3, 0.5, 0.2, 0.4])

    def form(parameters: np.ndarray) -> float:
        return float(np.sum((missing - jacobian @ (parameters - start)) ** 2))

    found = round_last(jacobian.T @ jacobian, jacobian.T @ missing, start, step, 100, TINY)
    np.testing.assert_array_equal(found, np.rint(found / step) * step)
    optimum = start + np.linalg.lstsq(jacobian, missing, rcond=None)[0]
    rise = form(found) - form(optimum)
    heights = np.abs(np.diagonal(np.linalg.qr(jacobian)[1]))
    # QR takes parameters in the same order: each one's part that those before it cannot take back.
    assert rise <= np.sum((heights * step / 2) ** 2) * (1 + 1e-6)
    nearby = itertools.product(*(np.rint(f / s) * s + s * np.arange(-3, 4) for f, s in zip(found, step, strict=True)))
    least = min(form(np.array(point)) for point in nearby) - form(optimum)
    assert least <= rise + 1e-9
    nearest = form(np.rint(optimum / step) * step) - form(optimum)
    assert rise <= nearest * (1 + 1e-9) or rise < 0.1 * np.sum((np.linalg.norm(jacobian, axis=0) * step) ** 2)


def test_the_grid_has_ends() -> None:
    found = round_last(np.eye(3), np.array([0.0, 9.0, -9.0]), np.zeros(3), np.array([1.0, 1.0]), 4, TINY)
    np.testing.assert_allclose(found, [0.0, 4.0, -4.0])


def test_a_singular_form_is_damped_more() -> None:
    ones = np.ones((3, 3))
    found = round_last(ones.copy(), np.ones(3), np.zeros(3), np.array([1.0]), 4, 1e-20)
    assert np.isfinite(found).all()
    assert abs(found.sum() - 1) < 1e-3
    assert not round_last(np.zeros((2, 2)), np.zeros(2), np.zeros(2), np.array([1.0]), 4, 1e-5).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite(bad: float) -> None:
    with pytest.raises(InputError, match="not finite"):
        round_last(np.diag([bad, 1.0]), np.zeros(2), np.zeros(2), np.array([1.0]), 4, TINY)
    with pytest.raises(InputError, match="not finite"):
        round_last(np.eye(2), np.array([bad, 0.0]), np.zeros(2), np.array([1.0]), 4, TINY)


def test_where_there_are_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many residuals as parameters at least, and room for two matrices of the parameters."""
    model = loop.build(RICKER, 0)
    assert rounding.rounding_of(RICKER, model, 0) is not None
    parabola = tasks.get("parabola")
    assert rounding.rounding_of(parabola, loop.build(parabola, 0), 0) is None
    monkeypatch.setattr(rounding, "LARGEST", 1000)
    assert rounding.rounding_of(RICKER, model, 0) is None


def test_rounds_put_weights_on_the_grid_where_they_stay() -> None:
    """Ever more of them, at least an eighth of those that are free; the last round takes all, and phases never."""
    model = loop.build(RICKER, 0)
    one = rounding.rounding_of(RICKER, model, 0)
    assert one is not None
    quantizer = IncrementalQuantizer(model.parameter_groups()[0], 8)
    quantizer.choose_units()
    for number in range(5):
        before = [level.clone() for level in quantizer.level]
        free = sum(int(mask.sum()) for mask in quantizer.free())
        one(number, quantizer, number == 4)
        assert free == 0 or sum(int(mask.sum()) for mask in quantizer.free()) <= free - free / 8
        for level, old, w, s in zip(quantizer.level, before, quantizer.weights, quantizer.step, strict=True):
            assert torch.equal(level[~old.isnan()], old[~old.isnan()])
            assert torch.equal(w[~level.isnan()], level[~level.isnan()] * float(s))
    assert quantizer.complete


def test_little_is_lost() -> None:
    """Of a trained network: far less than by rounding to the nearest, and less than half of what it has."""
    model = QIFNetwork.from_network(train(RICKER, seed=1).network)
    every = finish.regression_residuals(RICKER, model, 0, None)(0, 5000)
    free = sum(part.loss(model) for part in every)
    nearest = copy.deepcopy(model)
    with torch.no_grad():
        for w in nearest.parameter_groups()[0]:
            values = w.numpy()
            unit = nearest_unit(values, 8)
            w.copy_(torch.from_numpy(round_to_grid(values, unit, 8) * unit))
    naive = sum(part.loss(nearest) for part in every)
    one = rounding.rounding_of(RICKER, model, 0)
    assert one is not None
    quantizer = IncrementalQuantizer(model.parameter_groups()[0], 8)
    quantizer.choose_units(nearest_unit)
    number = 0
    while not quantizer.complete:
        one(number, quantizer, False)
        number += 1
    rounded = sum(part.loss(model) for part in every)
    assert rounded < 1.5 * free
    assert rounded - free < 0.1 * (naive - free)


def test_few_bits_have_no_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of a grid of five bits are too large for a linear form."""
    asked = []
    monkeypatch.setattr(loop, "rounding_of", lambda *_: asked.append(True))
    short = replace(RICKER, settings=replace(RICKER.settings, steps=2, finish_steps=2, rounding_steps=2))
    train(short, weight_bits=5)
    assert not asked
    train(short, weight_bits=6)
    assert asked


def test_a_form_that_does_not_hold_is_damped(monkeypatch: pytest.MonkeyPatch) -> None:
    """With three bits the grid is too coarse for a linear form: more damping leaves less of a loss."""
    model = QIFNetwork.from_network(train(RICKER, seed=1).network)
    left = []
    for dampings in (rounding.DAMPINGS[:1], rounding.DAMPINGS):
        monkeypatch.setattr(rounding, "DAMPINGS", dampings)
        own = copy.deepcopy(model)
        one = rounding.rounding_of(RICKER, own, 0)
        assert one is not None
        quantizer = IncrementalQuantizer(own.parameter_groups()[0], 3)
        quantizer.choose_units(nearest_unit)
        left.append(one(0, quantizer, True))
    assert left[1] < left[0]
