"""``qif2hw emit``: what it writes and says, and bad input."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from emitted import Program, needed, outputs
from networks import ordinary, stepped_images

import qif2hw
from qif2hw_cli.main import cli


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("kit")
    rng = np.random.default_rng(0)
    qif2hw.compile(ordinary((3, 4, 2), 1), steps=64).save(home / "m.qif")
    np.save(home / "x.npy", rng.random((5, 3)))
    images = rng.normal(0, 1, (5, 2, 8, 8))
    qif2hw.compile(stepped_images(), calibration=images).save(home / "s.qif")
    np.save(home / "images.npy", images)
    np.save(home / "wrong.npy", np.zeros((5, 2)))
    return home


def call(*words: object) -> Result:
    return CliRunner().invoke(cli, ["emit", *map(str, words)])


def refused(*words: object) -> str:
    result = call(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    return result.stderr


@pytest.mark.parametrize(("bundle", "inputs"), [("m.qif", "x.npy"), ("s.qif", "images.npy")])
def test_a_program_with_inputs(kit: Path, tmp_path: Path, bundle: str, inputs: str) -> None:
    out = tmp_path / "program"
    result = call(kit / bundle, "--to", "c99", "-o", out, "--inputs", kit / inputs, "--json")
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert told["files"] == {path.name: path.stat().st_size for path in out.iterdir()}
    assert told["samples"] == 5
    needed("cc", "make")
    program, loaded = Program(out, ()), qif2hw.load(kit / bundle)
    assert program.make("test").startswith("equal: ")
    program.make("network")
    np.testing.assert_array_equal(program.numbers(), outputs(loaded.run(np.load(kit / inputs)), loaded))


def test_an_empty_folder_may_be_there(kit: Path, tmp_path: Path) -> None:
    result = call(kit / "m.qif", "--to", "c99", "-o", tmp_path)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{tmp_path}: ")
    assert not (tmp_path / "inputs.csv").exists()


def test_bad_input_is_refused_before_the_work(kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def work(*_: Any) -> None:
        raise AssertionError("the work has begun")

    monkeypatch.setattr("qif2hw.emit.to_c99", work)
    out = tmp_path / "program"
    good = (kit / "m.qif", "--to", "c99", "-o", out)
    assert "'c98' is not one of 'c99', 'nir'" in refused(kit / "m.qif", "--to", "c98", "-o", out)
    assert "Missing option '--to'" in refused(kit / "m.qif", "-o", out)
    assert "no such file" in refused(kit / "none.qif", *good[1:])
    assert "wrong.npy: inputs have shape (5, 2): (samples, 3) is needed" in refused(
        *good, "--inputs", kit / "wrong.npy"
    )
    assert "images.npy: inputs have shape" in refused(*good, "--inputs", kit / "images.npy")
    assert "wrong.npy: inputs have shape" in refused(kit / "s.qif", *good[1:], "--inputs", kit / "wrong.npy")
    assert "there is no folder" in refused(*good[:3], "-o", tmp_path / "a" / "b")
    assert not out.exists()
    out.mkdir()
    (out / "Makefile").write_text("all:\n")
    assert "cannot be replaced, it holds something else ('Makefile')" in refused(*good)
    assert "cannot be replaced" in refused(*good[:3], "-o", out / "Makefile")
    assert [path.name for path in tmp_path.iterdir()] == ["program"]
    assert (out / "Makefile").read_text() == "all:\n"
