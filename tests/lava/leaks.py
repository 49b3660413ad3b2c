"""``python leaks.py RUNS``: run Lava so often from one process, and print what that left, as JSON.

Every tenth run fails in one of three ways.  Run where /dev/shm is nobody else's (see `lava_faults.alone`).
"""

import json
import os
import sys
import tempfile
import threading
from pathlib import Path

from lava_faults import write_fault

from qif2hw_lava import Interpreter, LavaError, find_interpreter
from qif2hw_lava.launch import run_worker

FAULTS = ("raise ValueError('on purpose')", "os._exit(3)", "os.kill(os.getpid(), signal.SIGKILL)")


def held() -> dict[str, int]:
    """File descriptors, threads, children and their processes, shared memory and folders of jobs."""
    everyone = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            rest = entry.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        everyone[int(entry.parent.name)] = int(rest[1])
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208
        "threads": threading.active_count(),
        "tasks": len(os.listdir("/proc/self/task")),  # noqa: PTH208
        "children": sum(parent == os.getpid() for parent in everyone.values()),
        "shared memory": len(os.listdir("/dev/shm")),  # noqa: PTH208
        "folders": len(list(Path(tempfile.gettempdir()).iterdir())),
    }


def one_run(python: Interpreter, fault: str | None) -> None:
    """One run of one Process for ten steps."""
    with tempfile.TemporaryDirectory() as name:
        write_fault(Path(name), fault or "pass")
        try:
            run_worker(python, Path(name), 300, module="faulty")
        except LavaError:
            assert fault is not None
        else:
            assert fault is None


def main(runs: int) -> None:
    """Run, look, print."""
    python = find_interpreter()
    one_run(python, None)
    before = held()
    worst = dict(before)
    for k in range(runs):
        one_run(python, FAULTS[k // 10 % 3] if k % 10 == 3 else None)
        worst = {name: max(value, worst[name]) for name, value in held().items()}
        if k % 100 == 99:
            print(k + 1, file=sys.stderr, flush=True)
    print(json.dumps({"before": before, "worst": worst, "after": held()}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
