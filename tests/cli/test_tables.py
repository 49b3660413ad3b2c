"""``qif2hw train DATA`` and ``qif2hw run`` on tables."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import qif2hw
from qif2hw import reference
from qif2hw_cli.main import cli

pytest.importorskip("torch")

FAST = ("--hidden", "6", "--steps", 40)


def write(path: Path, columns: dict[str, Any]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def columns(rows: int = 60) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-3, 5, rows), rng.uniform(100, 900, rows)
    return {"a": a.tolist(), "b": b.tolist(), "y": (40 + 7 * a - 0.02 * b).tolist()}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("table") / "data.csv", columns())


@pytest.fixture(scope="module")
def model(table: Path, call: Any) -> Path:
    out = table.parent / "m.onnx"
    made = call("train", table, "--targets", "y", "-o", out, "--hidden", "8", "--steps", 400, "--json")
    assert made.exit_code == 0, made.output
    told = json.loads(made.stdout)
    assert told["sizes"] == [16, 8, 2]  # two inputs of eight receptive fields
    assert told["steps"] == 400
    assert told["error"] < 0.5
    assert not Path(f"{out}.state").exists()
    return out


def test_the_model_is_in_the_units_of_the_table(model: Path) -> None:
    network = qif2hw.load_model(model)
    assert [i.name for i in network.host.inputs] == ["a", "b"]
    assert [o.name for o in network.host.outputs] == ["y"]
    data = columns()
    y = reference.run(network, np.column_stack([data["a"], data["b"]])).y[:, 0]
    truth = np.array(data["y"])
    assert np.square(y - truth).mean() < 0.3 * truth.var()


def test_from_table_to_table(call: Any, table: Path, model: Path, tmp_path: Path) -> None:
    bundle, out = tmp_path / "m.qif", tmp_path / "out.csv"
    assert call("compile", model, "-o", bundle).exit_code == 0
    data = columns()
    swapped = write(tmp_path / "x.csv", {"name": ["n"] * 60, "b": data["b"], "a": data["a"]})
    with pytest.warns(UserWarning, match="columns that are no inputs of the model: name"):
        assert call("run", bundle, "--inputs", swapped, "-o", out).exit_code == 0
    rows = list(csv.DictReader(out.read_text().splitlines()))
    expected = qif2hw.load(bundle).run(np.column_stack([data["a"], data["b"]])).y[:, 0]
    assert [float(row["y"]) for row in rows] == expected.tolist()
    np.savez(tmp_path / "x.npz", a=data["a"], b=data["b"])
    assert call("run", bundle, "--inputs", tmp_path / "x.npz", "-o", tmp_path / "again.csv").exit_code == 0
    assert (tmp_path / "again.csv").read_bytes() == out.read_bytes()
    far = write(tmp_path / "far.csv", {"a": [99.0], "b": [200.0]})
    assert "'a' lies in [" in call.refused("run", bundle, "--inputs", far, "-o", out)
    assert call("run", bundle, "--inputs", far, "-o", out, "--clip").exit_code == 0
    assert "as .npz, .csv or .tsv" in call.refused("run", bundle, "--inputs", far, "-o", tmp_path / "out.parquet")
    assert "no column 'b': there are a" in call.refused(
        "run", bundle, "--inputs", write(tmp_path / "half.csv", {"a": [1.0]}), "-o", out
    )


def test_standard_input_and_output(call: Any, table: Path, model: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "m.qif"
    assert call("compile", model, "-o", bundle).exit_code == 0

    result = CliRunner().invoke(cli, ["run", str(bundle), "--inputs", "-", "-o", "-"], input="b,a\n200,1\n300,2\n")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "y"
    assert [float(line) for line in lines[1:]] == qif2hw.load(bundle).run([[1, 200], [2, 300]]).y[:, 0].tolist()
    made = CliRunner().invoke(
        cli, ["train", "-", "--targets", "y", "-o", "-", *map(str, FAST)], input=table.read_text()
    )
    assert made.exit_code == 0, made.output
    (tmp_path / "m.onnx").write_bytes(made.stdout_bytes)
    assert [o.name for o in qif2hw.load_model(tmp_path / "m.onnx").host.outputs] == ["y"]


@pytest.mark.parametrize("many", [200, 3])
def test_the_number_of_steps_repeats_a_run(call: Any, table: Path, tmp_path: Path, many: int) -> None:
    first, second = tmp_path / "1.onnx", tmp_path / "2.onnx"
    short = ["train", table, "--targets", "y", "--hidden", "4", "--json", "--fields", 1]
    made = call(*short, "-o", first, "--time-limit", many / 1000)
    assert made.exit_code == 0, made.output
    steps = json.loads(made.stdout)["steps"]
    assert 0 < steps < 4000
    assert call(*short, "-o", second, "--steps", steps).exit_code == 0
    assert first.read_bytes() == second.read_bytes()


def test_the_fields_are_compared_and_the_number_of_steps_repeats_that_too(
    call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qif2hw.train.tables import choice

    monkeypatch.setattr(choice, "STEPS", 40)
    table = write(tmp_path / "data.csv", columns(150))
    first, second = tmp_path / "1.onnx", tmp_path / "2.onnx"
    short = ["train", table, "--targets", "y", "--hidden", "4", "--weight-bits", 8, "--finish", 5]
    made = call(*short, "--steps", 60, "-o", first)
    assert made.exit_code == 0, made.output
    compared, trained = made.stdout.splitlines()[:2]
    chosen = re.match(r"--fields (\d+), by the validation loss after a short training: .* with 16$", compared)
    assert chosen is not None, compared
    assert f"{2 * int(chosen[1])}-4-2, 8-bit weights" in trained
    assert call(*short, "--fields", chosen[1], "--steps", 60, "-o", second).exit_code == 0
    assert first.read_bytes() == second.read_bytes()
    ended = call(*short, "--time-limit", 0.5, "-o", first)
    assert ended.exit_code == 0, ended.output
    told = re.search(r"first-order steps: (--fields \d+ --steps \d+) repeats the training", ended.output)
    assert told is not None, ended.output
    assert call(*short, *told[1].split(), "-o", second).exit_code == 0
    assert first.read_bytes() == second.read_bytes()


def test_second_order_steps_of_a_shipped_regression(call: Any, tmp_path: Path) -> None:
    out = tmp_path / "m.onnx"
    errors = []
    for finish in (0, 40):
        made = call("train", "parabola", "-o", out, "--steps", 300, "--finish", finish, "--json")
        assert made.exit_code == 0, made.output
        errors.append(json.loads(made.stdout)["error"])
    assert errors[1] < errors[0]
    assert "finish needs residuals" in call.refused("train", "digits_first_spike", "-o", out, "--finish", 3)
    assert "--finish: it is an option for" in call.refused("train", "digits", "-o", out, "--finish", 3)


def test_classes_categories_and_missing_values(call: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    a, colour = rng.uniform(0, 1, 90), rng.choice(["red", "green", "blue"], 90)
    label = np.where((a > 0.5) ^ (colour == "red"), "yes", "no")
    cells = [f"{value}" for value in a]
    cells[7] = ""
    path = write(tmp_path / "data.csv", {"a": cells, "colour": colour, "out": label, "same": [3] * 90})
    out = tmp_path / "m.onnx"
    train = ["train", path, "--classify", "out", "-o", out]
    assert "row 9, column 'a': there is no value (--drop-missing" in call.refused(*train)
    assert "row 2, column 'colour': '" in call.refused(*train, "--drop-missing")
    made = call(*train, "--drop-missing", "--categorical", "colour", "--hidden", "16", "--steps", 300, "--json")
    assert made.exit_code == 0, made.output
    assert "1 of 90 rows left out" in made.stderr
    assert "one value only: same" in made.stderr
    told = json.loads(made.stdout)
    assert told["error"] < 0.3
    network = qif2hw.load_model(out)
    assert [i.name for i in network.host.inputs] == ["a", "colour=blue", "colour=green", "colour=red"]
    assert [o.name for o in network.host.outputs] == ["no", "yes"]
    bundle = tmp_path / "m.qif"
    assert call("compile", out, "-o", bundle).exit_code == 0
    inside = np.flatnonzero(np.array(cells) != "")
    inputs = write(tmp_path / "inputs.csv", {"a": a[inside], "colour": colour[inside]})
    truth = write(tmp_path / "truth.csv", {"out": label[inside], "other": [0.25] * len(inside)})
    parity = ("parity", bundle, "--inputs", inputs, "--backends", "reference,engine", "--labels")
    numbers = tmp_path / "p.json"
    call(*parity, f"{truth}:out", "--json", numbers)
    assert json.loads(numbers.read_text())["classes"]["accuracy"]["engine"] > 0.7
    assert "give the column of the classes too" in call.refused(*parity, truth)
    assert "there is no column 'in': there are out, other" in call.refused(*parity, f"{truth}:in")
    assert "label '0.25': the network has the classes no, yes" in call.refused(*parity, f"{truth}:other")
    few = write(tmp_path / "few.csv", {"colour": ["red", "blue"], "a": [0.25, 0.75]})
    result = call("run", bundle, "--inputs", few, "-o", tmp_path / "y.csv")
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader((tmp_path / "y.csv").read_text().splitlines()))
    for row in rows:
        assert abs(float(row["no"]) + float(row["yes"]) - 1) < 1e-12
        assert row["label"] == max(("no", "yes"), key=lambda name: float(row[name]))
    other = write(tmp_path / "other.csv", {"colour": ["pink"], "a": [0.25]})
    assert "row 2, column 'colour': the model knows no 'pink'" in call.refused(
        "run", bundle, "--inputs", other, "-o", tmp_path / "y.csv"
    )


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a,y\n1,2\n", ["--targets", "y"], "1 rows: at least 10 are needed"),
        ("a,a,y\n1,2,3\n", ["--targets", "y"], "two columns are named 'a'"),
        ("a,,y\n1,2,3\n", ["--targets", "y"], "column 2 has no name"),
        ("1,2\n3,4\n", ["--targets", "y"], "the first line holds numbers"),
        ("a,y\n1,2\n3\n", ["--targets", "y"], "line 3 has 1 cells, the first line names 2 columns"),
        ("a,y\n", ["--targets", "y"], "the table has no rows"),
        ("", ["--targets", "y"], "the table has no columns"),
        ("a,y\n1,x\n", ["--targets", "z"], "there is no column 'z': there are a, y"),
        ("a,y\n1,x\n", ["--targets", "y", "--inputs", "y"], "an input and a target"),
        ("a,y\n1,x\n", ["--targets", "y", "--classify", "y"], "either targets"),
        ("a,y\n1,x\n", [], "either targets"),
        ("a,y\n" + "1,2\n" * 12, ["--targets", "y"], "columns with one value only: a"),
        ("a,y\n" + "".join(f"{k},2\n" for k in range(12)), ["--targets", "y"], "target 'y' has one value only"),
        ("a,y\n" + "".join(f"{k},2\n" for k in range(12)), ["--classify", "y"], "label 'y' has 1 classes"),
        ("a,y\n" + "".join(f"{k},x\n" for k in range(12)), ["--targets", "y"], "row 2, column 'y': 'x' is no number"),
        ("a,y\n" + "1,inf\n2,3\n" * 6, ["--targets", "y"], "row 2, column 'y': inf is not finite"),
        ("a,y\n1,2\n", ["--targets", "y", "--categorical", "y"], "is categorical and no input"),
        ("a,y\n1,2\n", ["--targets", "y", "--hidden", "4,x"], "--hidden 4,x"),
        ("a,y\n1,2\n", ["--targets", "y", "--steps", "4", "--time-limit", "4"], "one of them can be given"),
        ("a,y\n1,2\n", ["--targets", "y", "--regime", "published"], "--regime: it is an option for a shipped task"),
        ("a,y\n1,2\n", ["--targets", "y", "--device", "cpu"], "--device: it is an option for a task in time steps"),
    ],
)
def test_tables_that_are_refused(call: Any, tmp_path: Path, text: str, options: list[str], message: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text(text)
    assert message in call.refused("train", path, "-o", tmp_path / "m.onnx", *options)
    assert not (tmp_path / "m.onnx").exists()


def test_classes_by_the_first_spike(call: Any, tmp_path: Path) -> None:
    data = columns(90)
    data["out"] = ["high" if y > 45 else "low" for y in data.pop("y")]
    table, model, bundle = write(tmp_path / "data.csv", data), tmp_path / "m.onnx", tmp_path / "m.qif"
    fast = ("--fields", 1, *FAST)
    made = call("train", table, "--classify", "out", "--first-spike", "-o", model, *fast, "--json")
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["sizes"] == [2, 6, 2]
    assert json.loads(made.stdout)["accuracy"] > 0.5
    assert call("compile", model, "-o", bundle, "--rounding", "nearest", "--steps", 128).exit_code == 0
    assert "classes   high, low, by the first spike" in call("inspect", bundle).stdout
    refused = call.refused("train", table, "--targets", "a", "--inputs", "b", "--first-spike", "-o", model, *fast)
    assert "the first spike tells classes apart" in refused
    assert "--first-spike" in call.refused("train", "parabola", "--first-spike", "-o", model)


def test_a_file_that_defines_a_task(call: Any, tmp_path: Path) -> None:
    path = tmp_path / "tasks.py"
    path.write_text(
        "from dataclasses import replace\n"
        "from qif2hw.experiments import tasks\n"
        "mine = replace(tasks.get('parabola'), name='mine', sizes=(1, 4, 2))\n"
        "other = 3\n"
    )
    out, report = tmp_path / "m.onnx", tmp_path / "report"
    made = call("train", f"{path}:mine", "-o", out, "--steps", 5, "--json", "--report", report)
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["task"] == "mine"
    assert {p.name for p in report.iterdir()} == {"learning-curve.svg", "predictions.svg"}
    assert "defines a int" in call.refused("train", f"{path}:other", "-o", out)
    assert "does not define it" in call.refused("train", f"{path}:none", "-o", out)
    assert "no such file" in call.refused("train", "none.py:mine", "-o", out)
    path.write_text("1 / 0")
    assert "ZeroDivisionError: division by zero" in call.refused("train", f"{path}:mine", "-o", out)
    assert "--hidden: it is an option for a table" in call.refused("train", "parabola", "--hidden", "4", "-o", out)


def test_a_report_of_a_table(call: Any, table: Path, tmp_path: Path) -> None:
    report = tmp_path / "report"
    words = ["train", table, "--targets", "y", "-o", tmp_path / "m.onnx", *FAST, "--report"]
    assert call(*words, report).exit_code == 0
    drawn = (report / "predictions.svg").read_text()
    assert "true y" in drawn
    assert drawn.count("<circle") == 9  # 15 % of 60 rows
    assert "validation loss" in (report / "learning-curve.svg").read_text()
    (tmp_path / "file").touch()
    assert "cannot be made" in call.refused(*words, tmp_path / "file")
