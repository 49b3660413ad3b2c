"""Baselines by name: trained, kept, repeated."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qif2hw.errors import InputError
from qif2hw.experiments import baselines, tasks
from qif2hw.experiments.baselines import problem, registry, store
from qif2hw.experiments.baselines.fitting import RateSearch
from qif2hw.train.task import Samples

PARABOLA = replace(tasks.get("parabola"), name="small parabola", sizes=(1, 16, 16, 2))


@pytest.mark.parametrize("method", ["lif-direct-32", "lif-if-direct-32"])
def test_direct_training_learns_the_parabola(method: str) -> None:
    made = baselines.run(PARABOLA, method, steps=200)
    # The outputs are scaled to variance one: a constant has loss 1.
    assert made.settings["train_loss"] < 0.05
    assert made.errors["y"].relative < 0.12
    assert made.settings["tried"].keys() == {"0.001", "0.003", "0.01"}
    assert made.settings["trial_steps"] == 20
    assert min(made.settings["tried"], key=made.settings["tried"].get) == f"{made.settings['learning_rate']:g}"
    json.dumps(made.settings)


def test_conversions_use_the_ann_that_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "anns"
    ann = baselines.run(PARABOLA, "ann", 1, steps=300, cache=folder)
    assert len(list(folder.iterdir())) == 1
    assert ann.errors["y"].relative < 0.1
    monkeypatch.setattr(registry, "fit", None)
    again = baselines.run(PARABOLA, "ann", 1, steps=300, cache=folder)
    assert again == ann
    np.testing.assert_array_equal(again.y, ann.y)
    converted, calibrated = (
        baselines.run(PARABOLA, method, 1, steps=300, cache=folder) for method in ("lif-conv-32", "lif-cal-32")
    )
    assert converted.settings["ann"] == ann.settings
    assert calibrated.errors["y"].relative < converted.errors["y"].relative


@pytest.mark.parametrize("method", ["ann", "lif-if-direct-32", "lif-cal-32"])
def test_the_same_seed_gives_the_same_network(method: str) -> None:
    x = np.linspace(0, 1, 33)[:, None]
    first, second, other = (baselines.train(PARABOLA, method, seed, steps=10).model.predict(x) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_a_damaged_or_foreign_network_is_not_used(tmp_path: Path) -> None:
    baselines.run(PARABOLA, "ann", steps=10, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    with pytest.raises(InputError, match="another network"):
        store.read(path, baselines.Ann(problem.architecture_of(PARABOLA), 0), {"task": "another"})
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="not a trained network"):
        baselines.run(PARABOLA, "ann", steps=10, cache=tmp_path)


def test_an_ann_is_kept_for_one_version_of_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in (1, 1, 2):
        monkeypatch.setattr(registry, "RESULTS_SCHEMA", version)
        baselines.train(PARABOLA, "ann", steps=5, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("method", ["ann", "lif-direct-32", "lif-cal-32"])
def test_settings_are_known_before_the_training(method: str) -> None:
    before = baselines.settings_of(PARABOLA, method, 1, steps=5)
    after = baselines.train(PARABOLA, method, 1, steps=5).settings
    if "ann" in before:
        assert before["ann"].items() <= after["ann"].items()
        before["ann"] = after["ann"]
    assert before.items() <= after.items()


def test_equations_and_operators_are_data_of_a_task() -> None:
    pinns = {name for name, task in tasks.TASKS.items() if task.equation is not None}
    assert pinns == {"poisson_pinn", "burgers_pinn", "navier_stokes_pinn"}
    assert {name for name, task in tasks.TASKS.items() if task.branch_inputs} == {"poisson_operator"}
    # Fifty-two inputs alone make no operator, and a task made elsewhere may be trained on physics.
    wide = replace(PARABOLA, sizes=(52, 64, 2))
    assert problem.architecture_of(wide).chains == ((52, 64, 1),)
    assert not any(
        "direct" in name for name in baselines.methods(replace(PARABOLA, equation=tasks.get("poisson_pinn").equation))
    )


def test_names() -> None:
    known = baselines.methods(PARABOLA)
    assert known[0] == "ann"
    assert len(known) == 13
    with pytest.raises(InputError, match="no baseline 'lif-direct-33': known are ann, lif-direct-32"):
        baselines.run(PARABOLA, "lif-direct-33")
    with pytest.raises(InputError, match="at least one step"):
        baselines.run(PARABOLA, "ann", steps=0)


def test_layers_are_at_least_those_of_the_task_and_of_the_publication() -> None:
    assert problem.architecture_of(tasks.get("parabola")).chains == ((1, 64, 64, 64, 1),)
    assert problem.architecture_of(replace(tasks.get("ricker"), sizes=(2, 32, 32, 2))).chains == ((2, 32, 32, 1),)
    assert problem.architecture_of(replace(tasks.get("ricker"), sizes=(2, 8, 2))).chains == ((2, 16, 1),)


def test_an_operator_is_learned() -> None:
    # The antiderivative of a line a + b s from -1 to s, told by its values at 51 points.
    s = np.linspace(-1, 1, 51)
    a, b = np.meshgrid(np.linspace(-1, 1, 6), np.linspace(-1, 1, 6))
    lines = a.reshape(-1, 1) + b.reshape(-1, 1) * s
    results = a.reshape(-1, 1) * (s + 1) + b.reshape(-1, 1) * (s**2 - 1) / 2
    x = np.concatenate([np.repeat((lines + 2) / 4, 51, axis=0), np.tile((s + 1) / 2, 36)[:, None]], axis=1)
    samples = Samples(x, results.reshape(-1, 1))
    sets = {"train_set": lambda seed: samples, "test_set": lambda: samples}
    task = replace(PARABOLA, name="lines", sizes=(52, 64, 2), branch_inputs=51, **sets)
    assert baselines.run(task, "ann", steps=400).errors["y"].relative < 0.05
    made = baselines.train(task, "lif-if-direct-32", steps=40)
    assert made.settings["layers"] == [[51, 64, 64], [1, 64, 64]]
    assert made.settings["train_loss"] < 0.5


def test_a_rate_without_a_loss_is_never_the_best() -> None:
    search = RateSearch(5, {1e-3: 0.5, 1e-2: float("inf"), 3e-3: 0.2})
    assert search.best == 3e-3
    assert search.record()["tried"] == {"0.001": 0.5, "0.01": None, "0.003": 0.2}
