"""What the installation has, told; kernels compiled once and found again wherever the package lies."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from qif2hw import backends, doctor, notices
from qif2hw.doctor import checks, warming
from qif2hw_cli.main import cli


def test_all_that_is_there_and_all_that_is_missing() -> None:
    found = {f.what: f for f in doctor.findings()}
    assert {f"backend {name}" for name in backends.names()} <= found.keys()
    assert found["extra dask"].found is not None
    assert found["backend engine"].found is not None
    assert found["backend loihi2"].found is None
    for one in found.values():
        assert (one.found is None) == (one.remedy is not None), one


def test_what_is_missing_is_named_with_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_version", lambda name: None if name == "optuna" else "1")
    monkeypatch.setattr(checks.shutil, "which", lambda name: None)
    found = {f.what: f for f in doctor.findings()}
    assert found["extra search"].remedy is not None
    assert "pip install 'qif2hw[search]'" in found["extra search"].remedy
    assert "optuna" in found["extra search"].needed_for
    assert found["C compiler"].remedy == "apt-get install gcc"


def test_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warming, "workloads", lambda: {"nothing": lambda: notices.compiling("_kernel")})
    result = CliRunner().invoke(cli, ["doctor", "--warm", "--json"])
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["compiled"] == ["_kernel"]
    assert {f["what"] for f in told["findings"]} >= {"Python", "Slurm", "lava-dl"}
    text = CliRunner().invoke(cli, ["doctor"]).stdout
    assert "folder of machine code" in text


@pytest.mark.slow
@pytest.mark.parametrize("what", ["run parabola", "run digits", "train parabola, ordinary"])
def test_workloads_do_their_work(what: str) -> None:
    warming.workloads()[what]()


@pytest.mark.long
def test_after_warming_nothing_is_compiled(tmp_path: Path) -> None:
    """In a folder of its own: the first run compiles, a second process finds all, and so do the commands."""
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"} | {"XDG_CACHE_HOME": str(tmp_path)}

    def told(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "qif2hw_cli", *arguments]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)

    assert json.loads(told("doctor", "--warm", "--json").stdout)["compiled"]
    assert json.loads(told("doctor", "--warm", "--json").stdout)["compiled"] == []
    said = told("train", "parabola", "-o", "m.onnx", "--steps", "5").stderr
    assert "compiling" not in said
    assert "compiling" not in told("compile", "m.onnx", "-o", "m.qif").stderr


KERNEL = "from qif2hw.machinecode import compiled\n\n@compiled\ndef run(x):\n    return x + {}\n"
USE = """
from qif2hw import notices
told = []
notices.on_compiling(told.append)
from room import kernel
print(kernel.run(1), len(told))
"""


def test_a_package_elsewhere_finds_its_machine_code(tmp_path: Path) -> None:
    """The folder is the user's and goes by contents: installed anew nothing is compiled; two versions keep theirs."""
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    environment |= {"XDG_CACHE_HOME": str(tmp_path / "cache")}

    def answer(place: str) -> str:
        command = [sys.executable, "-B", "-c", USE]
        environment["PYTHONPATH"] = str(tmp_path / place)
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    for place, added in (("one", 1), ("other", 2)):
        room = tmp_path / place / "room"
        room.mkdir(parents=True)
        (room / "__init__.py").touch()
        (room / "kernel.py").write_text(KERNEL.format(added))
    shutil.copytree(tmp_path / "one", tmp_path / "moved")
    assert answer("one") == "2 1"
    assert answer("moved") == "2 0"
    assert answer("other") == "3 1"
    assert answer("one") == "2 0"
    assert len(list((tmp_path / "cache" / "qif2hw" / "kernels").iterdir())) == 2
    assert not list((tmp_path / "one").rglob("*.nb*"))
