"""Workers that call a function for many arguments: this process, several processes, or a Dask cluster."""

import multiprocessing
import pickle
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any, Protocol, TypeVar

from qif2hw.errors import BackendError, InputError
from qif2hw.threads import one_blas_thread

A = TypeVar("A")
B = TypeVar("B")

LOST = 3
"""How often processes may be lost, without a result in between, before the work is given up."""


class Workers(Protocol):
    """Calls a function for many arguments; results in the order of the arguments."""

    @property
    def size(self) -> int:
        """How many calls run at once."""

    def map(self, function: Callable[[Any, A], B], first: Any, items: Iterable[A]) -> Iterator[B]:
        """``function(first, item)`` for every item; ``first`` is sent to a worker once where that can be.

        Raises
        ------
        InputError, BackendError
            As ``function`` does, or if workers are lost again and again.
        """


class Here:
    """In the calling process."""

    size = 1

    def map(self, function: Callable[[Any, A], B], first: Any, items: Iterable[A]) -> Iterator[B]:
        """One after the other."""
        return (function(first, item) for item in items)


class Processes:
    """Processes of this machine, one thread each; those that are lost are replaced, and their calls repeated."""

    def __init__(self, jobs: int) -> None:
        self.size = jobs
        self._pool = self._start()

    def map(self, function: Callable[[Any, A], B], first: Any, items: Iterable[A]) -> Iterator[B]:
        """As many at once as there are processes; each reads ``first`` once and keeps it."""
        given = list(items)
        if len(given) == 1:
            # Nothing that could run at once.
            yield function(first, given[0])
            return
        call = partial(_with_shared, function, pickle.dumps(first))
        waiting = {k: self._submit(call, item) for k, item in enumerate(given)}
        lost = 0
        for k in range(len(given)):
            while True:
                try:
                    result = waiting[k].result()
                    break
                except BrokenProcessPool:
                    lost += 1
                    if lost == LOST:
                        raise BackendError(
                            f"part {k + 1} of {len(given)}: worker processes were ended {lost} times (out of memory?)"
                        ) from None
                    self._pool.shutdown(cancel_futures=True)
                    self._pool = self._start()
                    again = [j for j, future in waiting.items() if j >= k and not _succeeded(future)]
                    waiting |= {j: self._submit(call, given[j]) for j in again}
            lost = 0
            del waiting[k]
            yield result

    def close(self) -> None:
        """End the processes, after the calls that run."""
        self._pool.shutdown(cancel_futures=True)

    def kill(self) -> None:
        """End the processes, whatever they do."""
        # Before Python 3.14 it has no method for this.
        for process in [*(self._pool._processes or {}).values()]:
            process.kill()
        self._pool.shutdown(cancel_futures=True)

    def _start(self) -> ProcessPoolExecutor:
        # Spawned, not forked: threads of numerical libraries do not survive a fork.
        return ProcessPoolExecutor(self.size, multiprocessing.get_context("spawn"))

    def _submit(self, call: Callable[[A], B], item: A) -> "Future[B]":
        try:
            return self._pool.submit(call, item)
        except BrokenProcessPool as error:
            broken: Future[B] = Future()
            broken.set_exception(error)
            return broken


def _succeeded(future: "Future[Any]") -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


@lru_cache(maxsize=1)
def _shared(data: bytes) -> Any:
    return pickle.loads(data)


def _with_shared(function: Callable[[Any, A], B], data: bytes, item: A) -> B:
    return on_one_thread(function, _shared(data), item)


def on_one_thread(function: Callable[[Any, A], B], first: Any, item: A) -> B:
    """Call a function on one thread, on a worker that has others beside it."""
    import numba

    # Of this thread alone.
    numba.set_num_threads(1)
    with one_blas_thread():
        try:
            return function(first, item)
        except (InputError, BackendError) as error:
            # Those of backends may not survive the way back.
            kind = InputError if isinstance(error, InputError) else BackendError
            raise kind(str(error)) from None


@contextmanager
def workers(kind: str = "local", jobs: int = 1, scheduler: str = "") -> Iterator[Workers]:
    """Workers of a kind: ``local``, a number of processes; or ``dask``, at the address of a scheduler.

    Raises
    ------
    InputError
        If there is no such kind, or the scheduler cannot be reached or has no workers.
    """
    if kind == "dask":
        from qif2hw.workers.cluster import connect

        if jobs != 1:
            raise InputError(f"jobs = {jobs}: the workers of a Dask cluster are those that it has")
        with connect(scheduler) as cluster:
            yield cluster
    elif kind != "local":
        raise InputError(f"no workers '{kind}': local and dask are possible")
    elif scheduler:
        raise InputError(f"scheduler = {scheduler}: local workers have none, ask for the workers dask")
    elif jobs < 1:
        raise InputError(f"jobs = {jobs}: at least one is needed")
    elif jobs == 1:
        yield Here()
    else:
        pool = Processes(jobs)
        try:
            yield pool
        except BaseException:
            # Nobody waits for what they do.
            pool.kill()
            raise
        pool.close()
