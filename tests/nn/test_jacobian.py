"""Rows of a Jacobian against autograd, one gradient for each of them: every bit."""

import numba
import numpy as np
import pytest
import torch
from torch import Tensor

from qif2hw.errors import InputError
from qif2hw.ir import Sparse
from qif2hw.ir.host_part.receptive_fields import ReceptiveFields
from qif2hw.nn import QIFNetwork, Regime
from qif2hw.nn.functional.jacobian import jacobian


def points(model: QIFNetwork, count: int) -> Tensor:
    return torch.rand(
        (count, model.width), generator=torch.Generator().manual_seed(7), dtype=model.scale.dtype
    )  # fmt: skip


def leaves(model: QIFNetwork) -> list[Tensor]:
    return [p for layer in model.layers for p in (layer.weight, layer.phi0)]


def gradient(of: Tensor, model: QIFNetwork) -> np.ndarray:
    return torch.cat([g.reshape(-1) for g in torch.autograd.grad(of, leaves(model), retain_graph=True)]).numpy()


MODELS = {
    "one output": QIFNetwork((2, 16, 16, 2), seed=1),
    "three outputs": QIFNetwork((3, 20, 7, 6), seed=2, scale=0.7, offset=0.2),
    "one layer": QIFNetwork((4, 2), seed=3),
    "many spikes": QIFNetwork((2, 9, 9, 4), seed=4, regime=Regime(trial=30.0, margin=None)),
    "short trial": QIFNetwork((2, 9, 9, 4), seed=5, regime=Regime(trial=2.5, margin=None)),
    "float32": QIFNetwork((2, 16, 33, 4), seed=6, dtype=torch.float32),
    "fields": QIFNetwork((8, 12, 2), seed=7, fields=ReceptiveFields(4)),
    "on the grid": QIFNetwork((2, 12, 12, 2), seed=8, weight_bits=4),
}


@pytest.mark.parametrize("name", MODELS)
def test_rows_are_autograds_gradients(name: str) -> None:
    model = MODELS[name]
    run = model.run(points(model, 21))
    outputs = run.y.shape[1]
    found = jacobian(run)
    expected = np.stack([gradient(run.y[b, m], model) for b in range(21) for m in range(outputs)])
    assert found.dtype == expected.dtype
    assert found.shape == (21 * outputs, sum(p.numel() for p in leaves(model)))
    assert np.array_equal(found, expected)
    assert expected.any(axis=1).all(), "a gradient that is zero shows nothing"
    assert np.array_equal(jacobian(run, dtype=np.float32), expected.astype(np.float32))


def test_rows_of_chosen_samples_and_first_spikes() -> None:
    model = MODELS["three outputs"]
    run = model.run(points(model, 11))
    rng = np.random.default_rng(0)
    samples, by_y, by_first = rng.integers(0, 11, 40), rng.normal(size=(40, 3)), rng.normal(size=(40, 6))
    found = jacobian(run, samples, by_y=by_y, by_first=by_first)
    for row, b, alpha, beta in zip(found, samples, by_y, by_first, strict=True):
        number = (run.y[b] * torch.from_numpy(alpha)).sum() + (run.first[b] * torch.from_numpy(beta)).sum()
        assert np.array_equal(row, gradient(number, model))
    assert np.array_equal(jacobian(run, samples, by_y=by_y), jacobian(run, samples, by_y=by_y, by_first=0 * by_first))


def test_rows_of_several_samples() -> None:
    model = MODELS["three outputs"]
    run = model.run(points(model, 11))
    rng = np.random.default_rng(0)
    samples, by_y, by_first = rng.integers(0, 11, (40, 3)), rng.normal(size=(40, 3, 3)), rng.normal(size=(40, 3, 6))
    by_y[::2, 1], by_first[::2, 1] = 0.0, 0.0
    by_y[7], by_first[7] = 0.0, 0.0
    found = jacobian(run, samples, by_y=by_y, by_first=by_first)
    each = [jacobian(run, samples[:, k], by_y=by_y[:, k], by_first=by_first[:, k]) for k in range(3)]
    np.testing.assert_allclose(found, sum(each), rtol=1e-12, atol=1e-12 * np.abs(found).max())
    assert not found[7].any()
    assert np.array_equal(jacobian(run, samples[:, :1], by_y=by_y[:, :1], by_first=by_first[:, :1]), each[0])


def test_the_number_of_threads_changes_no_bit() -> None:
    model = QIFNetwork((2, 64, 64, 2), seed=3)
    run = model.run(points(model, 300))
    found = []
    for threads in (1, numba.config.NUMBA_NUM_THREADS):
        numba.set_num_threads(threads)
        found.append(jacobian(run))
    assert np.array_equal(*found)
    by_sum = gradient(run.y.sum(), model)
    assert np.allclose(found[0].sum(axis=0), by_sum, rtol=1e-11, atol=1e-11)


def test_what_has_no_rows() -> None:
    model = MODELS["one output"]
    x = points(model, 5)
    with torch.no_grad(), pytest.raises(InputError, match="gradients enabled"):
        jacobian(model.run(x))
    with pytest.raises(InputError, match="dense layers"):
        jacobian(model.run(x, path="scan"))
    listed = QIFNetwork((2, 4, 2), synapses=[Sparse([0, 1, 2, 2, 2], [0, 1], 2), None])
    with pytest.raises(InputError, match="dense layers"):
        jacobian(listed.run(x))
    run = model.run(x)
    with pytest.raises(InputError, match="below 5"):
        jacobian(run, np.array([5]), by_y=np.ones((1, 1)))
    with pytest.raises(InputError, match="are needed"):
        jacobian(run, np.array([0, 1]), by_y=np.ones((1, 1)))
    with pytest.raises(InputError, match="belong to"):
        jacobian(run, by_y=np.ones((5, 1)))
