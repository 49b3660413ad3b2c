"""Run a worker under Lava and leave nothing behind.

An exception in one of Lava's processes can make ``run()`` and ``stop()`` hang for ever, and a process that is killed
always does.  So a worker gets a session of its own and a time limit, and its whole process group is ended when it is
over, however it ended.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from qif2hw import errors
from qif2hw.errors import BackendError
from qif2hw_lava.interpreter import Interpreter, clean_environment
from qif2hw_lava.job import ERROR, FINISHED, LOG, PROGRESS
from qif2hw_lava.processgroup import end_group

NETWORK = "qif2hw_lava.network"
"""The module that turns a job into Processes."""


class LavaError(BackendError):
    """A Process failed, or Lava did: one line that says where and why, then what the process printed."""


class LavaTimeout(LavaError):
    """The time limit passed."""


def run_worker(
    interpreter: Interpreter,
    job: Path,
    timeout: float,
    progress: Callable[[int], None] | None = None,
    module: str = NETWORK,
) -> None:
    """Run ``python -m qif2hw_lava.worker JOB MODULE`` to its end.

    Parameters
    ----------
    interpreter
        The Python to run it with; it need not be the one that runs this.
    job
        Folder with the job; the worker's working directory.
    timeout
        Hard limit in seconds.
    progress
        Called with the number of steps done, when it changes.
    module
        Whose ``execute(job)`` does the work.

    Raises
    ------
    LavaTimeout, LavaError
    """
    packages = _link_packages(job)
    environment = clean_environment() | {
        "PYTHONPATH": str(packages),
        "PYTHONDONTWRITEBYTECODE": "1",
        # Lava's processes are ended by signals: what they print must be in the file by then.
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
    }
    with (job / LOG).open("wb") as log:
        worker = subprocess.Popen(
            [interpreter.path, "-m", "qif2hw_lava.worker", job, module],
            cwd=job,
            env=environment,
            # The worker ends its group when this pipe closes: when this process is gone, so is the worker.
            stdin=subprocess.PIPE,
            # Not a pipe: that would have to be read, and would stay open as long as any of Lava's processes.
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _watch(worker.pid, job, timeout, progress)
    finally:
        end_group(worker.pid)
        worker.wait()
        if worker.stdin is not None:
            worker.stdin.close()
    # Judged by what is there: another thread, or an ignored SIGCHLD, may have taken the worker's exit code.
    if (job / FINISHED).exists():
        return
    if (job / ERROR).exists():
        failure = json.loads((job / ERROR).read_text(encoding="utf-8"))
        reason = failure["traceback"].strip().splitlines()[-1]
        raise LavaError(f"{failure['where']} failed under Lava: {reason}\n{failure['traceback']}\n{_tail(job)}".strip())
    raise LavaError(f"the Lava worker ended with code {worker.returncode} and no results\n{_tail(job)}".strip())


def _watch(worker: int, job: Path, timeout: float, progress: Callable[[int], None] | None) -> None:
    deadline, reported = time.monotonic() + timeout, 0
    while _runs(worker):
        done = _steps_done(job)
        if progress is not None and done > reported:
            progress(done)
            reported = done
        if time.monotonic() > deadline:
            if (job / ERROR).exists() or (job / FINISHED).exists():
                return
            raise LavaTimeout(
                f"Lava did not finish within {timeout:g} s ({done} steps done); its processes were ended\n{_tail(job)}"
            )
        time.sleep(0.02)


def _runs(worker: int) -> bool:
    # Not reaped here: as long as it is a zombie, its number, which is the group's, goes to no other process.
    try:
        return os.waitid(os.P_PID, worker, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False


def _steps_done(job: Path) -> int:
    try:
        return int((job / PROGRESS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0


def _tail(job: Path, size: int = 2000) -> str:
    with suppress(OSError):
        return (job / LOG).read_text(encoding="utf-8", errors="replace")[-size:].strip()
    return ""


def _link_packages(job: Path) -> Path:
    """A folder with links to our own packages and nothing else.

    The worker may run on another Python version than we do: it must see our packages, but not the site-packages they
    lie in.
    """
    folder = job / "packages"
    folder.mkdir(exist_ok=True)
    for module in (errors.__file__, __file__):
        package = Path(module).resolve().parent
        (folder / package.name).symlink_to(package, target_is_directory=True)
    return folder
