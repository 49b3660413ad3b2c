"""What the adapter for Loihi 2 looks for, and what is said when it is not there."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qif2hw.errors import InputError
from qif2hw_deploy import loihi2
from qif2hw_deploy.loihi2 import chip
from qif2hw_lava import Interpreter

if TYPE_CHECKING:
    from conftest import StandIn


def srun(folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "srun").write_text("#!/bin/sh\n")
    (folder / "srun").chmod(0o755)
    return str(folder)


def test_a_board_of_slurm(tmp_path: Path) -> None:
    path = srun(tmp_path)
    board = loihi2.find_board({"PATH": path, "PARTITION": "oheogulch"})
    assert board.variables() == {
        "SLURM": "1",
        "NOSLURM": None,
        "PARTITION": "oheogulch",
        "BOARD": None,
        "NXSDKHOST": None,
        "HOST_BINARY": None,
        "LOIHI_GEN": "N3B3",
    }
    named = loihi2.find_board({"PATH": path, "BOARD": "ncl-og-05", "LOIHI_GEN": "N3C1", "PARTITION": ""})
    assert (named.variables()["BOARD"], named.variables()["LOIHI_GEN"]) == ("ncl-og-05", "N3C1")
    with pytest.raises(InputError, match="srun is not on the path: run this on the head node"):
        loihi2.find_board({"PATH": str(tmp_path / "nowhere"), "BOARD": "ncl-og-05"})


def test_a_board_on_the_network() -> None:
    board = loihi2.find_board({"NXSDKHOST": "10.0.0.5", "HOST_BINARY": "bin/server", "PATH": ""})
    assert board.variables() == {
        "SLURM": None,
        "NOSLURM": "1",
        "PARTITION": None,
        "BOARD": None,
        "NXSDKHOST": "10.0.0.5",
        "HOST_BINARY": "bin/server",
        "LOIHI_GEN": "N3B3",
    }
    assert loihi2.find_board({"NXSDKHOST": "10.0.0.5"}).host_binary == "nxcore/bin/nx_driver_server"


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "no Loihi 2 board is named: set PARTITION or BOARD, or NXSDKHOST"),
        (
            {"NXSDKHOST": "10.0.0.5", "BOARD": "ncl-og-05"},
            "NXSDKHOST names a board on the network, PARTITION and BOARD",
        ),
        ({"NXSDKHOST": "10.0.0.5", "LOIHI_GEN": "N2A2"}, "LOIHI_GEN = N2A2: N3B2, N3B3, N3C1, N3D1 are generations"),
    ],
)
def test_boards_that_are_refused(environment: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        loihi2.find_board(environment)


def test_without_lava(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QIF2HW_LAVA_PYTHON", "/no/such/python")
    for name in ("PARTITION", "BOARD", "NXSDKHOST"):
        monkeypatch.delenv(name, raising=False)
    said = loihi2.missing()
    assert said is not None
    assert "\n" not in said
    for part in (
        "a Python 3.10 with lava-nc 0.10 (in .venv-lava, or named by QIF2HW_LAVA_PYTHON)",
        "Intel's Lava extension for Loihi there (Intel gives it to members",
        "one entry point of the group 'qif2hw.loihi2'",
        "a board (no Loihi 2 board is named",
        "nothing has run on a chip yet",
    ):
        assert part in said


@pytest.mark.lava
def test_with_lava_alone(lava: Interpreter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("QIF2HW_LAVA_PYTHON", str(lava.path))
    monkeypatch.setenv("PATH", srun(tmp_path))
    monkeypatch.setenv("BOARD", "ncl-og-05")
    chip._GOOD.clear()
    said = loihi2.missing()
    assert said is not None
    assert said.startswith(f"missing: Intel's Lava extension for Loihi in {lava.path} (Intel gives")
    assert f"models of the neuron for neuro cores in {lava.path}" in said
    assert "a Python" not in said
    assert "a board" not in said


@pytest.mark.lava
def test_with_a_part_of_the_extension(standin: "StandIn", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python that sees a copy of the stand-in which lacks two modules, and no vendor's half."""
    assert loihi2.missing() is None
    copy = tmp_path / "standin"
    shutil.copytree(Path(__file__).parent / "standin", copy)
    shutil.rmtree(copy / "lava" / "proc" / "embedded_io")
    (copy / "lava" / "utils" / "loihi2_profiler.py").unlink()
    python = tmp_path / "python"
    python.write_text(
        f"#!{standin.python}\nimport runpy, sys\n"
        f"sys.path = [p for p in sys.path if not p.endswith(('/standin', '/site'))] + [{str(copy)!r}]\n"
        "option, what, *rest = sys.argv[1:]\nsys.argv = ['', *rest]\n"
        "exec(what) if option == '-c' else runpy.run_module(what, run_name='__main__', alter_sys=True)\n"
    )
    python.chmod(0o755)
    monkeypatch.setenv("QIF2HW_LAVA_PYTHON", str(python))
    said = loihi2.missing()
    assert said is not None
    assert "of which it lacks lava.proc.embedded_io.spike, lava.utils.loihi2_profiler (" in said
    assert "entry point of the group 'qif2hw.loihi2'" in said
    assert "a board" not in said


@pytest.mark.lava
@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("echo no JSON", r"cannot be asked what it has for Loihi 2 \(no message\)"),
        ("echo wrong >&2; exit 1", r"cannot be asked what it has for Loihi 2 \(wrong\)"),
        ("sleep 100", "does not say within 1 s what it has for Loihi 2"),
    ],
)
def test_a_python_that_does_not_say(
    what: str, message: str, standin: "StandIn", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\n[ "$1" = -c ] && exec {standin.python} "$@"\n{what}\n')
    python.chmod(0o755)
    monkeypatch.setattr(chip, "PATIENCE", 1.0)
    monkeypatch.setenv("QIF2HW_LAVA_PYTHON", str(python))
    said = loihi2.missing()
    assert said is not None
    assert message.replace("\\", "") in said
