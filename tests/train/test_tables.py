"""Tables as tasks: rows, standardised targets, a validation set whose best parameters are kept."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from qif2hw import reference
from qif2hw.data.columns import Numbers
from qif2hw.errors import InputError
from qif2hw.train import loop, train
from qif2hw.train.tables import TableOptions, table_task
from qif2hw.train.tables.split import split

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
    task = table_task("table", data, TableOptions(hidden=(5,), fields=1))
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
    other = table_task("table", numbers(41), TableOptions(hidden=(5,), fields=1))
    with pytest.raises(InputError, match="another run"):
        train(other, seed=1, steps=70, checkpoint=path)


def test_options_that_are_refused() -> None:
    with pytest.raises(InputError, match="hidden layers"):
        TableOptions(hidden=())
    with pytest.raises(InputError, match="shares of the rows"):
        TableOptions(validation=0.0)
    with pytest.raises(InputError, match="receptive fields"):
        table_task("table", numbers(), TableOptions(fields=0))
    with pytest.raises(InputError, match="time limit"):
        train(table_task("table", numbers(), TableOptions(hidden=(3,))), steps=3, time_limit=1.0)


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
