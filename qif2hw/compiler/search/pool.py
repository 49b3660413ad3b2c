"""Where settings are tried: in this process, in several, or on a Dask cluster."""

import multiprocessing
import os
import pickle
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import lru_cache, partial
from itertools import chain
from typing import Any, Protocol, TypeVar

import numpy as np

from qif2hw import engine
from qif2hw.errors import InputError
from qif2hw.ir import Program
from qif2hw.ir.arrays import FloatArray

A = TypeVar("A")
B = TypeVar("B")

CHUNK = 256
"""Samples of a bulk run that one worker takes at once."""
CONNECT = 10
"""Seconds to wait for a scheduler."""


class Workers(Protocol):
    """Calls a function for many arguments; results in the order of the arguments."""

    def map(self, function: Callable[[Any, A], B], first: Any, items: Iterable[A]) -> Iterator[B]:
        """``function(first, item)`` for every item; ``first`` is sent to a worker once where that can be."""


class Here:
    """In the calling process."""

    def map(self, function: Callable[[Any, A], B], first: Any, items: Iterable[A]) -> Iterator[B]:
        """One after the other."""
        return (function(first, item) for item in items)


class Processes:
    """Processes of this machine."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self.pool = pool

    def map(self, function: Callable[[Any, A], B], first: Any, items: Iterable[A]) -> Iterator[B]:
        """As many at once as there are processes; each reads ``first`` once and keeps it."""
        return self.pool.map(partial(_with_shared, function, pickle.dumps(first)), items)


@lru_cache(maxsize=1)
def _shared(data: bytes) -> Any:
    return pickle.loads(data)


def _with_shared(function: Callable[[Any, A], B], data: bytes, item: A) -> B:
    return function(_shared(data), item)


class Cluster:
    """Workers of a Dask cluster; qif2hw must be installed there."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def map(self, function: Callable[[Any, A], B], first: Any, items: Iterable[A]) -> Iterator[B]:
        """As many at once as the cluster takes."""
        shared = self.client.scatter(first, broadcast=True)
        futures = [self.client.submit(function, shared, item, pure=False) for item in items]
        return (future.result() for future in futures)


@contextmanager
def workers(backend: str = "local", jobs: int = 1, scheduler: str = "") -> Iterator[Workers]:
    """Workers of a backend: ``local`` with a number of processes, or ``dask`` at the address of a scheduler.

    Raises
    ------
    InputError
        If there is no such backend, or the scheduler cannot be reached.
    """
    if backend == "dask":
        with _client(scheduler) as client:
            yield Cluster(client)
    elif backend != "local":
        raise InputError(f"no backend '{backend}': local and dask are possible")
    elif jobs < 1:
        raise InputError(f"jobs = {jobs}: at least one is needed")
    elif jobs == 1:
        yield Here()
    else:
        # Spawned, not forked: threads of numerical libraries do not survive a fork.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(jobs, context, initializer=_one_thread) as pool:
            yield Processes(pool)


def _one_thread() -> None:
    import numba

    numba.set_num_threads(1)
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"


@contextmanager
def _client(scheduler: str) -> Iterator[Any]:
    try:
        import distributed
    except ImportError:
        raise InputError("backend 'dask' needs the package distributed: pip install 'qif2hw[dask]'") from None
    if not scheduler:
        raise InputError("backend 'dask' needs the address of a scheduler, like tcp://127.0.0.1:8786")
    try:
        connect: Any = distributed.Client
        client = connect(scheduler, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(f"no Dask scheduler answers at '{scheduler}': {error}") from None
    with client:
        yield client


def run_bulk(program: Program, x: FloatArray, pool: Workers) -> FloatArray:
    """Results (samples, outputs) of the engine on many inputs ``x`` (samples, inputs), in chunks, on the workers."""
    chunks = np.array_split(x, max(1, -(-len(x) // CHUNK)))
    return np.concatenate(list(chain(pool.map(_results, program, chunks))))


def _results(program: Program, x: FloatArray) -> FloatArray:
    return engine.run(program, x).y
