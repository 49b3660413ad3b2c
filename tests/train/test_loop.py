import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lava_faults import wait_for

from qif2hw.errors import InputError
from qif2hw.experiments import tasks
from qif2hw.experiments.tasks import images
from qif2hw.ir import onnx_io
from qif2hw.nn import QIFNetwork
from qif2hw.train import Settings, Task, loop, train
from qif2hw.train.classify import train_classifier

SMALL = replace(
    tasks.get("parabola"), sizes=(1, 8, 2), settings=Settings(steps=60, qat_steps=30, settle_steps=10, batch=32)
)


class Interrupted(Exception):
    pass


def test_short_training_learns_the_parabola() -> None:
    seen: list[tuple[int, int, float, float]] = []
    result = train(tasks.get("parabola"), steps=300, progress=lambda *now: seen.append(now))
    assert result.error < 0.05
    assert result.error == pytest.approx(np.linalg.norm(result.y - result.truth) / np.linalg.norm(result.truth))
    assert [(step, total) for step, total, _, _ in seen] == [(step, 300) for step in range(6, 301, 6)]
    assert seen[-1][3] == result.error
    assert result.diagnosis.outputs_missing == 0


@pytest.mark.parametrize("stop", [30, 70, 90])
def test_resumed_is_uninterrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int) -> None:
    monkeypatch.setattr(loop, "SAVE_EVERY", 10)
    monkeypatch.setattr(loop, "REPORTS", 20)
    whole = train(SMALL, seed=3, weight_bits=6)
    path = tmp_path / "state.safetensors"

    def interrupt(step: int, total: int, loss: float, error: float) -> None:
        if step == stop + 5:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(SMALL, seed=3, weight_bits=6, checkpoint=path, progress=interrupt)
    resumed = train(SMALL, seed=3, weight_bits=6, checkpoint=path)
    assert resumed.network == whole.network
    assert resumed.error == whole.error
    assert train(SMALL, seed=3, weight_bits=6, checkpoint=path).network == whole.network, "a finished run stays"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_the_same_seed_gives_the_same_bits() -> None:
    assert train(SMALL, seed=1).network == train(SMALL, seed=1).network
    assert train(SMALL, seed=1).network != train(SMALL, seed=2).network


def test_checkpoints_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    train(SMALL, seed=1, steps=3, checkpoint=path)
    with pytest.raises(InputError, match="another run"):
        train(SMALL, seed=2, steps=3, checkpoint=path)
    path.write_bytes(b"no checkpoint")
    with pytest.raises(InputError, match="not a checkpoint"):
        train(SMALL, seed=1, steps=3, checkpoint=path)
    with pytest.raises(InputError, match="cannot be written"):
        train(SMALL, steps=3, checkpoint=tmp_path / "nowhere" / "x")
    with pytest.raises(InputError, match="steps"):
        train(SMALL, steps=0)


def test_diagnosis_names_what_is_wrong() -> None:
    silent = replace(SMALL, regime=replace(SMALL.regime, trial=2.0, input_phases=(0.0, 0.1)))
    found = train(silent, steps=1).diagnosis
    assert found.silent == (1.0, 1.0)
    assert found.outputs_missing == 1.0
    assert len(found.warnings) == 3
    assert "warning: layer 1: 100%" in str(found)
    assert set(found.as_dict()) >= {"silent", "colliding", "gradient_norms"}


def test_tasks_by_name() -> None:
    assert isinstance(tasks.get("parabola"), Task)
    with pytest.raises(InputError, match="known are parabola"):
        tasks.get("parabel")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_parabola_reaches_the_goal(seed: int) -> None:
    result = train(tasks.get("parabola"), seed=seed, weight_bits=8)
    assert result.error <= 0.004
    assert result.diagnosis.outputs_missing == 0


STOPPED = """
import sys, time
from pathlib import Path
from qif2hw.experiments import tasks
from qif2hw.experiments.tasks import images
from qif2hw.ir import onnx_io
from qif2hw.nn import QIFNetwork
from qif2hw.train import loop

def progress(step, *_):
    if step >= 40 and stops:
        Path("there").touch()
        time.sleep(10_000)

stops, loop.SAVE_EVERY = sys.argv[1] == "stops", 15
result = loop.train(tasks.get("parabola"), steps=60, checkpoint="state", progress=progress)
onnx_io.save(result.network, "m.onnx")
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_a_killed_process_is_resumed(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "stopped.py").write_text(STOPPED)
    command = [sys.executable, "stopped.py"]
    with subprocess.Popen([*command, "stops"], cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        wait_for(lambda: (tmp_path / "there").exists() or process.poll() is not None)
        process.send_signal(number)
    assert process.returncode == -number
    assert sorted(p.name for p in tmp_path.iterdir()) == ["state", "stopped.py", "there"]
    subprocess.run([*command, "goes on"], cwd=tmp_path, check=True)
    whole = train(tasks.get("parabola"), steps=60)
    onnx_io.save(whole.network, tmp_path / "whole.onnx")
    assert (tmp_path / "m.onnx").read_bytes() == (tmp_path / "whole.onnx").read_bytes()


@pytest.mark.parametrize("seed", [2**70, 2**64, 2**63, -1])
def test_seeds_that_no_generator_takes_are_refused(seed: int) -> None:
    for work in (
        lambda: train(tasks.get("parabola"), seed=seed, steps=1),
        lambda: train_classifier(images.get("digits"), seed=seed, steps=1),
        lambda: QIFNetwork((1, 2), seed=seed),
    ):
        with pytest.raises(InputError, match=f"seed = {seed}: a whole number from 0 to"):
            work()
    assert QIFNetwork((1, 2), seed=2**63 - 1).sizes == (1, 2)
