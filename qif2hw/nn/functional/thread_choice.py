"""All threads or one: whichever was faster of late, measured as kernels run.

Beside other programs the threads of a kernel wait for the one that has no core.  One thread then is faster, and which
of the two it is changes with what the machine does.  No bit of a result depends on it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numba

AGAIN = 64
"""Every so many passes the slower of the two is tried."""
WEIGHT = 0.5
"""Of a new time in the average of the former ones."""


class Choice:
    """Of passes of one kind and size: how long they take on all threads and on one."""

    def __init__(self) -> None:
        self.passes = 0
        self.every = 1
        self.seconds: dict[bool, float] = {}
        self.warm: set[bool] = set()

    def threads(self) -> int:
        """Number of threads of the next pass."""
        self.every = numba.get_num_threads()
        self.passes += 1
        return self.every if self._all() else 1

    def _all(self) -> bool:
        for both in (True, False):
            if both not in self.seconds:
                return both
        return (self.seconds[True] <= self.seconds[False]) != (self.passes % AGAIN == 0)

    def note(self, threads: int | None, took: float) -> None:
        """Remember the seconds that a pass took on so many threads."""
        both = threads == self.every
        # The first run of either may compile, or start threads.
        if both in self.warm:
            before = self.seconds.get(both, took)
            self.seconds[both] = before + WEIGHT * (took - before)
        self.warm.add(both)


@contextmanager
def masked(threads: int | None = None) -> Iterator[None]:
    """Let numba use so many threads meanwhile, or as many as is said within; as many as before afterwards."""
    before = numba.get_num_threads()
    try:
        if threads is not None:
            numba.set_num_threads(threads)
        yield
    finally:
        numba.set_num_threads(before)
