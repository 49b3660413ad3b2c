"""The results: what is run, what is kept, what is written, on a task small enough to train in seconds."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import calls
import numpy as np
import pytest
from click.testing import CliRunner

from qif2hw.data import digits
from qif2hw.errors import InputError
from qif2hw.experiments import schema, tasks
from qif2hw.experiments.baselines import problem, registry
from qif2hw.experiments.baselines.problem import architecture_of
from qif2hw.experiments.reproduce import Experiment, assemble, experiments, kept, make_zoo, plan, qif, results, runs
from qif2hw.experiments.reproduce.paper import PAPER, paper_percent
from qif2hw.experiments.reproduce.rows import rows_of
from qif2hw.ir import layered, onnx_io
from qif2hw.ir.host_part.receptive_fields import ReceptiveFields
from qif2hw.ir.stepped import SteppedNetwork
from qif2hw.reference import run as reference_run
from qif2hw.reference import stepped as reference
from qif2hw.train.evaluate import evenly
from qif2hw.train.task import Errors, Settings
from qif2hw_cli.main import cli


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parabola of six hidden neurons and forty training steps, in both regimes."""
    for known in tasks.REGIMES.values():
        task = replace(known["parabola"], sizes=(1, 6, 2), settings=Settings(steps=40, learning_rate=1e-2))
        monkeypatch.setitem(known, "parabola", task)
    monkeypatch.setattr(qif, "REPORT_EVERY", 0.0)


def test_every_task_has_all_its_methods() -> None:
    found = experiments()
    for name in tasks.TASKS:
        methods = {one.method for one in found if one.task == name}
        assert {"null", "qif", "ann", "lif-conv-32", "lif-cal-128"} <= methods
        assert ("lif-direct-64" in methods) == (not name.endswith("_pinn"))
        assert {one.regime for one in found if (one.task, one.method) == (name, "qif")} == {
            "ordinary",
            "published",
        }
    assert len({one.name for one in found}) == len(found)
    seeds = {one.seed for one in found if (one.task, one.regime) == ("ripple", "ordinary")}
    assert len(seeds) >= 3
    assert {one.task for one in experiments(["ricker"])} == {"ricker"}
    classes = experiments(["digits_first_spike"])
    assert [(one.method, one.regime, one.seed) for one in classes] == [("qif", "ordinary", k) for k in range(3)]


def test_errors_of_a_classifier_are_those_of_its_classes() -> None:
    phi0 = [np.array([1.0, 3.0, 2.0])]
    network = layered([np.ones((3, 2))], phi0, trial=6.5, encode=(0.1, 1.0), first_spike=True)
    run = reference_run(network, [[0.5, 0.5]])
    assert qif.values_of(run).tolist() == [[1.0]]
    assert tasks.get("digits_first_spike").errors(qif.values_of(run), np.array([[1.0]]))["class"].relative == 0
    assert qif.values_of(replace(run, label=None)) is run.y


def test_figures_of_the_paper_stand_beside_the_right_rows() -> None:
    assert paper_percent("parabola", "y", "qif-engine") == 0.609
    assert paper_percent("poisson_operator", "u", "lif-direct-64") == 15.72
    assert paper_percent("navier_stokes_pinn", "v", "lif-cal-64") == 4.493
    assert paper_percent("ripple", "y", "ann") is None
    assert {task for task, _ in PAPER} == set(tasks.TASKS)


def test_rows_are_errors_in_percent() -> None:
    (row,) = rows_of(
        {"u": Errors(0.0125, 0.1, 0.2)}, task="burgers_pinn", method="qif-float", network="2-2", samples=5, seed=1,
        seconds=1.23,
    )  # fmt: skip
    assert (row.rel_l2_percent, row.mae, row.rmse, row.paper_percent) == (1.25, 0.1, 0.2, 2.418)


def test_runs_are_kept_and_used_again_while_settings_are_the_same(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    work = [Experiment("parabola", "null"), Experiment("parabola", "qif", "ordinary")]
    first = list(results(work, tmp_path, True, said.append))
    assert any("training step" in line for line in said)
    rows = {row.method: row for one in first for row in one.rows}
    assert rows["null"].rel_l2_percent == 100.0
    assert rows["qif-engine"].weight_bits == 8
    assert rows["qif-engine"].steps == 512
    assert rows["qif-float"].rel_l2_percent == pytest.approx(rows["qif-engine"].rel_l2_percent, rel=0.2)
    if "qif-lava" in rows:
        assert rows["qif-lava"].samples >= 64
        assert first[1].about["lava"] == "equal to the engine on the sample"

    said.clear()
    again = list(results(work, tmp_path, True, said.append))
    assert not said
    assert [one.rows for one in again] == [one.rows for one in first]

    # Other settings: trained anew.
    task = tasks.get("parabola")
    longer = replace(task, settings=replace(task.settings, steps=64))
    monkeypatch.setitem(tasks.TASKS, "parabola", longer)
    list(results(work, tmp_path, True, said.append))
    steps = 64 // qif.QUICK
    assert any(f"training step {steps} of {steps}" in line for line in said)


def test_rows_with_fields(small: None, tmp_path: Path) -> None:
    """A network whose inputs are encoded is a run and a row of its own; baselines get the same activities."""
    work = [Experiment("parabola", "qif", "ordinary"), Experiment("parabola", "qif", "ordinary", fields=3)]
    assert len({one.name for one in work}) == 2
    finished = list(results(work, tmp_path / "results", True, lambda text: None))
    plain, encoded = ({(r.variant, r.network) for r in one.rows} for one in finished)
    assert plain == {("", "1-6-2")}
    assert encoded == {("3 fields", "3-6-2")}
    settings = runs.identity_of(work[1], True)
    assert settings["settings"]["stages"][1]["second_order"]
    assert settings["compiling"]["lateness_moments"] == "auto"
    text = assemble(finished, 2, tmp_path, True).read_text()
    assert "| parabola, 3 fields | y |" in text
    assert "| QIF, engine | ordinary, 3 fields | 3-6-2 |" in text
    baseline = Experiment("parabola", "ann", fields=3)
    architecture = architecture_of(baseline.baseline_task)
    assert architecture.fields == ReceptiveFields(3)
    assert (architecture.chains[0][0], architecture.columns) == (3, (1,))
    assert runs.identity_of(baseline, True)["settings"]["layers"][0][0] == 3


def test_a_damaged_result_is_made_again(small: None, tmp_path: Path) -> None:
    work = [Experiment("parabola", "null")]
    list(results(work, tmp_path, True, lambda text: None))
    path = tmp_path / "runs" / "parabola-null-seed0.json"
    for wrong in ("{", "[]", "{}"):
        path.write_text(wrong)
        (one,) = results(work, tmp_path, True, lambda text: None)
        assert one.rows[0].rel_l2_percent == 100.0
        assert json.loads(path.read_text())["rows"]


def test_a_run_is_kept_for_one_version_of_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = [Experiment("parabola", "null")]
    before = results(work, tmp_path, True, lambda text: None)
    assert kept(work, tmp_path, True) == before
    assert kept(work, tmp_path, False) == []
    monkeypatch.setattr(runs, "RESULTS_SCHEMA", schema.RESULTS_SCHEMA + 1)
    assert kept(work, tmp_path, True) == []


def test_every_version_says_what_changed() -> None:
    assert sorted(schema.CHANGES) == list(range(1, schema.RESULTS_SCHEMA + 1))


def test_a_run_is_kept_for_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = experiments(["parabola"])
    before = [runs.identity_of(one, False) for one in planned]
    assert len({json.dumps(one) for one in before}) == len(before)
    for owner, name, value, changed in (
        (plan, "STEPS", 256, {"qif"}),
        (registry, "ITERATIONS", 5, {"lif-cal-32", "lif-cal-64", "lif-cal-128"}),
        (problem, "PUBLISHED", {}, {one.method for one in planned} - {"null", "qif"}),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, value)
            after = [runs.identity_of(one, False) for one in planned]
        assert {one.method for one, a, b in zip(planned, before, after, strict=True) if a != b} == changed


def _nothing_is_trained(text: str) -> None:
    raise AssertionError(text)


def test_every_run_in_the_documentation_is_kept() -> None:
    """``qif2hw reproduce --out docs`` makes none anew; the numbers are those of the table."""
    home = Path(__file__).parents[3] / "docs"
    planned = experiments()
    found = kept(planned, home / "results", False)
    assert [one.experiment for one in found] == planned
    assert len(found) == 158
    rows = json.loads((home / "results.json").read_text())["rows"]
    kept_rows = [row.as_dict() for one in found for row in one.rows]
    kept_rows += [score.as_dict() for one in found for score in one.scores]
    assert kept_rows == rows
    for one in found:
        if one.experiment.method == "qif":
            network, training = qif.trained(one.experiment, home / "results", False, _nothing_is_trained)
            assert training == one.about["training"]
            assert network.inputs == one.experiment.qif_task.sizes[0]


def test_classifiers_are_trained_run_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The quick run of the digits: float, finer clocks, engine, grids, Lava; a second call runs nothing."""
    work = [one for one in experiments(["digits"], quick=True) if one.method == "dqif-exact"]
    (one,) = results(work, tmp_path, True, lambda text: None)
    by = {(s.method, s.weight_bits, s.trained_bits): s for s in one.scores}
    float_, engine = by["dqif-exact-float", None, None], by["dqif-exact-engine", 8, None]
    assert {key[1:] for key in by if key[0] == "dqif-exact-engine"} == {(8, None), (4, None), (8, 8), (4, 4)}
    assert float_.same_class_percent == 100
    assert engine.accuracy_percent > 70
    assert engine.same_class_percent > 90
    assert by["dqif-exact-float-finer-2", None, None].time_steps == 2 * float_.time_steps
    data, network = digits().test, onnx_io.load_any(tmp_path / "models" / "digits-dqif-exact-seed0-float.onnx")
    assert isinstance(network, SteppedNetwork)
    label = reference.run(network, data.x.astype(float)).label
    assert float_.accuracy_percent == pytest.approx(100 * (label == data.label).mean(), abs=0.3)
    if one.about["lava"] == "equal to the engine on the sample":
        assert by["dqif-exact-lava", 8, None].samples == 64
    assert list(results(work, tmp_path, True, _nothing_is_trained)) == [one]
    assert "| dqif-exact-engine | 4, retrained |" in assemble([one], 1, tmp_path, True).read_text()


def test_some_rows_keep_functions_whole() -> None:
    chosen = evenly(800 * 51, 51, 64)
    assert len(chosen) == 102
    assert set(np.bincount(chosen // 51)[chosen // 51]) == {51}
    assert len(evenly(1000, 1, 64)) == 64
    assert evenly(5, 1, 64).tolist() == [0, 1, 2, 3, 4]


def test_page_table_and_zoo(small: None, tmp_path: Path) -> None:
    work = [Experiment("parabola", "null")]
    work += [Experiment("parabola", "qif", regime) for regime in ("published", "ordinary")]
    finished = list(results(work, tmp_path / "results", True, lambda text: None))
    page = assemble(finished, 3, tmp_path, True)
    text = page.read_text()
    assert "runs are here" not in text
    (tmp_path / "results" / "runs" / "parabola-null-seed0.json").unlink()
    assert [one.experiment for one in kept(work, tmp_path / "results", True)] == work[1:]
    assert "**3 of 4 runs are here.**" in assemble(finished, 4, tmp_path, True).read_text()
    assert "| parabola | y | 0.609 |" in text
    assert "QIF, engine | published" in text
    drawn = tmp_path / "results" / "figures" / "parabola.svg"
    assert drawn.stat().st_size > 1000
    assert str(drawn.relative_to(tmp_path)) in text
    table = json.loads((tmp_path / "results.json").read_text())
    wanted = {
        "task", "quantity", "method", "regime", "weight_bits", "steps", "rel_l2_percent", "mae", "rmse", "seed",
        "paper_percent",
    }  # fmt: skip
    assert all(wanted <= set(row) for row in table["rows"])
    assert {row["method"] for row in table["rows"]} >= {"null", "qif-float", "qif-engine"}
    home = tmp_path / "zoo"
    home.mkdir()
    assert make_zoo(tmp_path / "results", home, lambda text: None) == ["parabola"]
    assert {path.name for path in home.iterdir()} == {"parabola.onnx", "parabola.qif", "parabola-microcode.qif"}


def test_what_is_missing_for_the_page_is_found_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    for arguments in (
        ["--out", str(tmp_path / "file")],
        ["--out", str(tmp_path / "out"), "--zoo", str(tmp_path / "file")],
    ):
        ended = CliRunner().invoke(cli, ["reproduce", "parabola", "--quick", *arguments])
        assert ended.exit_code == 2
        assert "cannot be made" in ended.output
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    ended = CliRunner().invoke(cli, ["reproduce", "parabola", "--quick", "--out", str(tmp_path / "out")])
    assert ended.exit_code == 2
    assert "pip install 'qif2hw[report]'" in ended.output
    assert not (tmp_path / "out" / "results" / "runs").exists()


def test_wrong_names_end_with_one_line(tmp_path: Path) -> None:
    for arguments in (["cubic"], ["parabola", "--method", "magic"], ["parabola", "--method", "null", "--method", "m"]):
        ended = CliRunner().invoke(cli, ["reproduce", *arguments, "--out", str(tmp_path)])
        assert ended.exit_code == 2
        assert ended.output.count("\n") == 1
        assert "known are" in ended.output


def test_a_run_that_fails_ends_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_result", calls.fail_or_work_for_ever)
    two = [one for one in experiments(("parabola",), True) if one.method == "null"]
    two = [two[0], replace(two[0], seed=1)]
    with pytest.raises(InputError, match="no space is left"):
        results(two, tmp_path, True, print, 2)
