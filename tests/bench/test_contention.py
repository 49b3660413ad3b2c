"""The benchmarks of contention and of the first use, with next to no work."""

import json
import subprocess

import pytest
from click.testing import CliRunner

from qif2hw.bench import contention, first_use
from qif2hw.errors import BackendError, InputError
from qif2hw_cli.main import cli


def test_the_fair_share() -> None:
    """Two threads on two cores beside four others get two thirds of a core; nobody gets more than one core a thread."""
    assert contention.share(2, 2, 4) == pytest.approx(2 / 3)
    assert contention.share(2, 1, 0) == contention.share(2, 1, 1) == contention.share(8, 1, 5) == 1
    assert contention.share(2, 2, 0) == contention.share(8, 2, 4) == 2


def test_busy_processes_end(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Noted(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, **options)
            started.append(self)

    monkeypatch.setattr(contention.subprocess, "Popen", Noted)
    with contention.busy_processes(2):
        assert [one.poll() for one in started] == [None, None]
    assert None not in [one.poll() for one in started]
    with pytest.raises(InputError, match="busy = 1, 2: numbers of processes, the first 0"):
        contention.bench(busy=(1, 2))


def test_contention_prints_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contention, "BUSY", (0, 1))
    monkeypatch.setattr(contention, "works", lambda size: {"count": lambda: sum(range(10000))})
    monkeypatch.setattr(contention.bench, "__defaults__", (contention.QUICK, (0, 1), None))
    printed = CliRunner().invoke(cli, ["bench", "contention", "--quick", "--json"])
    assert printed.exit_code == 0, printed.output
    result = json.loads(printed.stdout)
    alone, beside = result["detail"]["contention"]["rows"]
    assert alone["loss"] == 1
    assert beside["loss"] == pytest.approx(beside["seconds"] / beside["fair_seconds"])
    assert set(result["figures"]) == {"contention: count, alone", "contention: count, beside 1: loss"}


def test_the_works_are_those_of_users() -> None:
    size = contention.Size(training_steps=1, engine_samples=3, calibration=64, repeats=1)
    done = {name: call() for name, call in contention.works(size).items()}
    assert list(done) == ["train", "engine", "compile"]
    assert done["compile"].report["adapt-rounding"]["error"] > 0


@pytest.mark.long
def test_first_commands() -> None:
    found = first_use.bench(repeats=1)
    assert [row["command"] for row in found["rows"]] == ["help", "run", "train"]
    run = found["rows"][1]
    assert 0 < run["kept"] < run["nothing_kept"]
    assert len(first_use.figures(found)) == 6


def test_a_first_command_that_fails_is_named() -> None:
    with pytest.raises(BackendError, match=r"qif2hw run: .*nowhere"):
        first_use._seconds(["run", "nowhere.qif", "--inputs", "x.npy", "-o", "y.npz"])
