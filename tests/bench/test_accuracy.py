import json

import numpy as np
import pytest
from click.testing import CliRunner

from qif2hw.bench import accuracy
from qif2hw.errors import InputError
from qif2hw.experiments import tasks
from qif2hw.train import Goal, train
from qif2hw.train.evaluate import evaluate
from qif2hw_cli.main import cli


def test_wanted_are_the_published_errors_of_every_task() -> None:
    assert accuracy.wanted("parabola") == {"y": pytest.approx(0.00609)}
    assert set(accuracy.wanted("navier_stokes_pinn")) == {"u", "v"}
    assert accuracy.chosen(None) == tuple(tasks.TASKS) == tuple(tasks.QUICK)
    for name in tasks.QUICK:
        assert set(accuracy.wanted(name)) == set(tasks.quick(name).quantities)
        assert tasks.quick(name).settings.steps < tasks.get(name, tasks.QUICK[name].regime).settings.steps


def test_tasks_are_refused_by_name() -> None:
    with pytest.raises(InputError, match="no task 'cubic'"):
        accuracy.chosen("parabola,cubic")
    with pytest.raises(InputError, match="no quick schedule"):
        tasks.quick("digits_first_spike")


def test_parabola_to_its_error() -> None:
    said: list[str] = []
    result = accuracy.bench(["parabola"], progress=lambda done, total, what: said.append(what))
    (row,) = json.loads(json.dumps(result))["rows"]
    most = accuracy.wanted("parabola")["y"]
    assert row["float"]["errors"]["y"] <= most
    assert row["engine"]["errors"]["y"] <= most
    assert 0 < row["float"]["seconds"] <= row["engine"]["training"] < row["engine"]["seconds"]
    assert row["trained"]["seconds"] == pytest.approx(row["engine"]["training"], rel=0.05)
    assert 0 < row["trained"]["steps"] < 400
    assert row["looks"] >= 1
    assert set(accuracy.figures(result)) == {"parabola, float", "parabola, engine"}
    assert any("%" in what for what in said)


def test_a_goal_ends_a_training_where_it_is_reached() -> None:
    task = tasks.quick("parabola")
    test_set = task.test_set()
    seen: list[tuple[float, float]] = []

    def enough(model: object, seconds: float) -> bool:
        values = evaluate(task, model, test_set)  # type: ignore[arg-type]
        seen.append((seconds, task.errors(values, test_set.y)["y"].relative))
        return seen[-1][1] < 0.1

    goal = Goal(enough)
    result = train(task, goal=goal)
    assert [error < 0.1 for _, error in seen] == [False] * (len(seen) - 1) + [True]
    assert result.error == seen[-1][1]
    assert goal.looks == len(seen) <= goal.steps < task.settings.steps
    assert np.all(np.diff([seconds for seconds, _ in seen]) > 0)
    # Looks do not count: the training's time is hardly more than at the last of them.
    assert seen[-1][0] <= result.seconds < seen[-1][0] + 0.05
    # As far as it came it was the same training.
    never = train(task, steps=None, goal=Goal(lambda model, seconds: False, share=1e9))
    assert never.error < result.error


def test_a_goal_keeps_no_checkpoint(tmp_path: object) -> None:
    with pytest.raises(InputError, match="no checkpoint"):
        train(tasks.quick("parabola"), goal=Goal(lambda model, seconds: True), checkpoint=f"{tmp_path}/state")


def test_command_refuses_unknown_tasks() -> None:
    result = CliRunner().invoke(cli, ["bench", "accuracy", "--tasks", "cubic", "--anyway"])
    assert result.exit_code != 0
    assert "cubic" in str(result.exception) + result.output
