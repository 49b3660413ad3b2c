"""Whatever happens under Lava is reported within the limit, and leaves no process, memory or file behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

import qif2hw_lava
from qif2hw.ir import CotangentTables, Program
from qif2hw_lava import Interpreter, LavaError, LavaTimeout
from qif2hw_lava.launch import run_worker

if TYPE_CHECKING:
    from conftest import Traces

pytestmark = pytest.mark.lava

SLACK = 6.0
"""Seconds for ending processes, after a limit."""


def wait_for(condition: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


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
    ("method", "step"),
    [("step(self, current, n)", 1), ("reset(self, current)", 1), ("deliver(self)", 10)],
    ids=["in a step", "between rounds", "in its results"],
)
def test_a_process_that_raises(method: str, step: int, traces: "Traces", lava: Interpreter) -> None:
    job = traces.folder / "job"
    job.mkdir()
    (job / "faulty.py").write_text(_GUARDED.format(method=method))
    start = time.monotonic()
    with pytest.raises(LavaError, match=rf"^Process 'faulty', step {step} failed under Lava: IndexError") as caught:
        run_worker(lava, job, 60, module="faulty")
    assert not isinstance(caught.value, LavaTimeout)
    assert "Traceback" in str(caught.value)
    assert time.monotonic() - start < 30


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


# A Process of nobody's making, with a model that Lava runs unguarded.
_FAULTY = """
import os, signal, time
from lava.magma.core.decorator import implements, requires
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

class Faulty(AbstractProcess):
    pass

@implements(proc=Faulty, protocol=LoihiProtocol)
@requires(CPU)
class PyFaulty(PyLoihiProcessModel):
    def run_spk(self):
        if self.time_step == 5:
            {fault}

def execute(folder):
    process = Faulty()
    process.run(RunSteps(num_steps=10), Loihi2SimCfg())
    return process
"""


@pytest.mark.parametrize(
    ("fault", "expected", "message"),
    [
        ("pass", None, ""),
        ("time.sleep(1000)", LavaTimeout, "did not finish within 5 s"),
        ("signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)", LavaTimeout, "did not finish within 5 s"),
        ("raise ValueError('on purpose')", LavaError, r"^the Lava worker failed under Lava: RuntimeError"),
        ("os._exit(3)", LavaError, r"a process of Lava failed under Lava: it ended by itself: process \d+, code 3"),
        ("os.kill(os.getpid(), signal.SIGKILL)", LavaError, r"it ended by itself: process \d+, signal 9"),
    ],
    ids=["none", "hangs", "hangs and ignores SIGTERM", "raises unguarded", "exits", "killed"],
)
def test_a_process_that_does_not_come_back(
    fault: str, expected: type[Exception] | None, message: str, traces: "Traces", lava: Interpreter
) -> None:
    job = traces.folder / "job"
    job.mkdir()
    (job / "faulty.py").write_text(_FAULTY.format(fault=fault))
    start = time.monotonic()
    if expected is None:
        run_worker(lava, job, 30, module="faulty")
    else:
        with pytest.raises(expected, match=message):
            run_worker(lava, job, 5, module="faulty")
        assert time.monotonic() - start < 5 + SLACK


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
        while not over.is_set():
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
        ("os._exit(3)", r"it ended by itself: process \d+, code 3"),
        ("os.kill(os.getppid(), signal.SIGKILL)", r"ended with code .* and no results"),
    ],
    ids=["none", "a process exits", "the worker is killed"],
)
def test_exit_codes_that_others_take(fault: str, message: str | None, traces: "Traces", lava: Interpreter) -> None:
    job = traces.folder / "job"
    job.mkdir()
    (job / "faulty.py").write_text(_FAULTY.format(fault=fault))
    if message is None:
        run_worker(lava, job, 30, module="faulty")
    else:
        with pytest.raises(LavaError, match=message):
            run_worker(lava, job, 30, module="faulty")


def test_results_that_are_there_are_not_lost(traces: "Traces", lava: Interpreter) -> None:
    """The limit passes while Lava stops its processes."""
    job = traces.folder / "job"
    job.mkdir()
    (job / "faulty.py").write_text(
        "import time\n\nclass Slow:\n    def stop(self):\n        time.sleep(1000)\n\n"
        "def execute(folder):\n    return Slow()\n"
    )
    run_worker(lava, job, 3, module="faulty")


def test_a_worker_without_its_modules(traces: "Traces", lava: Interpreter) -> None:
    job = traces.folder / "job"
    job.mkdir()
    with pytest.raises(LavaError, match=r"^the Lava worker failed under Lava: ModuleNotFoundError: .*'absent'"):
        run_worker(lava, job, 30, module="absent")


def many(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """So many samples that a modular run takes far longer than a test may."""
    return np.tile(x, (100_000, 1))


def test_a_stopped_process(program: Program, x: NDArray[np.float64], traces: "Traces", lava: Interpreter) -> None:
    def stop(done: int, total: int) -> None:
        traces.look()
        os.kill(max(traces.processes()), signal.SIGSTOP)

    start = time.monotonic()
    with pytest.raises(LavaTimeout, match=r"^Lava did not finish within 8 s \(\d+ steps done\)"):
        qif2hw_lava.run(program, many(x), mode="modular", timeout=8, progress=stop)
    assert time.monotonic() - start < 8 + SLACK
    assert traces.segments, "the test must have seen shared memory"


def test_an_interrupted_parent(program: Program, x: NDArray[np.float64], traces: "Traces", lava: Interpreter) -> None:
    def interrupt(done: int, total: int) -> None:
        traces.look()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        qif2hw_lava.run(program, many(x), mode="modular", progress=interrupt)
    assert traces.segments


def test_a_killed_parent(traces: "Traces", lava: Interpreter) -> None:
    script = (
        "import numpy as np, qif2hw_lava; from networks import ordinary; "
        "from qif2hw.compiler import CompileOptions, compile_network; "
        "p = compile_network(ordinary((1, 4, 2)), CompileOptions(steps=64, rounding='nearest')).program; "
        "qif2hw_lava.run(p, np.zeros((300_000, 1)), mode='modular')"
    )
    environment = os.environ | {"TMPDIR": str(traces.folder), "PYTHONPATH": str(Path(__file__).parents[1])}
    parent = subprocess.Popen([sys.executable, "-c", script], env=environment)
    try:
        # However long a busy machine takes to start: what counts is that Lava runs, and that its parent then dies.
        wait_for(lambda: list(traces.folder.glob("qif2hw-lava-*/progress")) or parent.poll() is not None, 240)
        assert parent.poll() is None, "it ended before it was killed"
        traces.look()
        # Noted before the kill: they may be gone as soon as the parent is.
        workers = traces.processes()
    finally:
        parent.kill()
        parent.wait()
    assert workers
    assert traces.segments
    wait_for(lambda: not set(workers) & set(traces.processes()), 30)
    wait_for(lambda: not traces.left(), SLACK)
