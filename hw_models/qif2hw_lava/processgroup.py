"""Process groups (Linux): who is in one, and how to end it."""

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

GRACE = 3.0
"""Seconds between asking a group to end and killing it."""


def end_group(group: int) -> None:
    """End every process of a group, and their shared memory.

    SIGTERM ends Lava's processes at once but not the one that Python keeps to track shared memory: this one removes
    the segments that the others left in /dev/shm, and ends by itself when they are gone.  So what has not ended after
    a while is killed, the tracker last.
    """
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGTERM)
        # A stopped process takes the signal when it goes on.
        os.killpg(group, signal.SIGCONT)
    if _gone(lambda: members(group)):
        return
    _signal(_but_tracker(members(group)), signal.SIGKILL)
    if not _gone(lambda: members(group)):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
        _gone(lambda: members(group))


def end_others(group: int, own: int) -> None:
    """End every process of a group but ``own`` and the tracker of its memory, which ends when ``own`` does."""

    def others() -> list[int]:
        return _but_tracker(process for process in members(group) if process != own)

    for number in (signal.SIGTERM, signal.SIGCONT):
        _signal(others(), number)
    if not _gone(others):
        _signal(others(), signal.SIGKILL)
        _gone(others)


def members(group: int) -> list[int]:
    """Living processes of a group (those that wait to be reaped do not count)."""
    return [s.process for s in _all_stats() if s.group == group and s.state not in "ZX"]


def ended_forks(parent: int) -> list[int]:
    """Processes that ``parent`` has forked and that have ended, as long as nobody has waited for them.

    Programs that it has started do not count: they have a name of their own.
    """
    everyone = list(_all_stats())
    names = {s.name for s in everyone if s.process == parent}
    return [s.process for s in everyone if s.parent == parent and s.state == "Z" and s.name in names]


def describe_end(code: int) -> str:
    """How a process ended, of its exit code (negative: a signal)."""
    if code >= 0:
        return f"code {code}"
    number = -code
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = "unknown"
    full = ": no memory behind an address, as when /dev/shm is full" if number == signal.SIGBUS else ""
    return f"signal {number} ({name}{full})"


@dataclass(frozen=True)
class _Stat:
    process: int
    name: str
    state: str
    parent: int
    group: int


def _all_stats() -> Iterator[_Stat]:
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            # "pid (name) state ppid pgrp ...": the name may hold anything, brackets too
            first, _, rest = entry.read_text(errors="replace").rpartition(")")
            state, parent, group = rest.split()[:3]
            yield _Stat(int(entry.parent.name), first.partition("(")[2], state, int(parent), int(group))


def _gone(left: Callable[[], list[int]]) -> bool:
    deadline = time.monotonic() + GRACE
    while left():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _but_tracker(processes: Iterable[int]) -> list[int]:
    """Those that do not track shared memory."""
    return [process for process in processes if not _is_tracker(process)]


def _is_tracker(process: int) -> bool:
    with suppress(OSError):
        return b"resource_tracker" in Path(f"/proc/{process}/cmdline").read_bytes()
    return False


def _signal(processes: list[int], number: int) -> None:
    for process in processes:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process, number)
