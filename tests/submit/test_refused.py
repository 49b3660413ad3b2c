"""What is refused before anything is handed to Slurm; with programs in the place of Slurm's where there is none."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cluster import Cluster

from qif2hw_cli.main import cli
from qif2hw_deploy.submission import Job
from qif2hw_deploy.submission import slurm as commands
from qif2hw_deploy.submission.script import script


def refused(*words: object) -> str:
    """Exit code 2, nothing on stdout, one line on stderr, which is returned."""
    result = CliRunner().invoke(cli, [str(word) for word in words])
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    [line] = result.stderr.splitlines()
    return line.removeprefix("error: ")


@pytest.fixture
def no_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the path of programs."""
    found = tmp_path / "bin"
    found.mkdir()
    monkeypatch.setenv("PATH", str(found))
    return found


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_no_slurm(no_slurm: Path, files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    job = ["run", files.bundle, "--inputs", files.inputs, "-o", "out.npz"]
    line = refused("submit", *job)
    assert line == "there is no sbatch here: `qif2hw submit` needs a machine that submits to Slurm"
    assert "there is no sinfo here" in refused("submit", "--partition", "batch", *job)
    assert not Path("jobs/run-1").exists()


def test_a_controller_that_does_not_answer(
    no_slurm: Path, files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "LIMIT", 0.5)
    program(no_slurm, "sbatch", "exec /bin/sleep 60")
    folder = tmp_path / "job"
    line = refused("submit", "--folder", folder, "inspect", files.bundle)
    assert line == "sbatch has not answered in 0.5 s: is Slurm's controller running?"
    assert not folder.exists()


def test_slurm_refuses(no_slurm: Path, files: Any, tmp_path: Path) -> None:
    program(no_slurm, "sbatch", 'echo "sbatch: error: Batch job submission failed: Invalid account" >&2; exit 1')
    folder = tmp_path / "job"
    line = refused("submit", "--folder", folder, "inspect", files.bundle)
    assert line == "sbatch: Batch job submission failed: Invalid account"
    assert not folder.exists()


def test_the_array_is_cancelled_if_its_join_is_refused(no_slurm: Path, files: Any, tmp_path: Path) -> None:
    program(no_slurm, "sbatch", 'case "$*" in *join*) exit 1;; *) echo 17;; esac')
    program(no_slurm, "scontrol", 'echo "JobId=17 ArrayTaskId=1-2 JobState=PENDING Reason=None"')
    program(no_slurm, "scancel", f'echo "$@" >>{tmp_path}/cancelled')
    folder = tmp_path / "job"
    words = ["run", files.bundle, "--inputs", files.inputs, "-o", tmp_path / "out.npz"]
    assert refused("submit", "--folder", folder, "--shards", 2, *words) == "sbatch: exit code 1"
    assert (tmp_path / "cancelled").read_text() == "--quiet 17\n"
    assert not folder.exists()


def test_partitions(slurm: Cluster, files: Any) -> None:
    line = refused("submit", "--partition", "nope", "inspect", files.bundle)
    assert line == "no partition 'nope': there are batch, slow"
    line = refused("submit", "--sbatch=--qos=nope", "--time", "x", "inspect", files.bundle)
    assert line == "sbatch: Invalid --time specification"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("jobs status", "'jobs' cannot be submitted"),
        ("submit -- run", "'submit' cannot be submitted"),
        ("ls -l", "'ls' cannot be submitted: give a command of qif2hw"),
        ("run BUNDLE --inputs INPUTS", "Missing option '-o' / '--output'"),
        ("run BUNDLE --inputs INPUTS -o OUT --step 3", "No such option"),
        ("run BUNDLE --inputs no.npy -o OUT", "no.npy: cannot be read"),
        ("run no.qif --inputs INPUTS -o OUT", "no.qif"),
        ("run BUNDLE --inputs INPUTS -o no/OUT", "there is no folder"),
        ("run BUNDLE --inputs INPUTS -o OUT --shards x", "--shards stands before the command"),
        ("run BUNDLE --inputs INPUTS -o OUT --backend loihi2", "Lava's driver submits"),
        ("parity BUNDLE --backends engine,loihi2", "Lava's driver submits"),
        ("--shards 5 -- run BUNDLE --inputs INPUTS -o OUT", "shard 1/5: 1000 samples have at most 4 shards"),
        ("--shards 2 -- parity full", "full is a folder of bundles, which is one task"),
        ("--shards 1 -- run BUNDLE --inputs INPUTS -o OUT", "--shards 1: two or more, or none"),
        ("--shards 2 -- inspect BUNDLE", "inspect has no samples to be run in shards (run and parity have)"),
        ("--folder a%b -- inspect BUNDLE", "a job's folder cannot have %"),
        ("--folder full -- inspect BUNDLE", "exists already: take another folder, or resume the job in it"),
    ],
)
def test_wrong_commands(
    no_slurm: Path, files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full/of").mkdir(parents=True)
    given = {"BUNDLE": files.bundle, "INPUTS": files.inputs, "OUT": "out.npz"}
    assert message in refused("submit", *(given.get(word, word) for word in words.split()))
    assert {path.name for path in tmp_path.iterdir()} <= {"full", "bin"}


def test_wrong_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "there is no job in the folder 'jobs'" in refused("jobs", "status")
    for name in ("status", "wait", "cancel", "resume", "logs"):
        assert refused("jobs", name, tmp_path) == f"{tmp_path}: holds no job (there is no job.json)"
    for text in ("", "[]", "{}", '{"format": 1}', '{"format": 1, "request": {"words": 3}, "submitted": []}'):
        (tmp_path / "job.json").write_text(text)
        assert "not the record of a job" in refused("jobs", "status", tmp_path)
    (tmp_path / "job.json").write_text('{"format": 2}')
    assert "of format 2, this version reads 1" in refused("jobs", "status", tmp_path)


def test_a_task_that_slurm_has_forgotten_is_lost(no_slurm: Path, tmp_path: Path) -> None:
    facts = {
        "format": 1,
        "request": {"words": ["inspect", "m"], "workdir": ".", "shards": 2, "cpus": 1, "options": [], "python": "p"},
        "submitted": [{"number": 7, "tasks": {"1": "shard-1", "2": "shard-2"}}, {"number": 8, "tasks": {"0": "join"}}],
    }
    (tmp_path / "job.json").write_text(json.dumps(facts))
    assert Job.load(tmp_path).save() == Job.load(tmp_path)
    (tmp_path / "shard-2.exit").write_text("0\n")
    (tmp_path / "shard-1.log").write_text("started\nerror: no such thing\n\n")
    program(no_slurm, "scontrol", 'echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1')
    result = CliRunner().invoke(cli, ["jobs", "status", str(tmp_path)])
    assert result.exit_code == 1
    words = "lost (Slurm does not know it any more)"
    assert result.stdout.splitlines()[1:] == [f"  shard-1: {words}", f"  join: {words}"]
    (tmp_path / "shard-1.exit").write_text("2\n")
    result = CliRunner().invoke(cli, ["jobs", "status", str(tmp_path)])
    assert "  shard-1: failed (exit code 2: error: no such thing)" in result.stdout
    assert refused("jobs", "logs", tmp_path, "--task", "shard-3").endswith("there are shard-1, shard-2, join")


def test_numbers_of_arrays() -> None:
    assert commands.ranges([3, 1, 2, 7, 9, 10]) == "1-3,7,9-10"
    assert commands._numbers("1-3,7,9-10%2") == [1, 2, 3, 7, 9, 10]
    assert commands._numbers("N/A") == []


def test_the_script_runs_without_slurm(files: Any, tmp_path: Path) -> None:
    """A path with blanks and quotes; the tasks by hand, one after the other, as on a cluster without Slurm."""
    import subprocess
    import sys

    home = tmp_path / "a b'c"
    home.mkdir()
    words = ("run", str(files.bundle), "--inputs", str(files.inputs), "-o", "out.npz")
    text = script(words, python=sys.executable, workdir=home, folder=home, shards=2, cpus=1)
    (home / "job.sh").write_text(text)
    codes = [
        subprocess.run(["sh", home / "job.sh", task], capture_output=True, check=False).returncode
        for task in ("shard-1", "join", "shard-2", "join")
    ]
    assert codes == [0, 2, 0, 0]
    assert (home / "join.exit").read_text() == "0\n"
    assert (home / "out.npz").exists()
    assert not [path for path in home.iterdir() if path.name.startswith(".")]
