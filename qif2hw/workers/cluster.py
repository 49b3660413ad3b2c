"""Workers of a Dask cluster."""

import asyncio
import importlib.metadata
import logging
import pickle
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar

from qif2hw.errors import BackendError, InputError
from qif2hw.workers.pool import on_one_thread

A = TypeVar("A")
B = TypeVar("B")

CONNECT = 10.0
"""Seconds to wait for a scheduler, and for its first worker."""
ANSWER = 60.0
"""Seconds that a scheduler at work may take to answer."""
POLL = 1.0
"""Seconds between two looks at whether the cluster is still there."""


class Cluster:
    """Workers of a Dask cluster; qif2hw must be installed there, in the same version.

    What a lost worker had in hand, Dask gives to another one.
    """

    def __init__(self, client: Any, scheduler: str) -> None:
        self.client = client
        self.scheduler = scheduler

    @property
    def size(self) -> int:
        """Threads of all workers."""
        return max(1, sum(self._threads().values()))

    def map(self, function: Callable[[Any, A], B], first: Any, items: Iterable[A]) -> Iterator[B]:
        """As many at once as the cluster takes."""
        given, version = list(items), importlib.metadata.version("qif2hw")
        # A result of a call, not data of a worker: if it is lost, it is made again.
        shared = self.client.submit(bytes, pickle.dumps(first), pure=False)
        futures = [self.client.submit(_call, version, function, shared, item, pure=False) for item in given]
        try:
            for k, future in enumerate(futures):
                yield self._wait(future, f"part {k + 1} of {len(given)}")
        finally:
            if self.client.status == "running":
                self.client.cancel(futures)

    def _wait(self, future: Any, what: str) -> Any:
        """The result of a call; looks after the cluster meanwhile."""
        import distributed

        alone = time.monotonic()
        while True:
            try:
                return future.result(timeout=POLL)
            except (InputError, BackendError):
                raise
            except distributed.KilledWorker as error:
                count = error.allowed_failures + 1
                raise BackendError(
                    f"{what}: Dask workers that ran it were lost, {count} in a row (out of memory?)"
                ) from None
            except Exception as error:
                if future.status in ("error", "cancelled") or self.client.status == "closed":
                    raise BackendError(f"{what}: {self._failure(future, error)}") from None
            if self._threads():
                alone = time.monotonic()
            elif time.monotonic() - alone > CONNECT:
                raise BackendError(f"{what}: the Dask cluster at '{self.scheduler}' has lost all its workers")

    def _failure(self, future: Any, error: Exception) -> str:
        if future.status == "error":
            return f"a Dask worker failed ({type(error).__name__}: {error})"
        return f"the Dask scheduler at '{self.scheduler}' is gone"

    def _threads(self) -> dict[str, int]:
        """Threads by worker; a `BackendError` if the scheduler does not answer."""
        try:
            found: dict[str, int] = self.client.sync(self.client.scheduler.ncores, callback_timeout=ANSWER)
        except Exception:
            raise BackendError(f"the Dask scheduler at '{self.scheduler}' is gone") from None
        return found


@contextmanager
def connect(scheduler: str) -> Iterator[Cluster]:
    """The workers of the scheduler at an address; `InputError` if nobody answers there in time, or it has none."""
    try:
        import distributed
    except ImportError:
        raise InputError("workers 'dask' need the package distributed: pip install 'qif2hw[dask]'") from None
    if not scheduler:
        raise InputError("workers 'dask' need the address of a scheduler, like tcp://127.0.0.1:8786")
    # What goes wrong is said in one line of ours.
    for name in ("distributed", "distributed.client", "distributed.core"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    start: Any = distributed.Client
    try:
        client = start(scheduler, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(f"no Dask scheduler answers at '{scheduler}': {error}") from None
    with client:
        try:
            client.wait_for_workers(1, timeout=CONNECT)
        except asyncio.TimeoutError:
            raise InputError(f"the Dask scheduler at '{scheduler}' has no workers") from None
        yield Cluster(client, scheduler)


@lru_cache(maxsize=1)
def _shared(data: bytes) -> Any:
    return pickle.loads(data)


def _call(version: str, function: Callable[[Any, A], B], data: bytes, item: A) -> B:
    here = importlib.metadata.version("qif2hw")
    if here != version:
        raise InputError(f"a Dask worker has qif2hw {here}, this is {version}: install the same")
    return on_one_thread(function, _shared(data), item)
