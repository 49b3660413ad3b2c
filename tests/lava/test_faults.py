"""Whatever happens under Lava is reported within the limit, and leaves no process, memory or file behind.

Nothing here depends on how fast the machine is: they wait for what they need, limits pass on their own clock.
"""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from lava_faults import Clock, alone, wait_for, write_fault
from numpy.typing import NDArray

import qif2hw_lava
from qif2hw import engine
from qif2hw.errors import BackendError
from qif2hw.ir import CotangentTables, Program
from qif2hw_lava import Interpreter, LavaError, LavaTimeout, backend, job, launch
from qif2hw_lava.launch import run_worker

if TYPE_CHECKING:
    from conftest import Traces

pytestmark = pytest.mark.lava

LIMIT = 5000.0
"""Seconds, a limit that only passes on a `Clock`."""


@pytest.fixture
def folder(traces: "Traces") -> Path:
    """A job's."""
    path = traces.folder / "job"
    path.mkdir()
    return path


def first_line(error: pytest.ExceptionInfo[BaseException]) -> str:
    return str(error.value).partition("\n")[0]


# A Process whose model is one of ours.
_GUARDED = """
from lava.magma.core.decorator import implements, requires
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from qif2hw_lava.processes.guarded import GuardedModel

class Faulty(AbstractProcess):
    pass

@implements(proc=Faulty, protocol=LoihiProtocol)
@requires(CPU)
class PyFaulty(GuardedModel):
    def step(self, current, n):
        pass

    def {method}:
        [][1]

def execute(folder):
    process = Faulty(name="faulty", job=str(folder), steps=5, rounds=2)
    process.run(RunSteps(num_steps=10), Loihi2SimCfg())
    return process
"""


@pytest.mark.parametrize(
    ("method", "where"),
    [
        ("step(self, current, n)", ", step 1"),
        ("reset(self, current)", ", step 1"),
        ("deliver(self)", ", step 10"),
        ("__init__(self, parameters)", ""),
    ],
    ids=["in a step", "between rounds", "in its results", "when it is built"],
)
def test_a_process_that_raises(method: str, where: str, folder: Path, lava: Interpreter) -> None:
    (folder / "faulty.py").write_text(_GUARDED.format(method=method))
    with pytest.raises(LavaError) as caught:
        run_worker(lava, folder, LIMIT, module="faulty")
    assert not isinstance(caught.value, LavaTimeout)
    assert first_line(caught) == f"Process 'faulty'{where} failed under Lava: IndexError: list index out of range"
    assert "Traceback" in str(caught.value)


def test_a_program_that_the_worker_refuses(
    program: Program, x: NDArray[np.float64], traces: "Traces", lava: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first table ends after two knots: its own checks would say so here too."""
    first, *others = program.populations
    assert isinstance(first.ptc, CotangentTables)
    table = replace(first.ptc.to_potential, knots=first.ptc.to_potential.knots[:2])
    with monkeypatch.context() as unchecked:
        unchecked.setattr("qif2hw.ir.program.check_curve", lambda *_: None)
        broken = replace(program, populations=(replace(first, ptc=replace(first.ptc, to_potential=table)), *others))
    with pytest.raises(
        LavaError, match=r"the Lava worker failed under Lava: .*its tables end before half of the cycle"
    ):
        qif2hw_lava.run(broken, x)


ENDED = r"^a process of Lava failed under Lava: it ended by itself: process \d+, "
LATE = r"^Lava did not finish within 5000 s \(0 steps done\); its processes were ended$"
FORKS = (
    "[int(p) for p in Path(f'/proc/{os.getppid()}/task/{os.getppid()}/children').read_text().split() "
    "if int(p) != os.getpid() and b'resource_tracker' not in Path(f'/proc/{p}/cmdline').read_bytes()]"
)
"""The processes that its worker has forked besides itself: that of Lava's shared memory, ..., that of its runtime."""


@pytest.mark.parametrize(("estimated", "passed"), [(False, "60"), (True, "60[0-2]")])
@pytest.mark.parametrize("load", [0.0, 10.0])
def test_an_estimated_limit_is_longer_where_there_is_more_work_than_cores(
    load: float, estimated: bool, passed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count(0.0)
    monkeypatch.setattr(launch, "monotonic", lambda: next(seconds))
    monkeypatch.setattr(launch, "sleep", lambda _: None)
    monkeypatch.setattr(os, "getloadavg", lambda: (load * (os.cpu_count() or 1), 0.0, 0.0))
    (tmp_path / launch.LOG).touch()
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(10_000)"])
    try:
        with pytest.raises(LavaTimeout) as caught:
            launch._watch(worker.pid, tmp_path, 60.0, None, estimated)
    finally:
        worker.kill()
        worker.wait()
    assert re.match(rf"Lava did not finish within {passed if load else '6[0-2]'} s", first_line(caught))


def also(*case: object) -> object:
    """A case that the ordinary test suite does without."""
    return pytest.param(*case, marks=pytest.mark.long)


@pytest.mark.parametrize(
    ("fault", "expected", "message"),
    [
        ("pass", None, ""),
        ("time.sleep(10_000)", LavaTimeout, LATE),
        ("signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(10_000)", LavaTimeout, LATE),
        ("raise ValueError('on purpose')", LavaError, r"^Process 'PyFaulty', step 5 failed under Lava: ValueError: on"),
        also("raise KeyboardInterrupt", LavaError, r"^Process 'PyFaulty', step 5 failed under Lava: Keyboard"),
        also("os._exit(0)", LavaError, f"{ENDED}code 0$"),
        ("os._exit(3)", LavaError, f"{ENDED}code 3$"),
        ("os.kill(os.getpid(), signal.SIGKILL)", LavaError, rf"{ENDED}signal 9 \(SIGKILL\)$"),
        also(f"os.kill({FORKS}[0], signal.SIGKILL); time.sleep(10_000)", LavaError, rf"{ENDED}signal 9 \(SIGKILL\)$"),
        also(f"os.kill({FORKS}[-1], signal.SIGKILL); time.sleep(10_000)", LavaError, rf"{ENDED}signal 9 \(SIGKILL\)$"),
        also(
            "os.kill(os.getppid(), signal.SIGKILL); time.sleep(10_000)",
            LavaError,
            r"^the Lava worker ended with signal 9 \(SIGKILL\) and no results$",
        ),
        also(
            "os.killpg(os.getpgrp(), signal.SIGINT); time.sleep(10_000)",
            LavaError,
            r"^(Process 'PyFaulty', step 5|a service of Lava's runtime|the Lava worker) failed under Lava: Keyboard",
        ),
    ],
    ids=[
        "none", "hangs", "hangs and ignores SIGTERM", "raises", "is interrupted", "exits in order", "exits", "killed",
        "memory killed", "runtime killed", "worker killed", "all interrupted",
    ],
)  # fmt: skip
def test_a_process_that_does_not_come_back(
    fault: str,
    expected: type[Exception] | None,
    message: str,
    folder: Path,
    lava: Interpreter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_fault(folder, fault)
    if expected is LavaTimeout:
        monkeypatch.setattr(launch, "monotonic", Clock((folder / "there").exists))
    if expected is None:
        run_worker(lava, folder, LIMIT, module="faulty")
        return
    with pytest.raises(expected) as caught:
        run_worker(lava, folder, LIMIT, module="faulty")
    assert re.search(message, first_line(caught))


@pytest.fixture(params=["ignored", "reaped by another thread"])
def exit_codes_lost(request: pytest.FixtureRequest) -> Iterator[None]:
    """Children whose exit codes this process does not get."""
    if request.param == "ignored":
        before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        yield
        signal.signal(signal.SIGCHLD, before)
        return
    over = threading.Event()

    def reap() -> None:
        while not over.wait(0.001):
            with suppress(ChildProcessError):
                os.waitpid(-1, os.WNOHANG)

    thread = threading.Thread(target=reap)
    thread.start()
    yield
    over.set()
    thread.join()


@pytest.mark.usefixtures("exit_codes_lost")
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("pass", None),
        ("os._exit(3)", f"{ENDED}code 3$"),
        ("os.kill(os.getppid(), signal.SIGKILL)", r"^the Lava worker ended with .* and no results$"),
    ],
    ids=["none", "a process exits", "the worker is killed"],
)
def test_exit_codes_that_others_take(fault: str, message: str | None, folder: Path, lava: Interpreter) -> None:
    write_fault(folder, fault)
    if message is None:
        run_worker(lava, folder, LIMIT, module="faulty")
        return
    with pytest.raises(LavaError) as caught:
        run_worker(lava, folder, LIMIT, module="faulty")
    assert re.search(message, first_line(caught))


@pytest.mark.parametrize("stop", ["time.sleep(10_000)", "os._exit(3)", "raise OSError('on purpose')"])
def test_results_that_are_there_are_not_lost(
    stop: str, folder: Path, lava: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever happens while Lava stops its processes."""
    (folder / "faulty.py").write_text(
        "import os, time\n\nclass Slow:\n    def stop(self):\n        "
        f"{stop}\n\ndef execute(folder):\n    return Slow()\n"
    )
    monkeypatch.setattr(launch, "STOPPING", 0.1)
    run_worker(lava, folder, LIMIT, module="faulty")


def test_programs_that_the_worker_starts_may_end(folder: Path, lava: Interpreter) -> None:
    """As those that a driver of a board starts."""
    write_fault(folder, "pass")
    text = (folder / "faulty.py").read_text()
    start = "    import subprocess\n    programs = [subprocess.Popen(['sh', '-c', f'exit {k}']) for k in (0, 1)]\n"
    wait = "    programs[1].wait(); time.sleep(0.3)\n    process = Faulty()"
    (folder / "faulty.py").write_text(text.replace("    process = Faulty()", start + wait))
    run_worker(lava, folder, LIMIT, module="faulty")


def test_a_worker_without_its_modules(folder: Path, lava: Interpreter) -> None:
    with pytest.raises(LavaError, match=r"^the Lava worker failed under Lava: ModuleNotFoundError: .*'absent'"):
        run_worker(lava, folder, LIMIT, module="absent")


def test_results_that_cannot_be_read(
    program: Program, x: NDArray[np.float64], traces: "Traces", lava: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(python: Interpreter, folder: Path, *others: object, **options: object) -> None:
        run_worker(python, folder, LIMIT)
        (folder / "first0.npz").write_bytes(b"PK\x03\x04")

    monkeypatch.setattr(backend, "run_worker", spoil)
    with pytest.raises(BackendError, match=r"^the run ended without its results 'first0' \("):
        qif2hw_lava.run(program, x)
    with pytest.raises(BackendError, match=r"^the run ended without its results 'nothing' \("):
        job.read_arrays(traces.folder, "nothing")


def many(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """So many samples that a modular run takes far longer than a test may."""
    return np.tile(x, (100_000, 1))


def test_a_stopped_process(
    program: Program, x: NDArray[np.float64], traces: "Traces", lava: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = threading.Event()

    def stop(done: int, total: int) -> None:
        traces.look()
        os.kill(max(traces.processes()), signal.SIGSTOP)
        stopped.set()

    monkeypatch.setattr(launch, "monotonic", Clock(stopped.is_set))
    with pytest.raises(LavaTimeout, match=r"^Lava did not finish within 5000 s \([1-9]\d* steps done\)"):
        qif2hw_lava.run(program, many(x), mode="modular", timeout=LIMIT, progress=stop)
    assert traces.segments, "the test must have seen shared memory"


def test_an_interrupted_parent(program: Program, x: NDArray[np.float64], traces: "Traces", lava: Interpreter) -> None:
    def interrupt(done: int, total: int) -> None:
        traces.look()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        qif2hw_lava.run(program, many(x), mode="modular", progress=interrupt)
    assert traces.segments


def run_in_a_process(bundle_file: Path, traces: "Traces") -> "subprocess.Popen[str]":
    """A parent with a modular run that takes far longer than a test may; Lava runs when it is returned."""
    x = traces.folder / "x.npy"
    np.save(x, np.zeros((300_000, 1)))
    script = "from qif2hw_cli.main import main; main()"
    arguments = ["run", bundle_file, "--inputs", x, "-o", traces.folder / "out.npz", "--backend", "lava"]
    environment = os.environ | {"TMPDIR": str(traces.folder)}
    parent = subprocess.Popen(
        [sys.executable, "-c", script, *arguments, "--mode", "modular"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for(lambda: list(traces.folder.glob("qif2hw-lava-*/progress")) or parent.poll() is not None)
    assert parent.poll() is None, parent.communicate()
    traces.look()
    assert traces.processes()
    assert traces.segments
    return parent


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGINT, 130, "interrupted\n"), also(signal.SIGTERM, -15, ""), (signal.SIGKILL, -9, "")],
    ids=["SIGINT", "SIGTERM", "SIGKILL"],
)
def test_a_parent_that_gets_a_signal(
    number: signal.Signals, code: int, said: str, bundle_file: Path, traces: "Traces", lava: Interpreter
) -> None:
    """A command, and all of its process group, as a terminal's Ctrl-C does it."""
    parent = run_in_a_process(bundle_file, traces)
    workers = traces.processes()
    os.killpg(parent.pid, number)
    printed, complained = parent.communicate()
    assert (parent.returncode, printed) == (code, "")
    assert complained.endswith(said)
    assert "Traceback" not in complained
    wait_for(lambda: not set(workers) & set(traces.processes()))
    wait_for(lambda: not traces.left())


def test_parent_and_worker_killed(bundle_file: Path, traces: "Traces", lava: Interpreter) -> None:
    """Then nobody is left to end Lava's processes: they end by themselves.  The job's folder stays."""
    parent = run_in_a_process(bundle_file, traces)
    worker = min(traces.processes())
    os.kill(worker, signal.SIGSTOP)  # it must not see that its parent is gone
    os.kill(parent.pid, signal.SIGKILL)
    os.kill(worker, signal.SIGKILL)
    parent.communicate()
    wait_for(lambda: not traces.processes())
    wait_for(lambda: not any(segment.exists() for segment in traces.segments))
    for left in traces.folder.glob("qif2hw-lava-*"):
        subprocess.run(["rm", "-r", left], check=True)


def test_two_runs_at_once(
    program: Program, x: NDArray[np.float64], traces: "Traces", lava: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of which fails: the other one does not notice."""
    both = threading.Barrier(2)
    found: list[object] = []

    def at_once(python: Interpreter, folder: Path, *others: object, **options: object) -> None:
        both.wait()
        run_worker(python, folder, LIMIT)

    def fail() -> None:
        folder = traces.folder / "job"
        folder.mkdir()
        write_fault(folder, "os._exit(3)")
        both.wait()
        try:
            run_worker(lava, folder, LIMIT, module="faulty")
        except LavaError as error:
            found.append(error)

    monkeypatch.setattr(backend, "run_worker", at_once)
    thread = threading.Thread(target=fail)
    thread.start()
    run = qif2hw_lava.run(program, x)
    thread.join()
    assert run.machine == engine.run(program, x).machine
    (error,) = found
    assert "code 3" in str(error)


FULL = {
    "size=4k": r"^the Lava worker failed under Lava: OSError: \[Errno 28\] No space left on device \(in /dev/shm, wh",
    "size=64k": rf"{ENDED}signal 7 \(SIGBUS: no memory behind an address, as when /dev/shm is full\)$",
    "size=16m,nr_inodes=3": r"No space left on device \(in /dev/shm, where Lava keeps its channels",
}


@pytest.mark.parametrize("size", [pytest.param(size, marks=() if "64" in size else pytest.mark.long) for size in FULL])
def test_a_full_dev_shm(size: str, bundle_file: Path, traces: "Traces", lava: Interpreter) -> None:
    """A small one, in a mount namespace of its own."""
    before = alone(size)
    if before is None:
        pytest.skip("this user may not make a mount namespace")
    script = (
        "import sys, os, numpy as np, qif2hw_lava\n"
        "try:\n    qif2hw_lava.run(sys.argv[1], np.zeros((1, 1)))\n"
        "except qif2hw_lava.LavaError as error:\n    print(str(error).partition('\\n')[0])\n"
        "print(os.listdir('/dev/shm'))"
    )
    environment = os.environ | {"TMPDIR": str(traces.folder)}
    command = [*before, sys.executable, "-c", script, str(bundle_file)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    line, left = done.stdout.splitlines()
    assert re.search(FULL[size], line)
    assert left == "[]"


@pytest.mark.parametrize("runs", [4, pytest.param(1000, marks=[pytest.mark.long, pytest.mark.timeout(4 * 3600)])])
def test_runs_leave_nothing(runs: int, traces: "Traces", lava: Interpreter) -> None:
    """File descriptors, threads, processes, shared memory, folders; every tenth run fails."""
    before = alone("size=16m")
    if before is None:
        pytest.skip("this user may not make a mount namespace")
    script = Path(__file__).with_name("leaks.py")
    environment = os.environ | {"TMPDIR": str(traces.folder), "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([*before, sys.executable, script, str(runs)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["worst"] == found["before"] == found["after"]
