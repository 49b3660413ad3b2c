"""``python -m qif2hw_lava.worker JOB MODULE``: run a job folder on Lava's CPU simulator.

Started by `qif2hw_lava.launch`, in a session of its own, with a pipe as standard input that stays open as long as
anyone waits for the result.  ``execute(JOB)`` of ``MODULE`` does the work.
"""

import importlib
import os
import select
import shutil
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

from qif2hw_lava.job import ERROR, FINISHED, write_error, write_text


def watch(job: Path, finished: threading.Event) -> None:
    """End this process when one of Lava's fails or dies, and all of them when the parent is gone.

    The main thread cannot: Lava leaves it waiting for an answer that never comes.  Runs in a thread; it only sleeps
    and asks the operating system, so that Lava's forks copy no lock that it holds.
    """
    parent = os.getppid()
    while True:
        if (select.select([0], [], [], 0.05)[0] and not os.read(0, 1)) or os.getppid() != parent:
            shutil.rmtree(job, ignore_errors=True)
            os.killpg(os.getpgrp(), signal.SIGTERM)
        if (job / ERROR).exists():
            os._exit(1)
        dead = None if finished.is_set() else _dead_child()
        if dead is not None:
            time.sleep(0.2)  # it may be about to leave a report
            if not finished.is_set():
                write_error(job, "a process of Lava", f"it ended by itself: {dead}")
                os._exit(1)


def _dead_child() -> str | None:
    """Whether a child has ended; it is left to be waited for."""
    try:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    if ended is None:
        return None
    return f"process {ended.si_pid}, {'code' if ended.si_code == os.CLD_EXITED else 'signal'} {ended.si_status}"


def main(folder: str, module: str) -> int:
    """Run the job; 0 when all results are written."""
    job = Path(folder)
    finished = threading.Event()
    # Inherited, an ignored one would hide that a process of Lava has ended.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        # Imported here: a broken lava-nc is then reported like any other failure.  And before the watch, which takes
        # every child that ends for one of Lava's: some packages run programs when they are imported.
        execute = importlib.import_module(module).execute
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
