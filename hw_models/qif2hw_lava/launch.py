"""Run a worker under Lava and leave nothing behind.

An exception in one of Lava's processes can make ``run()`` and ``stop()`` hang for ever, and a process that is killed
always does.  So a worker gets a session of its own and a time limit, and its whole process group is ended when it is
over, however it ended.
"""

import errno
import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

from qif2hw import errors
from qif2hw.errors import BackendError
from qif2hw_lava.interpreter import Interpreter, clean_environment
from qif2hw_lava.job import ERROR, FINISHED, LOG, PROGRESS
from qif2hw_lava.processgroup import describe_end, end_group

NETWORK = "qif2hw_lava.network"
"""The module that turns a job into Processes."""


STOPPING = 20.0
"""Seconds for Lava to stop its processes when all results are there."""


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
    packages: Sequence[Path] = (),
    environment: Mapping[str, str | None] | None = None,
    *,
    estimated: bool = False,
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
    packages
        Folders of further packages of ours that the worker sees.
    environment
        Variables for the worker; None: it does not have it.
    estimated
        Whether the limit is an estimate for a machine that has nothing else to do: with more work than cores it is
        longer in proportion.

    Raises
    ------
    LavaTimeout, LavaError
    """
    variables: dict[str, str | None] = {
        **package_environment(job, packages),
        "OMP_NUM_THREADS": "1",
        **(environment or {}),
    }
    with (job / LOG).open("wb") as log:
        worker = subprocess.Popen(
            [interpreter.path, "-m", "qif2hw_lava.worker", job, module],
            cwd=job,
            env={name: value for name, value in variables.items() if value is not None},
            # The worker ends its group when this pipe closes: when this process is gone, so is the worker.
            stdin=subprocess.PIPE,
            # Not a pipe: that would have to be read, and would stay open as long as any of Lava's processes.
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _watch(worker.pid, job, timeout, progress, estimated)
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
        if os.strerror(errno.ENOSPC) in reason:
            reason += " (in /dev/shm, where Lava keeps its channels, or where temporary files are)"
        raise LavaError(f"{failure['where']} failed under Lava: {reason}\n{failure['traceback']}\n{_tail(job)}".strip())
    how = describe_end(worker.returncode)
    raise LavaError(f"the Lava worker ended with {how} and no results\n{_tail(job)}".strip())


def _watch(worker: int, job: Path, timeout: float, progress: Callable[[int], None] | None, estimated: bool) -> None:
    started = last = monotonic()
    left, reported, stopping = timeout, 0, False

    def tell() -> int:
        nonlocal reported
        done = _steps_done(job)
        if progress is not None and done > reported:
            progress(done)
            reported = done
        return done

    while _runs(worker):
        done = tell()
        if not stopping and (job / FINISHED).exists():
            stopping = True
            left = min(left, STOPPING)
        now = monotonic()
        left -= (now - last) * (_share() if estimated else 1.0)
        last = now
        if left < 0:
            if (job / ERROR).exists() or (job / FINISHED).exists():
                return
            raise LavaTimeout(
                f"Lava did not finish within {max(timeout, now - started) if estimated else timeout:g} s "
                f"({done} steps done); its processes were ended\n{_tail(job)}"
            )
        sleep(0.02)
    tell()


def _share() -> float:
    """Part of a core that a process of this machine has now, about: the mean load of a minute over the cores."""
    return min(1.0, (os.cpu_count() or 1) / max(os.getloadavg()[0], 1.0))


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


def package_environment(folder: Path, packages: Sequence[Path] = ()) -> dict[str, str]:
    """The environment of a Python that sees our own packages, by links in ``folder``, and nothing else of ours.

    It may be another version of Python than this one: it must not see the site-packages that ours lie in.
    """
    links = folder / "packages"
    links.mkdir(exist_ok=True)
    for package in (Path(errors.__file__).resolve().parent, Path(__file__).resolve().parent, *packages):
        (links / package.name).symlink_to(package, target_is_directory=True)
    return clean_environment() | {
        "PYTHONPATH": str(links),
        # Lava's processes are ended by signals: what they print must be in the file by then.
        "PYTHONUNBUFFERED": "1",
    }
