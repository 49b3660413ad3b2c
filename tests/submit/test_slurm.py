"""Jobs on a real Slurm cluster of one node."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from cluster import Cluster, kill_below

import qif2hw
from qif2hw_cli.main import cli

LIMIT = 240.0


def call(*words: object) -> Result:
    result = CliRunner().invoke(cli, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def told(*words: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(call(*words, "--json").stdout)
    return found


def states(folder: Path) -> dict[str, str]:
    [job] = told("jobs", "status", folder)["jobs"]
    return {task["name"]: task["state"] for task in job["tasks"]}


def until(holds: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.2)


def without_seconds(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    del found["seconds"]
    return found


def test_a_sharded_parity_is_that_of_one_run(slurm: Cluster, files: Any, tmp_path: Path) -> None:
    parity = ["parity", files.bundle, "--inputs", files.inputs, "--backends", "reference,engine", "--json"]
    assert call(*parity, tmp_path / "one.json").exit_code == 0
    folder, out = tmp_path / "job", tmp_path / "two.json"
    options = ["--shards", 2, "--time", 5, "--partition", "batch", "--folder", folder, "--json"]
    done = json.loads(call("submit", *options, "--", *parity, out).stdout)
    assert done["tasks"] == ["shard-1", "shard-2", "join"]
    assert len(done["slurm_jobs"]) == 2
    result = call("jobs", "wait", folder, "--timeout", LIMIT)
    assert result.exit_code == 0, call("jobs", "logs", folder).stdout
    assert without_seconds(out) == without_seconds(tmp_path / "one.json")
    assert len(list((folder / "shards").glob("*-of-2.run"))) == 3 * 2
    assert call("jobs", "status", folder).stdout == f"{folder}: 3 done\n"
    assert "parity holds" in call("jobs", "logs", folder, "--task", "join").stdout
    assert told("jobs", "resume", folder) == {"folder": str(folder), "submitted": [], "slurm_jobs": []}


def run_of(files: Any, out: Path) -> list[object]:
    return ["run", files.bundle, "--inputs", files.inputs, "-o", out]


def test_a_lost_shard_is_named_and_resumed(slurm: Cluster, files: Any, tmp_path: Path) -> None:
    assert call(*run_of(files, tmp_path / "one.npz")).exit_code == 0
    folder, out = tmp_path / "job", tmp_path / "two.npz"
    assert call("submit", "--shards", 2, "--folder", folder, *run_of(files, out)).exit_code == 0
    # The first of them that runs is ended, over and over, until Slurm has seen it.
    until(slurm.scripts, "no task runs")
    victim = slurm.scripts()[0]
    until(lambda: kill_below(victim) or victim not in slurm.scripts(), "the task goes on")
    assert call("jobs", "wait", folder, "--timeout", LIMIT).exit_code == 1
    found = states(folder)
    lost = [name for name, state in found.items() if state == "lost"]
    assert len(lost) == 1
    assert sorted(found.values()) == ["done", "failed", "lost"]
    assert not out.exists()
    printed = call("jobs", "status", folder)
    assert printed.exit_code == 1
    assert printed.stdout.splitlines() == [
        f"{folder}: 1 failed, 1 lost, 1 done",
        f"  {lost[0]}: lost (ended by signal 9)",
        f"  join: failed (exit code 2: error: {folder}/shards: shard {lost[0][-1]} of 2 of engine is missing: "
        "run it with --shard)",
    ]
    kept = {path.name: path.stat().st_mtime_ns for path in (folder / "shards").iterdir()}
    assert told("jobs", "resume", folder)["submitted"] == [lost[0], "join"]
    assert call("jobs", "wait", folder, "--timeout", LIMIT).exit_code == 0
    assert out.read_bytes() == (tmp_path / "one.npz").read_bytes()
    assert kept.items() <= {path.name: path.stat().st_mtime_ns for path in (folder / "shards").iterdir()}.items()


def test_a_cancelled_job_ends(slurm: Cluster, files: Any, tmp_path: Path) -> None:
    folder, out = tmp_path / "job", tmp_path / "out.npz"
    assert call("submit", "--shards", 4, "--folder", folder, *run_of(files, out)).exit_code == 0
    until(slurm.scripts, "no task runs")
    assert told("jobs", "resume", folder)["submitted"] == []
    ended = told("jobs", "cancel", folder)["cancelled"]
    assert "join" in ended
    assert call("jobs", "wait", folder, "--timeout", LIMIT).exit_code == 1
    found = states(folder)
    assert all(found[name] == "cancelled" for name in ended)
    until(lambda: not slurm.scripts(), "a cancelled task goes on")
    assert not out.exists()
    assert told("jobs", "cancel", folder)["cancelled"] == []


@pytest.mark.long
def test_a_lost_node(slurm: Cluster, files: Any, tmp_path: Path) -> None:
    """Slurm itself starts what ran there again, once the node is back; after two minutes, as it is configured."""
    folder, out = tmp_path / "job", tmp_path / "out.npz"
    assert call("submit", "--shards", 2, "--folder", folder, *run_of(files, out)).exit_code == 0
    until(slurm.scripts, "no task runs")
    slurm.lose_node()
    slurm.wait_for("down*", "down", seconds=LIMIT)
    assert set(states(folder).values()) == {"waiting"}
    slurm.return_node()
    slurm.wait_for("idle", "allocated", "mixed", seconds=LIMIT)
    assert call("jobs", "wait", folder, "--timeout", 2 * LIMIT).exit_code == 0
    with np.load(out) as arrays:
        np.testing.assert_array_equal(arrays["y"], qif2hw.load(files.bundle).run(np.load(files.inputs)).y)


def test_any_command_is_a_job(slurm: Cluster, files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the working directory that it was submitted in, with the threads asked for."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jobs/inspect-1").mkdir(parents=True)
    call("submit", "--cpus", 2, "--", "inspect", files.bundle, "--json")
    assert call("jobs", "wait", "jobs/inspect-2", "--timeout", LIMIT).exit_code == 0
    logs = told("jobs", "logs", "jobs/inspect-2")["logs"]
    assert logs["command"].startswith("qif2hw submit: command, Slurm job ")
    assert json.loads(logs["command"].partition("\n")[2])["report"]["fit"]["fits"] is True
    assert "export NUMBA_NUM_THREADS=2 OMP_NUM_THREADS=2" in Path("jobs/inspect-2/job.sh").read_text()
    assert call("jobs", "status").stdout == "jobs/inspect-2: 1 done\n"
