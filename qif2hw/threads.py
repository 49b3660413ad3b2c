"""Threads: whether compiled kernels may use them, and sums that do not depend on their number."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from functools import lru_cache

import numba
import threadpoolctl

from qif2hw.errors import InputError

_forked = False
_workqueue = threading.Lock()


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


def turn() -> AbstractContextManager[object]:
    """What to hold while a parallel kernel runs; starts numba's threads.

    The layer ``workqueue`` serves one caller at a time and ends the process otherwise.

    Raises
    ------
    InputError
        If the environment asks for a layer that is not there.
    """
    return _workqueue if _layer() == "workqueue" else nullcontext()


@lru_cache
def _layer() -> str:
    """Numba's layer of threads, which is started."""
    try:
        numba.get_num_threads()
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"numba cannot start its threads; unset NUMBA_THREADING_LAYER ({reason})") from None
    return str(numba.threading_layer())


class _Blas:
    """The limit of numpy's linear algebra, and how many callers want it now.

    One thread of its own sets and lifts it: threadpoolctl (3.8) ignores what other threads do than the one that began.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.callers = 0
        self.owner = ThreadPoolExecutor(1, "qif2hw-blas")
        self.limits = ExitStack()

    def enter(self) -> None:
        with self.lock:
            if self.callers == 0:
                self.owner.submit(self._limit).result()
            self.callers += 1

    def leave(self) -> None:
        with self.lock:
            self.callers -= 1
            if self.callers == 0:
                self.owner.submit(self.limits.close).result()

    def _limit(self) -> None:
        # Looked up anew: scipy and torch bring libraries of their own, whenever they are imported.
        control = threadpoolctl.ThreadpoolController().select(user_api="blas")
        self.limits.enter_context(control.limit(limits=1))


_blas = _Blas()


def _blas_after_fork() -> None:
    """The thread does not live on in a child, nor do the callers."""
    global _blas
    _blas = _Blas()


os.register_at_fork(after_in_child=_blas_after_fork)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let numpy's linear algebra use one thread meanwhile: the bits of a product depend on their number."""
    blas = _blas
    blas.enter()
    try:
        yield
    finally:
        blas.leave()
