"""Threads: whether compiled kernels may use them, and sums that do not depend on their number."""

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import lru_cache

import numba
import threadpoolctl

from qif2hw.errors import InputError

_forked = False


def _after_fork() -> None:
    global _forked
    # An error: the parent has started no threads.
    with suppress(ValueError):
        _forked = numba.threading_layer() != "tbb"


os.register_at_fork(after_in_child=_after_fork)


def forked_with_threads() -> bool:
    """Whether this process was forked after its parent had started numba's threads.

    numba's layers end such a process when it uses them, or wait for ever.
    """
    return _forked


@lru_cache
def turn() -> AbstractContextManager[object]:
    """What to hold while a parallel kernel runs; starts numba's threads.

    The layer ``workqueue`` serves one caller at a time and ends the process otherwise.

    Raises
    ------
    InputError
        If the environment asks for a layer that is not there.
    """
    try:
        numba.get_num_threads()
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"numba cannot start its threads; unset NUMBA_THREADING_LAYER ({reason})") from None
    return threading.Lock() if numba.threading_layer() == "workqueue" else nullcontext()


class _Blas:
    """The limit of numpy's linear algebra, and how many callers want it now."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.callers = 0
        self.limit: threadpoolctl.threadpool_limits | None = None

    def enter(self) -> None:
        with self.lock:
            if self.callers == 0:
                # Looked up anew: scipy and torch bring libraries of their own, whenever they are imported.
                self.limit = threadpoolctl.threadpool_limits(1, "blas")
            self.callers += 1

    def leave(self) -> None:
        with self.lock:
            self.callers -= 1
            if self.callers == 0 and self.limit is not None:
                self.limit.restore_original_limits()


_blas = lru_cache(_Blas)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let numpy's linear algebra use one thread meanwhile: the bits of a product depend on their number."""
    blas = _blas()
    blas.enter()
    try:
        yield
    finally:
        blas.leave()
