"""What other programs take of this machine while a benchmark runs: a figure taken beside them is not a result."""

import os
import time
from pathlib import Path
from typing import NamedTuple

from qif2hw.errors import InputError

MOST = 0.2
"""Cores that others may take."""
BEFORE = 1.0
"""Seconds in which the machine is looked at before the work."""


class Reading(NamedTuple):
    """Seconds by the clock, and of all cores: busy, and with this process and its children that have ended."""

    wall: float
    busy: float
    own: float


def reading() -> Reading | None:
    """Read the counters now; ``None`` where the system does not give them (they are those of Linux)."""
    try:
        fields = Path("/proc/stat").read_text().partition("\n")[0].split()[1:]
        user, nice, system, _, _, interrupts, software, stolen = map(int, fields[:8])
    except (OSError, ValueError):
        return None
    ticks = user + nice + system + interrupts + software + stolen
    return Reading(time.perf_counter(), ticks / os.sysconf("SC_CLK_TCK"), sum(os.times()[:4]))


def others(before: Reading | None, after: Reading | None) -> float | None:
    """Cores that other programs took between two readings, on average; ``None`` where it is not known."""
    if before is None or after is None:
        return None
    return max(0.0, (after.busy - before.busy) - (after.own - before.own)) / (after.wall - before.wall)


def look(seconds: float = BEFORE) -> float | None:
    """Cores that other programs take now, over ``seconds``."""
    before = reading()
    time.sleep(seconds)
    return others(before, reading())


def refuse(taken: float | None, when: str) -> None:
    """Refuse to call something measured a result.

    Raises
    ------
    InputError
        If others took more than `MOST` cores.
    """
    if taken is not None and taken > MOST:
        raise InputError(
            f"other programs took {taken:.1f} of {os.cpu_count()} cores {when}: figures taken beside them are not a "
            "result; run it again on a quiet machine, or with --anyway"
        )
