"""Tables as tasks: rows, standardised targets, a validation set whose best parameters are kept."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from qif2hw import reference
from qif2hw.data.columns import Numbers
from qif2hw.errors import InputError
from qif2hw.ir import Network
from qif2hw.ir.weight_grid import largest_weight, weight_step
from qif2hw.train import Task, loop, train
from qif2hw.train.tables import TableOptions, choice, choose_fields, table_task
from qif2hw.train.tables.rules import finish_steps
from qif2hw.train.tables.split import split
from qif2hw.train.watch import LEAST_SECOND_ORDER

ROOT = Path(__file__).parents[2]


class Interrupted(Exception):
    pass


def numbers(rows: int = 40) -> Numbers:
    x = np.random.default_rng(0).uniform(-5, 3, (rows, 2))
    return Numbers(x, 100 + 7 * x[:, :1] - x[:, 1:] ** 2, ("a", "b"), ("y",))


def test_rows_are_divided() -> None:
    rows, classes = np.arange(100), np.repeat([0, 1], [80, 20])
    first, second = split(rows, 0.25, 3, classes)
    assert np.array_equal(np.sort(np.concatenate([first, second])), rows)
    assert np.bincount(classes[second]).tolist() == [20, 5]
    assert not np.array_equal(second, split(rows, 0.25, 4, classes)[1])
    assert [len(part) for part in split(rows[:2], 0.15, 0)] == [1, 1]


def test_the_best_parameters_are_kept_and_a_resumed_run_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SAVE_EVERY", 10)
    data = numbers()
    task = table_task("table", data, TableOptions(hidden=(5,), fields=1, finish=0))
    whole = train(task, seed=1, steps=70)
    best = whole.history[np.argmin(whole.history[:, 2])]
    assert whole.history[:, 0].tolist() == [20, 40, 60, 70]
    validation = task.validation_set(1)
    assert task.host is not None
    y = reference.run(whole.network, task.host.unscaled(validation.x)).y
    # The targets were standardised: their deviation is the solution of 1 minus that of 0.
    at = np.zeros((1, 2))
    deviation = task.solution(at, np.ones((1, 1))) - task.solution(at, np.zeros((1, 1)))
    missing = (y - task.solution(validation.x, validation.y)) / deviation
    assert np.square(missing).mean() == pytest.approx(best[2], rel=1e-6)

    def interrupt(step: int, total: int, loss: float, error: float) -> None:
        if step == 33:
            raise Interrupted

    path = tmp_path / "state"
    with pytest.raises(Interrupted):
        train(task, seed=1, steps=70, checkpoint=path, progress=interrupt)
    resumed = train(task, seed=1, steps=70, checkpoint=path)
    assert resumed.network == whole.network
    np.testing.assert_array_equal(resumed.history, whole.history)
    other = table_task("table", numbers(41), TableOptions(hidden=(5,), fields=1, finish=0))
    with pytest.raises(InputError, match="another run"):
        train(other, seed=1, steps=70, checkpoint=path)


def smooth(rows: int, noise: float = 0.0) -> Numbers:
    rng = np.random.default_rng(1)
    x = rng.uniform(0, 1, (rows, 2))
    return Numbers(x, np.sin(5 * x[:, :1]) * x[:, 1:] + noise * rng.normal(size=(rows, 1)), ("a", "b"), ("y",))


def short(data: Numbers, **settings: object) -> Task:
    """A table's task of few steps, whose second-order steps begin by the rule."""
    task = table_task("table", data, TableOptions(hidden=(8,), fields=4))
    few = {"steps": 200, "look_every": 10, "full_after": 0.2, "finish_steps": 30, "rounding_steps": 30} | settings
    return replace(task, settings=replace(task.settings, **few))  # type: ignore[arg-type]


def loss_on(part: str, task: Task, network: Network) -> float:
    """Mean square error of the solution, in units of the targets."""
    samples = task.validation_set(0) if part == "validation" and task.validation_set else task.train_set(0)
    y = reference.run(network, task.raw(samples.x)).y
    return float(np.square(y - task.solution(samples.x, samples.y)).mean())


def test_second_order_steps_go_with_a_validation_set() -> None:
    """They lower the validation loss further, and the best parameters are those that the network has."""
    task = short(smooth(150))
    alone = train(short(smooth(150), finish_steps=0))
    found = train(task)
    first_order = found.history[:, 0] <= found.steps
    second_order = found.history[~first_order]
    assert second_order[:, 0].tolist() == list(range(found.steps + 1, found.steps + 1 + len(second_order)))
    assert found.history[:, 2].min() == second_order[:, 2].min() < 0.5 * found.history[first_order, 2].min()
    assert loss_on("validation", task, found.network) < 0.5 * loss_on("validation", task, alone.network)
    deviation = task.solution(np.zeros((1, 2)), np.ones((1, 1))) - task.solution(np.zeros((1, 2)), np.zeros((1, 1)))
    best = found.history[:, 2].min() * float(deviation[0, 0]) ** 2
    assert loss_on("validation", task, found.network) == pytest.approx(best, rel=1e-6)


def test_slow_steps_end_and_their_number_repeats_the_run() -> None:
    task = short(smooth(150), steps=400)
    found = train(task, weight_bits=6)
    assert found.steps < 400, "by the rule"
    again = train(task, weight_bits=6, steps=found.steps)
    assert again.network == found.network
    np.testing.assert_array_equal(again.history, found.history)


def test_there_are_no_second_order_steps_where_they_learn_noise(tmp_path: Path) -> None:
    """The first-order steps end since the validation loss falls no more: what follows is left out, repeated too."""
    task = short(smooth(150, noise=3.0), steps=1000)
    found = train(task, weight_bits=6, checkpoint=tmp_path / "state")
    assert found.history[-1, 0] == found.steps < 200
    assert train(task, weight_bits=6, checkpoint=tmp_path / "state").network == found.network, "a finished run stays"
    assert train(task, weight_bits=6, steps=found.steps).network == found.network
    float_weights = train(task, checkpoint=tmp_path / "float")
    assert train(task, checkpoint=tmp_path / "float").network == float_weights.network


def test_second_order_steps_end_where_the_validation_loss_falls_no_more() -> None:
    found = train(short(smooth(60, noise=1.0), finish_steps=300), steps=100)
    assert LEAST_SECOND_ORDER <= (found.history[:, 0] > found.steps).sum() < 100


@pytest.mark.parametrize("stop", [205, 245])
def test_a_resumed_finish_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int) -> None:
    """Interrupted among the second-order steps, and while weights go onto the grid."""
    monkeypatch.setattr(loop, "SAVE_FINISH_EVERY", 3)
    monkeypatch.setattr(loop, "REPORTS", 1000)
    task = short(smooth(60), patience=1.0)
    whole = train(task, steps=200, weight_bits=8)

    def interrupt(step: int, total: int, loss: float, error: float) -> None:
        if step >= stop:
            raise Interrupted

    path = tmp_path / "state"
    with pytest.raises(Interrupted):
        train(task, steps=200, weight_bits=8, checkpoint=path, progress=interrupt)
    assert train(task, steps=200, weight_bits=8, checkpoint=path).network == whole.network


def test_weights_on_the_grid_keep_what_was_validated() -> None:
    """Noisy rows are not learned while weights go onto the grid: the results stay those of the free weights."""
    data = smooth(150, noise=0.3)
    task = short(data)
    free, rounded = train(task), train(task, weight_bits=8)
    for p in rounded.network.projections:
        level = p.weight / np.abs(p.weight).max() * (largest_weight(8) // weight_step(8))
        assert np.allclose(level, level.round(), atol=1e-9)
    moved = reference.run(rounded.network, data.x).y - reference.run(free.network, data.x).y
    assert np.sqrt(np.square(moved).mean()) < 0.05
    assert loss_on("validation", task, rounded.network) < 1.1 * loss_on("validation", task, free.network)


def test_the_number_of_fields_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "STEPS", 60)
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, (300, 4))
    names = ("a", "b", "c", "d")
    few = TableOptions(hidden=(8,))
    waves = Numbers(x, np.sin(12 * x[:, :1]), names, ("y",))
    found = choose_fields("waves", waves, few)
    assert set(found.losses) == {1, 4, 8, 16}
    assert found.fields == min(found.losses, key=found.losses.__getitem__) > 1
    assert choose_fields("waves", waves, few) == found
    assert len(choose_fields("waves", waves, few, time_limit=1e-6).losses) == 1
    noise = Numbers(x, rng.normal(size=(300, 1)), names, ("y",))
    assert choose_fields("noise", noise, few).fields == 1, "none is clearly better"
    assert choose_fields("waves", waves, replace(few, fields=5)).fields == 5
    assert choose_fields("small", numbers(), few) == choice.Comparison(8, {}), "too few rows to say"


def test_where_there_is_a_finish_by_default() -> None:
    assert finish_steps(300, (10, 32, 32, 2)) > 0
    assert finish_steps(10, (10, 32, 32, 2)) == 0
    assert finish_steps(100_000, (100_000, 64, 64, 2)) == 0, "the Jacobian would be too large"
    classes = Numbers(np.eye(12), np.arange(12) % 2, tuple("abcdefghijkl"), classes=("no", "yes"))
    assert table_task("table", classes).settings.finish_steps == 0
    with pytest.raises(InputError, match="for regressions"):
        table_task("table", classes, TableOptions(finish=3))


def test_options_that_are_refused() -> None:
    with pytest.raises(InputError, match="second-order steps"):
        TableOptions(finish=-1)
    with pytest.raises(InputError, match="hidden layers"):
        TableOptions(hidden=())
    with pytest.raises(InputError, match="shares of the rows"):
        TableOptions(validation=0.0)
    with pytest.raises(InputError, match="receptive fields"):
        table_task("table", numbers(), TableOptions(fields=0))
    with pytest.raises(InputError, match="time limit"):
        train(table_task("table", numbers(), TableOptions(hidden=(3,))), steps=3, time_limit=1.0)


@pytest.mark.parametrize("steps", [1, 2])
def test_fewer_steps_than_the_rate_takes_to_decay(steps: int) -> None:
    result = train(table_task("table", numbers(), TableOptions(hidden=(3,), fields=1, finish=0)), steps=steps)
    assert result.steps == steps
    assert np.isfinite(result.error)


def compare() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compare_tables", ROOT / "scripts" / "compare_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.long
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", ["diabetes", "friedman1"])
def test_better_than_an_mlp_with_its_defaults(name: str) -> None:
    pytest.importorskip("sklearn")
    found = compare().compare(name)
    assert found["float_mean"] > found["mlp_mean"]
    assert np.abs(np.subtract(found["float"], found["engine"])).max() < 0.01
