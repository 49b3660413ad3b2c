"""The number of threads of everything that computes: compiled kernels, torch, linear algebra, child processes."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import threadpoolctl

from qif2hw.errors import InputError

NAMES = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables from which libraries take their number of threads when they are imported, in child processes too."""


@contextmanager
def at_most(count: int) -> Iterator[None]:
    """Use ``count`` threads meanwhile, here and in processes that are started.

    Libraries that are not imported yet take the number when they are; of those that are, the pools are limited.

    Raises
    ------
    InputError
        If ``count`` is below 1, or kernels have started fewer threads already.
    """
    if count < 1:
        raise InputError(f"threads = {count}: at least one is needed")
    numba, torch = sys.modules.get("numba"), sys.modules.get("torch")
    if numba is not None and count > (most := numba.config.NUMBA_NUM_THREADS):
        raise InputError(f"threads = {count}: {most} are there; set NUMBA_NUM_THREADS before the start")
    of_kernels = None if numba is None else numba.get_num_threads()
    of_torch = None if torch is None else torch.get_num_threads()
    try:
        if numba is not None:
            numba.set_num_threads(count)
        if torch is not None:
            torch.set_num_threads(count)
        # numba refuses to see another number once it has started its threads.
        with in_children(count, NAMES if numba is None else NAMES[1:]), threadpoolctl.threadpool_limits(count):
            yield
    finally:
        if numba is not None:
            numba.set_num_threads(of_kernels)
        if torch is not None:
            torch.set_num_threads(of_torch)


@contextmanager
def in_children(count: int, names: Sequence[str] = NAMES) -> Iterator[None]:
    """Let processes that are started meanwhile, and libraries that are imported, have ``count`` threads."""
    before = {name: os.environ.get(name) for name in names}
    without_numba = "numba" not in sys.modules
    os.environ.update(dict.fromkeys(names, str(count)))
    try:
        yield
    finally:
        if without_numba and "numba" in sys.modules:
            # It has read its variable, which must stay.
            before.pop(NAMES[0], None)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
