"""``python -m qif2hw_lava.worker JOB MODULE``: run a job folder on Lava's CPU simulator.

Started by `qif2hw_lava.launch`, in a session of its own, with a pipe as standard input that stays open as long as
anyone waits for the result.  ``execute(JOB)`` of ``MODULE`` does the work.
"""

import ctypes
import importlib
import os
import select
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.util import get_temp_dir
from pathlib import Path
from typing import Any

from qif2hw_lava.job import ERROR, FINISHED, write_error, write_text
from qif2hw_lava.processgroup import describe_end, end_others, ended_forks

PATIENCE = 5.0
"""Seconds for Lava to report what a process told it that ended in order."""
PR_SET_PDEATHSIG = 1
"""Of ``linux/prctl.h``: the signal that a process gets when its parent ends."""


def watch(job: Path, finished: threading.Event) -> None:
    """End this process when one of Lava's fails or dies, and all of them when the parent is gone.

    The main thread cannot: Lava leaves it waiting for an answer that never comes.  Runs in a thread; it only sleeps
    and asks the operating system, so that Lava's forks copy no lock that it holds.
    """
    parent = os.getppid()
    while True:
        if (select.select([0], [], [], 0.05)[0] and not os.read(0, 1)) or os.getppid() != parent:
            end_others(os.getpgrp(), os.getpid())
            shutil.rmtree(job, ignore_errors=True)
            os._exit(1)
        if (job / ERROR).exists():
            os._exit(1)
        dead = None if finished.is_set() else _dead_child()
        if dead is not None:
            process, code = dead
            if code == 0:
                _wait_for_report(job, finished)
            if not finished.is_set():
                write_error(job, "a process of Lava", f"it ended by itself: process {process}, {describe_end(code)}")
                os._exit(1)


def _dead_child() -> tuple[int, int] | None:
    """A process of Lava's that has ended, and its code (negative: a signal); it is left to be waited for."""
    try:
        if os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return None
        for process in ended_forks(os.getpid()):
            ended = os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is not None:
                return process, ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
    except ChildProcessError:
        pass
    return None


def _wait_for_report(job: Path, finished: threading.Event) -> None:
    """A process that ends in order may have told Lava that it failed: Lava says it better, unless it hangs."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and not finished.is_set() and not (job / ERROR).exists():
        time.sleep(0.02)


def _end_with(worker: int) -> Callable[[], None]:
    """What a fork of the worker does first: it makes sure that it ends when the worker does, however that ends."""
    library = ctypes.CDLL(None)

    def in_child() -> None:
        library.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != worker:
            os._exit(1)

    return in_child


def _report_failures(job: Path) -> None:
    """Let each of Lava's processes leave why it failed: Lava only counts them, and may wait for ever before it does."""
    lava = "lava.magma"
    processes: Any = sys.modules.get(f"{lava}.runtime.message_infrastructure.multiprocessing")
    models: Any = sys.modules.get(f"{lava}.core.model.py.model")
    if processes is None or models is None:
        return
    run = processes.SystemProcess.run

    def run_reporting(process: Any) -> None:
        where = _who(process._kwargs.get("builder"))
        process._target = _reporting(process._target, job, lambda *_: where)
        run(process)

    processes.SystemProcess.run = run_reporting
    for phase in ("_spike", "_pre_mgmt", "_lrn", "_post_mgmt", "_host"):
        method = getattr(models.PyLoihiProcessModel, phase)
        setattr(models.PyLoihiProcessModel, phase, _reporting(method, job, _which_step))


def _reporting(function: Callable[..., None], job: Path, where: Callable[..., str]) -> Callable[..., None]:
    def reporting(*args: Any, **kwargs: Any) -> None:
        try:
            function(*args, **kwargs)
        except BaseException:
            write_error(job, where(*args), traceback.format_exc())
            raise

    return reporting


def _which_step(model: Any) -> str:
    return f"Process '{model.proc_params.get('name') or type(model).__name__}', step {model.time_step}"


def _who(builder: Any) -> str:
    """What one of Lava's processes runs: a Process by name, or its model's where it has none."""
    parameters = getattr(builder, "proc_params", None)
    if parameters is None:
        return "a service of Lava's runtime"
    return f"Process '{parameters.get('name') or builder.proc_model.__name__}'"


def _keep_sockets_here() -> None:
    """Make Python's folder for sockets of processes in the job's, which is this one, so that it goes when that goes.

    By a relative name: names of sockets have 107 characters at most.
    """
    tempfile.tempdir = os.curdir
    get_temp_dir()
    tempfile.tempdir = None


def main(folder: str, module: str) -> int:
    """Run the job; 0 when all results are written."""
    job = Path(folder)
    finished = threading.Event()
    # Inherited, an ignored one would hide that a process of Lava has ended.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.register_at_fork(after_in_child=_end_with(os.getpid()))
    _keep_sockets_here()
    try:
        # Imported here: a broken lava-nc is then reported like any other failure.  And before the watch, which takes
        # every child that ends for one of Lava's: some packages run programs when they are imported.
        execute = importlib.import_module(module).execute
        _report_failures(job)
        threading.Thread(target=watch, args=(job, finished), daemon=True).start()
        process = execute(job)
        finished.set()
        write_text(job / FINISHED, "")
        process.stop()
    except BaseException:
        finished.set()
        write_error(job, "the Lava worker", traceback.format_exc())
        return 1
    return 0


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: Lava's objects stop their runtime again when they are collected, and may wait for ever.
    os._exit(code)
