"""A Dask cluster on this machine: the same results; lost workers and schedulers."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calls import divide, end, end_once, fail, nap, refuse, threads
from click.testing import CliRunner
from lava_faults import wait_for

import qif2hw
from qif2hw.errors import BackendError, InputError
from qif2hw.workers import cluster as module
from qif2hw.workers import workers
from qif2hw_cli.main import cli

pytest.importorskip("distributed")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


class Dask:
    """A scheduler and workers, each a process of its own."""

    def __init__(self, home: Path, count: int, **variables: str) -> None:
        self.home, self.variables = home, variables
        self.processes: list[subprocess.Popen[bytes]] = []
        self.start("scheduler", "--port", "0", "--host", "127.0.0.1", "--scheduler-file", str(home / "scheduler.json"))
        self.scheduler = self.processes[0]
        wait_for(self.told)
        for _ in range(count):
            self.add()

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        environment = os.environ | self.variables | {"PYTHONPATH": str(Path(__file__).parents[1])}
        process = subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_" + words[0], "--no-dashboard", *words[1:]],
            cwd=self.home, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def add(self) -> subprocess.Popen[bytes]:
        """A worker with one thread and nobody to start it again."""
        file = str(self.home / "scheduler.json")
        return self.start("worker", "--scheduler-file", file, "--nthreads", "1", "--no-nanny", "--host", "127.0.0.1")

    def told(self) -> bool:
        """Whether the scheduler has written all of its file."""
        try:
            return bool(self.address)
        except (OSError, ValueError):
            return False

    @property
    def address(self) -> str:
        return str(json.loads((self.home / "scheduler.json").read_text())["address"])

    def close(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers take long to start on a machine that does something else."""
    monkeypatch.setattr(module, "CONNECT", 100.0)


@pytest.fixture
def dask(tmp_path_factory: pytest.TempPathFactory, patient: None) -> Iterator[Dask]:
    found = Dask(tmp_path_factory.mktemp("dask"), 2)
    yield found
    found.close()


def test_results_are_those_of_this_machine(dask: Dask, layers: Any, tmp_path: Path) -> None:
    bundle, x = layers
    bundle.save(tmp_path / "m.qif")
    np.save(tmp_path / "x.npy", x)
    words = ["run", str(tmp_path / "m.qif"), "--inputs", str(tmp_path / "x.npy"), "-o"]
    where = ["--workers", "dask", "--scheduler", dask.address]
    for more in ([], where):
        assert CliRunner().invoke(cli, [*words, str(tmp_path / f"{len(more)}.npz"), *more]).exit_code == 0
    assert (tmp_path / "4.npz").read_bytes() == (tmp_path / "0.npz").read_bytes()
    parity = ["parity", *words[1:4], "--backends", "reference,engine", "--json", str(tmp_path / "p.json"), *where]
    result = CliRunner().invoke(cli, parity)
    assert result.exit_code == 0, result.output
    assert "parity holds" in result.stdout
    with workers("dask", scheduler=dask.address) as pool:
        assert pool.size <= 2
        for numba_threads, blas, process in pool.map(threads, None, range(4)):
            assert (numba_threads, process == os.getpid()) == (1, False)
            assert blas <= {1}
        for call, kind, said in ((refuse, InputError, "0 is wrong"), (fail, BackendError, "0 failed")):
            with pytest.raises(kind, match=f"^{said}$"):
                [*pool.map(call, None, range(3))]
        with pytest.raises(BackendError, match=r"part 1 of 1: a Dask worker failed \(ZeroDivisionError: "):
            [*pool.map(divide, None, [0])]


@pytest.mark.long
def test_a_lost_worker(dask: Dask, tmp_path: Path) -> None:
    """What it had is done by others; the cluster goes on with one."""
    with workers("dask", scheduler=dask.address) as pool:
        wait_for(lambda: pool.size == 2)
        assert [*pool.map(end_once, tmp_path, range(8))] == [*range(8)]
        assert pool.size == 1


@pytest.mark.long
def test_what_ends_every_worker(dask: Dask, monkeypatch: pytest.MonkeyPatch) -> None:
    with workers("dask", scheduler=dask.address) as pool:
        monkeypatch.setattr(module, "CONNECT", 2.0)
        with pytest.raises(
            BackendError, match=r"part \d of 8: the Dask cluster at 'tcp://.*' has lost all its workers"
        ):
            [*pool.map(end, None, range(8))]


@pytest.mark.long
def test_a_lost_scheduler(dask: Dask, monkeypatch: pytest.MonkeyPatch) -> None:
    with workers("dask", scheduler=dask.address) as pool:
        monkeypatch.setattr(module, "CONNECT", 2.0)
        results = pool.map(nap, None, [0.2] * 1000)
        assert next(results) == 0.2
        dask.scheduler.send_signal(signal.SIGKILL)
        with pytest.raises(BackendError, match=r"the Dask scheduler at 'tcp://.*' is gone"):
            [*results]


@pytest.mark.long
@pytest.mark.usefixtures("patient")
def test_a_call_that_ends_workers_is_given_up(tmp_path: Path) -> None:
    cluster = Dask(tmp_path, 2, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0")
    try:
        with workers("dask", scheduler=cluster.address) as pool:
            wait_for(lambda: pool.size == 2)
            with pytest.raises(
                BackendError, match=r"part \d of 8: Dask workers that ran it were lost, 1 in a row \(out of mem"
            ):
                [*pool.map(end, None, range(8))]
    finally:
        cluster.close()


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "CONNECT", 1.0)
    with (
        pytest.raises(InputError, match=r"no Dask scheduler answers at 'tcp://127\.0\.0\.1:9'"),
        workers("dask", scheduler="tcp://127.0.0.1:9"),
    ):
        pass
    empty = Dask(tmp_path, 0)
    try:
        words = ["run", "m.qif", "--inputs", "x.npy", "-o", "y.npz", "--workers", "dask", "--scheduler", empty.address]
        qif2hw.zoo.bundle("parabola").save(tmp_path / "m.qif")
        np.save(tmp_path / "x.npy", np.zeros((1, 1)))
        monkeypatch.chdir(tmp_path)
        result = CliRunner().invoke(cli, words)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == f"error: the Dask scheduler at '{empty.address}' has no workers\n"
    finally:
        empty.close()
