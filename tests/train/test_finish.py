"""The second-order finish of a training run."""

from dataclasses import replace
from pathlib import Path

import numba
import numpy as np
import pytest
import torch

from qif2hw import reference
from qif2hw.compiler import CompileOptions, rounded_network
from qif2hw.errors import InputError
from qif2hw.experiments import tasks
from qif2hw.ir import Network
from qif2hw.ir.weight_grid import largest_weight, weight_step
from qif2hw.nn import DeepONet
from qif2hw.nn.functional import compiled
from qif2hw.train import Samples, Settings, finish, loop, plan, train
from qif2hw.train.optim.gauss_newton import GaussNewton

PARABOLA = replace(
    tasks.get("parabola"),
    sizes=(1, 8, 2),
    settings=Settings(steps=60, finish_steps=30, rounding_steps=40, batch=32, optimizer="soap"),
)


class Interrupted(Exception):
    pass


def test_the_finish_lowers_the_error() -> None:
    alone = train(replace(PARABOLA, settings=replace(PARABOLA.settings, finish_steps=0)), steps=200)
    finished = train(PARABOLA, steps=200)
    assert finished.error < 0.5 * alone.error


@pytest.mark.parametrize("bits", [4, 8])
def test_second_order_steps_put_the_weights_onto_the_grid(bits: int) -> None:
    """Every weight is on the grid, where the compiler leaves it, and better than rounded to the nearest."""
    free = train(PARABOLA, steps=200)
    rounded = train(PARABOLA, steps=200, weight_bits=bits)
    for p in rounded.network.projections:
        level = p.weight / np.abs(p.weight).max() * (largest_weight(bits) // weight_step(bits))
        assert np.allclose(level, level.round(), atol=1e-9)
    nearest = as_network_rounded(free.network, bits)
    test = PARABOLA.test_set()
    naive = PARABOLA.errors(reference.run(nearest, PARABOLA.raw(test.x)).y, test.y)["y"].relative
    assert rounded.error < 0.5 * naive
    if bits == 8:
        assert rounded.error < 2 * free.error
    options = CompileOptions(weight_bits=bits)
    kept = rounded_network(rounded.network, options)
    assert all(
        np.allclose(a.weight, b.weight, rtol=1e-12)
        for a, b in zip(kept.projections, rounded.network.projections, strict=True)
    )


def as_network_rounded(network: Network, bits: int) -> Network:
    return rounded_network(network, CompileOptions(weight_bits=bits, rounding="nearest"))


@pytest.mark.parametrize("stop", [20, 75, 94, 110])
def test_resumed_is_uninterrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int) -> None:
    monkeypatch.setattr(loop, "SAVE_EVERY", 5)
    monkeypatch.setattr(loop, "SAVE_FINISH_EVERY", 5)
    monkeypatch.setattr(loop, "REPORTS", 1000)
    whole = train(PARABOLA, seed=3, weight_bits=6)
    path = tmp_path / "state.safetensors"

    def interrupt(step: int, total: int, loss: float, error: float) -> None:
        if step >= stop + 3:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(PARABOLA, seed=3, weight_bits=6, checkpoint=path, progress=interrupt)
    resumed = train(PARABOLA, seed=3, weight_bits=6, checkpoint=path)
    assert resumed.network == whole.network
    assert resumed.error == whole.error


def test_the_number_of_threads_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "WORTH_THREADS", 0)
    found = []
    for threads in (1, numba.config.NUMBA_NUM_THREADS):
        numba.set_num_threads(threads)
        found.append(train(PARABOLA).network)
    assert found[0] == found[1]


def test_the_rule() -> None:
    slowness = finish.Slowness(100)
    falling = [slowness.after(0.8**step) for step in range(40)]
    assert not any(falling)
    flat = [slowness.after(0.8**40 * 0.95**step) for step in range(20)]
    assert flat == [False] * 19 + [True]


def test_where_it_is_in_the_plan() -> None:
    stages = plan(PARABOLA.settings, weight_bits=8)
    assert [(s.start, s.stop, s.second_order) for s in stages] == [
        (0, 60, False), (60, 90, True), (90, 130, True), (130, 138, True),
    ]  # fmt: skip
    assert [s.freezes for s in stages] == [False, False, True, False]
    assert [s.weights_move for s in stages] == [True, True, True, False]
    shares = [stages[1].rate_at(step) for step in range(60, 90)]
    assert shares[:22] == [1.0] * 22
    assert shares[22:] == sorted(shares[22:], reverse=True)
    assert 0.1 < shares[-1] < 0.3
    assert len(plan(replace(PARABOLA.settings, finish_steps=0))) == 1


@pytest.mark.parametrize(("full_after", "lengths"), [(None, [10, 40, 60]), (0.5, [20, 40, 40]), (0.0, [40, 40, 40])])
def test_how_long_weights_take_onto_the_grid(full_after: float | None, lengths: list[int]) -> None:
    """In proportion to the steps with free weights, or not below a share of them, or never."""
    settings = replace(PARABOLA.settings, full_after=full_after)
    stages = [plan(settings, steps, 8)[2] for steps in (15, 60, 90)]
    assert [stage.stop - stage.start for stage in stages] == lengths


def test_what_cannot_be_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = PARABOLA.train_set(0)
    with pytest.raises(InputError, match="two samples or more"):
        train(replace(PARABOLA, train_set=lambda seed: Samples(alone.x[:1], alone.y[:1])))
    other = DeepONet((1, 2), (1, 2))
    other.more = torch.nn.Linear(1, 1)
    other.parameter_groups = lambda: (list(other.parameters()), [])
    with pytest.raises(InputError, match="layers of QIF neurons"):
        train(replace(PARABOLA, make=lambda task, seed: other))
    monkeypatch.setattr(finish, "LARGEST", 1000)
    with pytest.raises(InputError, match="too many"):
        train(PARABOLA)


def test_it_goes_on_when_a_batch_has_late_spikes() -> None:
    task = replace(PARABOLA, regime=replace(PARABOLA.regime, margin=3.0))
    model = loop.build(task, 0)
    step = finish.finish_of(task, model, 0)
    optimizer = GaussNewton(finish.parameters(model))
    losses = [step(optimizer, number, 1.0) for number in range(20)]
    assert losses[-1] < 0.5 * losses[0]
