"""Process groups (Linux): who is in one, and how to end it."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

GRACE = 3.0
"""Seconds between asking a group to end and killing it."""


def end_group(group: int) -> None:
    """End every process of a group, and their shared memory.

    SIGTERM ends Lava's processes at once but not the one that Python keeps to track shared memory: this one removes
    the segments that the others left in /dev/shm, and ends by itself when they are gone.  So what has not ended after
    a while is killed, the tracker last.
    """
    _signal(group, signal.SIGTERM)
    # A stopped process takes the signal when it goes on.
    _signal(group, signal.SIGCONT)
    if _gone(group):
        return
    for process in members(group):
        if not _is_tracker(process):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
    if not _gone(group):
        _signal(group, signal.SIGKILL)
        _gone(group)


def members(group: int) -> list[int]:
    """Living processes of a group (those that wait to be reaped do not count)."""
    processes = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            # "pid (name) state ppid pgrp ...": the name may hold anything, brackets too
            state, _, group_of = entry.read_text(errors="replace").rpartition(")")[2].split()[:3]
            if int(group_of) == group and state not in "ZX":
                processes.append(int(entry.parent.name))
    return processes


def _gone(group: int) -> bool:
    deadline = time.monotonic() + GRACE
    while members(group):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _is_tracker(process: int) -> bool:
    with suppress(OSError):
        return b"resource_tracker" in Path(f"/proc/{process}/cmdline").read_bytes()
    return False


def _signal(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
