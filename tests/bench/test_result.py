import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from qif2hw.bench.result import BenchResult, Figure, collect, compare, read
from qif2hw.errors import InputError
from qif2hw.host import machine
from qif2hw_cli.main import cli


def a_result(**changes: Any) -> dict[str, Any]:
    figures = {"forward": Figure(2.0, "ms"), "memory": Figure(1000.0, "bytes")}
    return collect({"train": (figures, {"rows": []})}).to_json() | changes


def written(path: Path, data: Any) -> Path:
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def test_a_result_survives_the_file(tmp_path: Path) -> None:
    result = BenchResult("0.1.0", machine(), {"forward": Figure(2.5, "ms")}, {"train": {"rows": [1]}})
    assert read(written(tmp_path / "r.json", result.to_json())) == result


def test_ratios_are_new_over_old_of_common_figures() -> None:
    about = machine()
    old = BenchResult("1", about, {"a": Figure(2.0, "ms"), "b": Figure(1.0, "ms"), "c": Figure(1.0, "ms")}, {})
    new = BenchResult("2", about, {"a": Figure(3.0, "ms"), "c": Figure(1.0, "bytes"), "d": Figure(1.0, "ms")}, {})
    (change,) = compare(old, new)
    assert (change.name, change.unit, change.ratio) == ("a", "ms", 1.5)
    with pytest.raises(InputError, match="no figure in common"):
        compare(old, BenchResult("2", about, {"d": Figure(1.0, "ms")}, {}))


def test_the_command_names_both_machines(tmp_path: Path) -> None:
    new = a_result(qif2hw="9.9.9")
    new["machine"] = new["machine"] | {"processor": "another processor", "load": 0.25}
    new["figures"] = {"train: forward": {"value": 1.0, "unit": "ms"}}
    paths = [str(written(tmp_path / "old.json", a_result())), str(written(tmp_path / "new.json", new))]
    text = CliRunner().invoke(cli, ["bench", "compare", *paths]).stdout
    assert "0.50" in text
    assert machine()["processor"] in text
    assert "qif2hw 9.9.9: another processor" in text
    assert "The machines differ" in text
    data = json.loads(CliRunner().invoke(cli, ["bench", "compare", *paths, "--json"]).stdout)
    assert data["figures"] == {"train: forward": {"unit": "ms", "old": 2.0, "new": 1.0, "ratio": 0.5}}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("no json", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ({"rows": []}, "not a benchmark result"),
        ([], "not a benchmark result"),
        (a_result(schema=99), "schema 99"),
        (a_result(machine={}), "damaged"),
        (a_result(figures={"a": {"value": "x", "unit": "ms"}}), "damaged"),
        (a_result(figures={"a": {"value": 0.0, "unit": "ms"}}), "damaged"),
        (a_result(figures=[]), "damaged"),
        (a_result(figures={}), "no figure in common"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, content: Any, says: str) -> None:
    paths = [str(written(tmp_path / "old.json", a_result())), str(written(tmp_path / "new.json", content))]
    result = CliRunner().invoke(cli, ["bench", "compare", *paths])
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
    assert read(paths[0]).version


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "none.json")


@pytest.mark.slow
def test_structure_gives_a_result(tmp_path: Path) -> None:
    printed = CliRunner().invoke(cli, ["bench", "structure", "--quick", "--json"])
    assert printed.exit_code == 0
    result = read(written(tmp_path / "r.json", printed.stdout))
    assert result.figures["structure: 300 neurons, batch 16, dense"].unit == "ms"
    assert {"jets", "sparse"} == set(result.detail["structure"])
    assert [c.ratio for c in compare(result, result)] == [1.0] * len(result.figures)
