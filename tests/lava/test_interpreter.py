"""Where Lava is looked for, and what is said when it is not there."""

import json
import sys
import venv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import qif2hw_lava
from qif2hw.errors import InputError
from qif2hw.ir import Program
from qif2hw_lava import Interpreter, LavaMissing, find_interpreter, interpreter

GOOD = {"python": "3.10.4", "lava": "0.10.0", "numpy": "1.26.4", "safetensors": "0.5.0"}

PYENV = """\
pyenv: python3.10: command not found

The python3.10 command exists in these Python versions:
  3.10.14

Note: See pyenv help global for tips on allowing both
      python2 and python3 to be found.
"""


def fake(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def python_with(path: Path, **found: str | None) -> Path:
    return fake(path, f"echo '{json.dumps(GOOD | found)}'")


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A real Python without lava-nc, alone in its world."""
    venv.create(tmp_path / "bare", symlinks=True)
    python = tmp_path / "bare" / "bin" / "python"
    monkeypatch.delenv(interpreter.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "bare"))
    monkeypatch.setattr(interpreter.errors, "__file__", str(tmp_path / "qif2hw" / "errors.py"))
    return python


def test_no_lava_is_told_in_one_line_that_says_how_to_get_it(
    bare: Path, program: Program, x: NDArray[np.float64]
) -> None:
    with pytest.raises(LavaMissing, match="no Python that can run Lava") as caught:
        qif2hw_lava.run(program, x)
    message = str(caught.value)
    assert isinstance(caught.value, InputError)
    assert "\n" not in message
    assert f"{bare}: " in message
    assert "lava-nc==0.10.0" in message


@pytest.mark.skipif(sys.version_info[:2] != (3, 10), reason="on a newer Python the version is refused first")
def test_python_310_without_lava(bare: Path, program: Program, x: NDArray[np.float64]) -> None:
    with pytest.raises(LavaMissing, match="bin/python cannot run Lava: no lava-nc"):
        qif2hw_lava.run(program, x, interpreter=bare)


def test_order(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path = python_with(tmp_path / "path" / "python3.10")
    monkeypatch.setenv("PATH", str(on_path.parent))
    assert find_interpreter() == Interpreter(on_path, *GOOD.values())
    beside = python_with(tmp_path / ".venv-lava" / "bin" / "python")
    assert find_interpreter().path == beside
    own = python_with(tmp_path / "own")
    monkeypatch.setattr(sys, "executable", str(own))
    assert find_interpreter().path == own
    named = python_with(tmp_path / "named")
    monkeypatch.setenv(interpreter.VARIABLE, str(named))
    assert find_interpreter().path == named
    assert find_interpreter(own).path == own
    monkeypatch.setenv(interpreter.VARIABLE, str(bare))
    with pytest.raises(LavaMissing, match=r"\(QIF2HW_LAVA_PYTHON\) cannot run Lava"):
        find_interpreter()


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ({"python": "3.12.1"}, "Python 3.12.1, lava-nc needs 3.10"),
        ({"lava": None}, "no lava-nc"),
        ({"numpy": "2.2.0"}, "numpy 2.2.0, lava-nc needs numpy below 2"),
        ({"numpy": None}, "numpy None, lava-nc needs numpy below 2"),
        ({"safetensors": None}, "no safetensors"),
    ],
)
def test_what_is_missing(tmp_path: Path, found: dict[str, str | None], reason: str) -> None:
    with pytest.raises(LavaMissing) as caught:
        find_interpreter(python_with(tmp_path / "python", **found))
    assert str(caught.value) == f"{tmp_path / 'python'} cannot run Lava: {reason}"


def test_no_python_at_all(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    for path, reason in (
        (tmp_path / "nothing", r"it does not start \(no such file or directory\)"),
        (tmp_path / "text", r"it does not start \(permission denied\)"),
        (fake(tmp_path / "mute", "exit 0"), r"it does not run as a Python \(no message\)"),
        (fake(tmp_path / "odd", "echo 5; echo first >&2; echo last >&2"), r"it does not run as a Python \(first\)"),
        (
            fake(tmp_path / "shim", f"printf '{PYENV}' >&2; exit 127"),
            r"it is there but does not start \(pyenv has no su",
        ),
        (
            fake(tmp_path / "asdf", "echo 'No version is set'; echo 'No version is set' >&2; exit 126"),
            "No version is set",
        ),
        (fake(tmp_path / "cut", f"{sys.executable} -c 'import absent'"), "No module named 'absent'"),
    ):
        with pytest.raises(LavaMissing, match=reason):
            find_interpreter(path)
