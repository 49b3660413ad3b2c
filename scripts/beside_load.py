"""Run tests again and again beside four busy processes.

``.venv/bin/python scripts/beside_load.py [--runs N] [PYTEST ARGUMENTS]``: five runs go on at once, each beside the four
others; a loop takes the place of each when none is left to start.  Without arguments these are 20 runs of the tests of
Lava and of processes.  The outputs are in ``out/beside-load``; fails if a run failed.
"""

import argparse
import os
import signal
import subprocess
import sys
import threading
from itertools import count
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / "out" / "beside-load"
TESTS = ("tests/lava", "tests/workers", "tests/test_threads.py")
AT_ONCE = 5


def main() -> int:
    """Start all runs, at most five at a time, and print one line for each."""
    parser = argparse.ArgumentParser(description="Run tests again and again beside four busy processes.")
    parser.add_argument("--runs", type=int, default=20)
    options, chosen = parser.parse_known_args()
    LOGS.mkdir(parents=True, exist_ok=True)
    numbers, started, left = count(1), list[subprocess.Popen[bytes]](), options.runs
    failed = list[int]()
    done = threading.Condition()

    def start(command: list[str], log: Path) -> subprocess.Popen[bytes]:
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, cwd=ROOT, start_new_session=True)
        started.append(process)
        return process

    def work() -> None:
        nonlocal left
        while (number := next(numbers)) <= options.runs:
            log = LOGS / f"{number}.log"
            command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(chosen or TESTS)]
            code = start(command, log).wait()
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            print(f"run {number} of {options.runs}: {lines[-1] if lines else 'no output'} (exit {code})", flush=True)
            with done:
                left -= 1
                if code:
                    failed.append(number)
                done.notify()
        start([sys.executable, "-c", "while True: pass"], Path(os.devnull))

    try:
        for _ in range(AT_ONCE):
            threading.Thread(target=work, daemon=True).start()
        with done:
            done.wait_for(lambda: left <= 0)
    finally:
        for process in started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
    print(f"failed: {failed or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
