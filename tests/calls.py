"""Functions for workers to call: in a module that other processes can import."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import numba
import threadpoolctl

from qif2hw.errors import BackendError, InputError


def square(first: int, item: int) -> int:
    return first + item**2


def threads(_: Any, item: int) -> tuple[int, set[int], int]:
    blas = {one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"}
    return numba.get_num_threads(), blas, os.getpid()


def end_once(marks: Path, item: int) -> int:
    """End the worker the first time that it is given 3."""
    mark = marks / "ended"
    if item == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def end(_: Any, item: int) -> int:
    if item == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def refuse(_: Any, item: int) -> int:
    raise InputError(f"{item} is wrong")


def fail(_: Any, item: int) -> int:
    raise BackendError(f"{item} failed")


def nap(_: Any, seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def divide(_: Any, item: int) -> float:
    return 1 / item


def fail_or_work_for_ever(out: Path, quick: bool, report: Any, where: str, item: Any) -> None:
    """For `qif2hw.experiments.reproduce.runs.results`: the first experiment fails while the other works."""
    if where.startswith("[1/"):
        while not (out / "working").exists():
            time.sleep(0.01)
        raise InputError("no space is left")
    (out / "working").touch()
    while True:
        time.sleep(1)
