"""The results: what is run, what is kept, what is written, on a task small enough to train in seconds."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from qif2hw.experiments import tasks
from qif2hw.experiments.reproduce import Job, assemble, jobs, kept, make_zoo, qif, results, version
from qif2hw.experiments.reproduce.paper import PAPER, paper_percent
from qif2hw.experiments.reproduce.rows import rows_of
from qif2hw.train.loop import evenly
from qif2hw.train.task import Errors, Settings
from qif2hw_cli.main import cli


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parabola of six hidden neurons and forty training steps, in both regimes."""
    for known in tasks.REGIMES.values():
        task = replace(known["parabola"], sizes=(1, 6, 2), settings=Settings(steps=40, learning_rate=1e-2))
        monkeypatch.setitem(known, "parabola", task)
    monkeypatch.setattr(qif, "TELL_EVERY", 0.0)


def test_every_task_has_all_its_methods() -> None:
    found = jobs()
    for name in tasks.TASKS:
        methods = {job.method for job in found if job.task == name}
        assert {"null", "qif", "ann", "lif-conv-32", "lif-cal-128"} <= methods
        assert ("lif-direct-64" in methods) == (not name.endswith("_pinn"))
        assert {job.regime for job in found if (job.task, job.method) == (name, "qif")} == {"ordinary", "published"}
    assert len({job.name for job in found}) == len(found)
    seeds = {job.seed for job in found if (job.task, job.regime) == ("ripple", "ordinary")}
    assert len(seeds) >= 3
    assert {job.task for job in jobs(["ricker"])} == {"ricker"}


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


def test_runs_are_kept_and_used_again_while_code_and_settings_are_the_same(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    work = [Job("parabola", "null"), Job("parabola", "qif", "ordinary")]
    first = list(results(work, tmp_path, True, said.append))
    assert any("training step" in line for line in said)
    rows = {row.method: row for _, found, _ in first for row in found}
    assert rows["null"].rel_l2_percent == 100.0
    assert rows["qif-engine"].weight_bits == 8
    assert rows["qif-engine"].steps == 512
    assert rows["qif-float"].rel_l2_percent == pytest.approx(rows["qif-engine"].rel_l2_percent, rel=0.2)
    if "qif-lava" in rows:
        assert rows["qif-lava"].samples >= 64
        assert first[1][2]["lava"] == "equal to the engine on the sample"

    said.clear()
    again = list(results(work, tmp_path, True, said.append))
    assert not said
    assert [found for _, found, _ in again] == [found for _, found, _ in first]

    # Other settings: trained anew.
    task = tasks.get("parabola")
    longer = replace(task, settings=replace(task.settings, steps=64))
    monkeypatch.setitem(tasks.TASKS, "parabola", longer)
    list(results(work, tmp_path, True, said.append))
    steps = 64 // qif.QUICK
    assert any(f"training step {steps} of {steps}" in line for line in said)


def test_a_damaged_result_is_made_again(small: None, tmp_path: Path) -> None:
    work = [Job("parabola", "null")]
    list(results(work, tmp_path, True, lambda text: None))
    path = tmp_path / "runs" / "parabola-null-seed0.json"
    for wrong in ("{", "[]", "{}"):
        path.write_text(wrong)
        ((_, rows, _),) = results(work, tmp_path, True, lambda text: None)
        assert rows[0].rel_l2_percent == 100.0
        assert json.loads(path.read_text())["rows"]


def test_the_version_follows_code_but_not_comments_or_settings(tmp_path: Path) -> None:
    path = tmp_path / "one.py"
    codes = []
    for text in ('"""Doc."""\nx = 1  # why\n', '"""Other."""\n\nx = 1\n', "x = 2\n"):
        path.write_text(text)
        codes.append(version._code(path))
    assert codes[0] == codes[1] != codes[2]
    path.write_text("t = Task(sizes=(1, 2), settings=Settings(steps=1))\n")
    settings = version._code(path)
    for text, same in (("Settings(steps=2)", True), ("Other(steps=1)", False)):
        path.write_text(f"t = Task(sizes=(1, 2), settings={text})\n")
        assert (version._code(path) == settings) == same
    assert version.digest(version.TRAINING, "ricker") != version.digest(version.TRAINING, "parabola")


def test_some_rows_keep_functions_whole() -> None:
    chosen = evenly(800 * 51, 51, 64)
    assert len(chosen) == 102
    assert set(np.bincount(chosen // 51)[chosen // 51]) == {51}
    assert len(evenly(1000, 1, 64)) == 64
    assert evenly(5, 1, 64).tolist() == [0, 1, 2, 3, 4]


def test_page_table_and_zoo(small: None, tmp_path: Path) -> None:
    work = [Job("parabola", "null"), Job("parabola", "qif", "published"), Job("parabola", "qif", "ordinary")]
    finished = list(results(work, tmp_path / "results", True, lambda text: None))
    page = assemble(finished, 3, tmp_path, True)
    text = page.read_text()
    assert "runs are here" not in text
    (tmp_path / "results" / "runs" / "parabola-null-seed0.json").unlink()
    assert [job.name for job, _, _ in kept(work, tmp_path / "results", True)] == [job.name for job in work[1:]]
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
    assert {path.name for path in home.iterdir()} == {"parabola.onnx", "parabola.qif"}


def test_wrong_names_end_with_one_line(tmp_path: Path) -> None:
    for arguments in (["cubic"], ["parabola", "--method", "magic"]):
        ended = CliRunner().invoke(cli, ["reproduce", *arguments, "--out", str(tmp_path)])
        assert ended.exit_code == 2
        assert ended.output.count("\n") == 1
        assert "known are" in ended.output
