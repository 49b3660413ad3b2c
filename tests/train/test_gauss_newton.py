"""Second-order steps against the closed solutions of linear problems."""

import numpy as np
import pytest
import torch
from torch import nn

from qif2hw.errors import InputError
from qif2hw.train.optim import gauss_newton
from qif2hw.train.optim.gauss_newton import GaussNewton, gram_of


def linear(rows: int, columns: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A badly conditioned matrix, and results that some parameters give exactly."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, columns)) * 10.0 ** -np.linspace(0, 3, columns)
    return matrix, matrix @ rng.normal(size=columns)


def parameters(*sizes: tuple[int, ...]) -> list[nn.Parameter]:
    return [nn.Parameter(torch.zeros(size, dtype=torch.float64)) for size in sizes]


def values(optimizer: GaussNewton) -> np.ndarray:
    return torch.cat([p.detach().reshape(-1) for p in optimizer.parameters]).numpy()


@pytest.mark.parametrize("shape", [(30, 50), (50, 30), (600, 40), (1, 3)])
@pytest.mark.parametrize("damping", [1e-3, 10.0])
def test_a_step_is_the_closed_solution(shape: tuple[int, int], damping: float) -> None:
    matrix, wanted = linear(*shape)
    optimizer = GaussNewton(parameters((shape[1],)), damping=damping)
    optimizer.turn(matrix, wanted)
    added = damping * np.square(matrix).sum() / len(matrix)
    closed = np.linalg.solve(matrix.T @ matrix + added * np.eye(shape[1]), matrix.T @ wanted)
    assert np.allclose(optimizer.direction, closed, rtol=1e-8, atol=1e-10)
    # The momentum's part: what the old direction gives already is not asked for again.
    optimizer.turn(matrix, wanted)
    old = optimizer.momentum * closed
    more = np.linalg.solve(matrix.T @ matrix + added * np.eye(shape[1]), matrix.T @ (wanted - matrix @ old))
    assert np.allclose(optimizer.direction, old + more, rtol=1e-8, atol=1e-10)


def test_what_is_not_free_stays() -> None:
    matrix, wanted = linear(30, 50)
    free = np.arange(50) % 3 > 0
    optimizer, alone = GaussNewton(parameters((50,))), GaussNewton(parameters((free.sum(),)))
    optimizer.turn(matrix, wanted)
    alone.direction.copy_(optimizer.direction[torch.from_numpy(free)])
    optimizer.turn(matrix[:, free], wanted, free)
    alone.turn(matrix[:, free], wanted)
    assert np.array_equal(optimizer.direction.numpy()[free], alone.direction)
    assert not optimizer.direction.numpy()[~free].any()


def test_batches_of_a_linear_problem_give_its_solution() -> None:
    matrix, wanted = linear(400, 60)
    optimizer = GaussNewton(parameters((4, 10), (20,)))
    rng = np.random.default_rng(1)

    for _ in range(400):
        order = rng.permutation(400)
        batch, fresh = order[:40], order[40:80]
        optimizer.turn(matrix[batch], wanted[batch] - matrix[batch] @ values(optimizer))
        optimizer.move(lambda rows=fresh: float(np.square(wanted[rows] - matrix[rows] @ values(optimizer)).mean()))
        if optimizer.ended:
            break
    solution = np.linalg.lstsq(matrix, wanted, rcond=None)[0]
    off = np.linalg.norm(matrix @ (values(optimizer) - solution)) / np.linalg.norm(wanted)
    assert off < 1e-6


def test_noise_of_the_batches_shortens_the_steps() -> None:
    matrix, wanted = linear(1000, 60)
    wanted = wanted + 0.1 * np.std(wanted) * np.random.default_rng(2).normal(size=1000)
    optimizer = GaussNewton(parameters((60,)))
    rng = np.random.default_rng(1)
    best = np.linalg.norm(wanted - matrix @ np.linalg.lstsq(matrix, wanted, rcond=None)[0])
    excess = []
    while not optimizer.ended and optimizer.steps < 600:
        order = rng.permutation(1000)
        batch, fresh = order[:50], order[50:100]
        optimizer.turn(matrix[batch], wanted[batch] - matrix[batch] @ values(optimizer))
        optimizer.move(lambda rows=fresh: float(np.square(wanted[rows] - matrix[rows] @ values(optimizer)).mean()))
        if optimizer.length == 0.3 or optimizer.ended:
            excess.append(np.linalg.norm(wanted - matrix @ values(optimizer)) / best - 1)
    assert optimizer.ended
    assert excess[-1] < 0.1
    assert excess[-1] < 0.3 * min(excess[:-1]), "the first length would have been as good"


@pytest.mark.parametrize("bad", [2.1, np.inf, np.nan])
def test_a_step_that_makes_it_much_worse_is_taken_back(bad: float) -> None:
    optimizer = GaussNewton(parameters((3,)), damping=1e-2)
    optimizer.turn(np.eye(3), np.ones(3))
    assert optimizer.move(lambda: bad if values(optimizer).any() else 1.0) == 1.0
    assert not values(optimizer).any()
    assert not optimizer.direction.any()
    assert optimizer.damping == pytest.approx(4e-2)


def test_float32_that_cannot_be_factored_is_damped_more() -> None:
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.normal(size=(20, 500)), 10, axis=0).astype(np.float32)
    optimizer = GaussNewton(parameters((500,)), damping=1e-12)
    optimizer.turn(rows, np.repeat(rng.normal(size=20), 10))
    assert 1e-12 < optimizer.damping < 1e-3
    assert np.isfinite(optimizer.direction).all()
    with pytest.raises(InputError, match="not finite"):
        optimizer.turn(rows, np.full(200, np.nan))


def test_without_derivatives_only_momentum_is_left() -> None:
    optimizer = GaussNewton(parameters((3,)))
    optimizer.turn(np.eye(3), np.ones(3))
    before = optimizer.direction.clone()
    optimizer.turn(np.zeros((2, 3)), np.ones(2))
    assert torch.equal(optimizer.direction, optimizer.momentum * before)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_gram_of_any_number_of_rows(dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).normal(size=(70, 33)).astype(dtype)
    monkeypatch.setattr(gauss_newton, "TILE", 16)
    found = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(gauss_newton.numba, "get_num_threads", lambda n=threads: n)
        found.append(gram_of(rows))
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    assert np.array_equal(found[0], found[0].T)
    assert np.allclose(found[0], rows @ rows.T, rtol=1e-4, atol=1e-4)
