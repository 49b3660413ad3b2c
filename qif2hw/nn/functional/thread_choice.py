"""All threads or one: whichever was faster of late, measured as kernels run.

Beside other programs the threads of a kernel wait for the one that has no core.  One thread then is faster, and which
of the two it is changes with what the machine does.  No bit of a result depends on it.
"""

import statistics
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import numba

AGAIN = 64
"""Every so many passes the slower of the two is tried."""
OF_TAKEN, OF_OTHER = 9, 3
"""Latest passes whose median counts: of the one that is taken, and of the one that is tried now and then."""


class Choice:
    """Of passes of one kind and size: how long they take on all threads and on one.

    Medians decide: a single pass that something else held up says nothing.
    """

    def __init__(self) -> None:
        self.passes = 0
        self.every = 1
        self.taken = True
        self.seconds: dict[bool, deque[float]] = {both: deque(maxlen=OF_TAKEN) for both in (True, False)}
        self.warm: set[bool] = set()

    def threads(self) -> int:
        """Number of threads of the next pass."""
        self.every = numba.get_num_threads()
        self.passes += 1
        return self.every if self._all() else 1

    def _all(self) -> bool:
        for both in (True, False):
            if len(self.seconds[both]) < OF_OTHER:
                return both
        if self._median(not self.taken, OF_OTHER) < self._median(self.taken, OF_TAKEN):
            self.taken = not self.taken
        return self.taken != (self.passes % AGAIN == 0)

    def _median(self, both: bool, latest: int) -> float:
        return statistics.median(list(self.seconds[both])[-latest:])

    def note(self, threads: int | None, took: float) -> None:
        """Remember the seconds that a pass took on so many threads."""
        both = threads == self.every
        # The first run of either may compile, or start threads.
        if both in self.warm:
            self.seconds[both].append(took)
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
