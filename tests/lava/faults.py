"""What the tests of failures share: faulty Processes, a /dev/shm of one's own, waiting for events."""

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
