"""Gaussian receptive fields, as data and in a network that is trained, compiled and run."""

import math

import numpy as np
import pytest
import torch

import qif2hw
from qif2hw import reference
from qif2hw.errors import InputError
from qif2hw.experiments import tasks
from qif2hw.ir.host_part.receptive_fields import ReceptiveFields
from qif2hw.nn.encoding import activities
from qif2hw.train import train


def test_fields_are_gaussians_around_even_centres() -> None:
    x = np.random.default_rng(0).random((5, 2))
    fields = activities(ReceptiveFields(4), torch.from_numpy(x)).numpy()
    assert fields.shape == (5, 8)
    for b, k, field in ((0, 0, 0), (3, 0, 2), (4, 1, 3)):
        away = 3 * x[b, k] - field
        assert math.isclose(fields[b, 4 * k + field], math.exp(-(away**2) / 2), rel_tol=1e-12)
    at = activities(ReceptiveFields(4), torch.tensor([[1 / 3]], dtype=torch.float64))
    assert (at == 1).tolist() == [[False, True, False, False]]


def test_wider_fields_overlap_more() -> None:
    x = torch.tensor([[0.5]])
    assert (activities(ReceptiveFields(4, 2.0), x) > activities(ReceptiveFields(4), x)).all()


@pytest.mark.parametrize(("count", "overlap"), [(1, 1.0), (3, 0.0)])
def test_useless_fields_are_refused(count: int, overlap: float) -> None:
    with pytest.raises(InputError, match="receptive fields"):
        ReceptiveFields(count, overlap)


def test_physics_and_operators_take_fields() -> None:
    """Losses on jets, on finite steps and of an operator; the host's part scales and encodes coordinates alone."""
    for name, regime, channels in (
        ("burgers_pinn", "published", 8),
        ("poisson_pinn", "ordinary", 4),
        ("navier_stokes_pinn", "ordinary", 12),
        ("poisson_operator", "ordinary", 55),
    ):
        task = tasks.with_receptive_fields(tasks.get(name, regime), 4)
        assert task.sizes[0] == channels
        result = train(task, steps=2)
        assert (result.network.inputs, result.network.width) == (channels, task.test_set().x.shape[1])
        x = result.x[:3]
        np.testing.assert_allclose(reference.run(result.network, x).y, result.y[:3], rtol=1e-9, atol=1e-9)


def test_a_network_behind_receptive_fields_reaches_the_engine() -> None:
    task = tasks.with_receptive_fields(tasks.get("parabola"), 6)
    assert task.sizes[0] == 6
    result = train(task, steps=300)
    assert result.error < 0.02
    assert (result.network.inputs, result.network.width) == (6, 1)
    bundle = qif2hw.compile(result.network, calibration=task.raw(task.train_set(0).x), steps=512)
    x = np.linspace(-1, 1, 1000)[:, None]
    np.testing.assert_allclose(result.x, x, rtol=0, atol=1e-15)
    assert task.errors(bundle.run(x).y, x**2)["y"].relative < result.error + 0.005
