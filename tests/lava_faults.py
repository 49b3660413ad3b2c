"""What the tests of failures share: faulty Processes, a /dev/shm of one's own, waiting for events."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 240.0
"""Seconds after which something that has not happened never will, however busy the machine."""

# A Process of nobody's making, with a model that Lava runs unguarded; the fault strikes in step 5.
_FAULTY = """
import os, signal, sys, threading, time
from pathlib import Path
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
            Path("there").touch()
            {fault}

def execute(folder):
    process = Faulty()
    process.run(RunSteps(num_steps=10), Loihi2SimCfg())
    return process
"""


def write_fault(job: Path, fault: str) -> None:
    """Write the module ``faulty`` into a job folder: one Process that does ``fault`` in step 5."""
    (job / "faulty.py").write_text(_FAULTY.format(fault=fault))


# Put in front of the worker's module: one Process of the graph does `FAULT` in step `STEP`.
_INJECTED = """
import importlib, json, os, signal, sys, time
from pathlib import Path
from lava.magma.core.model.py.model import PyLoihiProcessModel

how = json.loads(Path("fault.json").read_text())
network = importlib.import_module(how["module"])
spike = PyLoihiProcessModel._spike

class Unpicklable(Exception):
    def __init__(self, a, b):
        super().__init__(a)
        self.lock = lambda: b

def failing(*_):
    raise ValueError("on purpose")

def faulty(self):
    name = self.proc_params.get("name") or type(self).__name__
    if name != how["process"] or self.time_step + 1 != how["step"]:
        return spike(self)
    Path("there").touch()
    kind = how["kind"]
    if kind == "raises":
        self.step = failing
    elif kind == "raises in Lava":
        self.time_step += 1
        raise ValueError("on purpose")
    elif kind == "raises what cannot be sent":
        self.time_step += 1
        raise Unpicklable("on purpose", 1)
    elif kind == "exits in order":
        os._exit(0)
    elif kind == "exits":
        os._exit(3)
    elif kind == "is killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif kind == "crashes":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif kind == "is stopped":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif kind == "sleeps":
        time.sleep(10_000)
    elif kind == "ignores SIGTERM":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(10_000)
    elif kind == "does not send":
        self.time_step += 1
        return
    elif kind == "kills the worker":
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(10_000)
    spike(self)

PyLoihiProcessModel._spike = faulty

def execute(folder):
    return network.execute(folder)
"""


def inject(job: Path, module: str, process: str, step: int, kind: str) -> str:
    """Write a worker's module that runs ``module`` with a fault into a job folder; returns its name."""
    (job / "injected.py").write_text(_INJECTED)
    how = {"module": module, "process": process, "step": step, "kind": kind}
    (job / "fault.json").write_text(json.dumps(how))
    return "injected"


class Clock:
    """Seconds as `time.monotonic` has them, and a day more once something has happened."""

    def __init__(self, happened: Callable[[], object]) -> None:
        self.happened = happened
        self.late = False

    def __call__(self) -> float:
        self.late = self.late or bool(self.happened())
        return time.monotonic() + 86_400.0 * self.late


def wait_for(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait until something has happened; seconds matter only to a test that fails."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def alone(size: str) -> list[str] | None:
    """What to put before a command so that it has a /dev/shm of its own, of this size; None where that is forbidden."""
    unshare = shutil.which("unshare")
    for options in (["-m"], ["-r", "-m"]):
        command = [
            unshare or "unshare",
            *options,
            "sh",
            "-c",
            f'mount -t tmpfs -o {size} tmpfs /dev/shm && exec "$@"',
            "sh",
        ]
        if unshare and subprocess.run([*command, "true"], capture_output=True).returncode == 0:
            return command
    return None
