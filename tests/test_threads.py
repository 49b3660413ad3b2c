"""Forked processes, and layers of threads that take one caller."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import threadpoolctl

from qif2hw import threads

SETUP = """\
import multiprocessing, os, threading, numpy, qif2hw
from networks import ordinary, stepped_images
bundle = qif2hw.compile(ordinary((2, 6, 2)), steps=64, rounding="nearest")
x = numpy.random.default_rng(0).random((200, 2))
def results():
    runs = [bundle.run(x, name) for name in ("engine", "reference")]
    return [run.y.tobytes() for run in runs]
wanted = results()
"""
FORKS = {
    "pool": """
def work(_): return results()
with multiprocessing.get_context("fork").Pool(1) as pool: assert pool.map(work, [0]) == [wanted]
""",
    "os.fork": """
child = os.fork()
if child == 0: os._exit(0 if results() == wanted else 1)
assert os.waitpid(child, 0)[1] == 0
""",
    "a fork of a fork": """
child = os.fork()
if child == 0:
    inner = os.fork()
    if inner == 0: os._exit(0 if results() == wanted else 1)
    os._exit(os.waitpid(inner, 0)[1] != 0)
assert os.waitpid(child, 0)[1] == 0
""",
}


def python(code: str, **environment: str) -> str:
    """What a new process prints, which must end well."""
    whole = os.environ | {"PYTHONPATH": str(Path(__file__).parent)} | environment
    done = subprocess.run([sys.executable, "-c", code], env=whole, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("layer", ["omp", "workqueue"])
@pytest.mark.parametrize("how", FORKS)
def test_a_fork_after_use_works(how: str, layer: str) -> None:
    if layer == "omp":
        pytest.importorskip("numba.np.ufunc.omppool")
    assert python(SETUP + FORKS[how] + "\nprint('done')", NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS="2") == "done"


@pytest.mark.slow
def test_training_in_a_fork_after_use_works() -> None:
    """torch's threads do not survive a fork either."""
    code = """
import multiprocessing, torch
from qif2hw.experiments import tasks
from qif2hw.train import train
def work(_): return train(tasks.get("parabola"), steps=2).error
a = torch.ones(600, 600)
a @ a
wanted = work(0)
with multiprocessing.get_context("fork").Pool(1) as pool: assert pool.map(work, [0]) == [wanted]
print("done")
"""
    assert python(code, NUMBA_NUM_THREADS="2", OMP_NUM_THREADS="2") == "done"


@pytest.mark.parametrize("second", ["results", "steps"])
def test_two_threads_on_a_layer_for_one_caller(second: str) -> None:
    code = (
        SETUP
        + f"""
deep = qif2hw.compile(stepped_images(), calibration=numpy.random.default_rng(0).random((8, 2, 8, 8)))
def steps(): deep.run(numpy.ones((8, 2, 8, 8)))
steps()
found = []
def work(what):
    for _ in range(20): found.append(what())
both = [threading.Thread(target=work, args=[what]) for what in (results, {second})]
for one in both: one.start()
for one in both: one.join()
assert len(found) == 40 and all(f in (wanted, None) for f in found)
print("done")
"""
    )
    assert python(code, NUMBA_THREADING_LAYER="workqueue", NUMBA_NUM_THREADS="2") == "done"


def test_two_threads_that_begin_at_once_on_a_layer_for_one_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both get the same lock, although neither has called before."""
    both, near = threading.Barrier(2), threading.Barrier(2)

    def start() -> int:
        with suppress(threading.BrokenBarrierError):
            both.wait(1)  # where a second caller is let in
        return 2

    def turn() -> Any:
        near.wait()
        return threads.turn()

    monkeypatch.setattr(threads.numba, "get_num_threads", start)
    monkeypatch.setattr(threads.numba, "threading_layer", lambda: "workqueue")
    threads._layer.cache_clear()
    with ThreadPoolExecutor(2) as pool:
        first, second = (pool.submit(turn) for _ in range(2))
    threads._layer.cache_clear()
    assert first.result() is second.result() is threads._workqueue


@pytest.mark.parametrize("layer", ["nonsense", "tbb"])
def test_a_layer_that_is_not_there_is_named(layer: str) -> None:
    if layer == "tbb":
        try:
            import numba.np.ufunc.tbbpool  # noqa: F401

            pytest.skip("it is there")
        except ImportError:
            pass
    said = python(
        "from qif2hw import threads\ntry: threads.turn()\nexcept threads.InputError as error: print(error)",
        NUMBA_THREADING_LAYER=layer,
    )
    assert said.startswith("numba cannot start its threads; unset NUMBA_THREADING_LAYER")
    assert len(said.splitlines()) == 1


def blas() -> list[int]:
    return [lib["num_threads"] for lib in threadpoolctl.threadpool_info() if lib["user_api"] == "blas"]


def test_linear_algebra_has_one_thread_until_the_last_caller_leaves() -> None:
    np.ones((2, 2)) @ np.ones((2, 2))
    before, inside, leave = blas(), threading.Event(), threading.Event()

    def other() -> None:
        with threads.one_blas_thread():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=other)
    with threads.one_blas_thread():
        thread.start()
        inside.wait()
        assert set(blas()) <= {1}
    assert set(blas()) <= {1}
    leave.set()
    thread.join()
    assert blas() == before
    in_another = threading.Thread(target=lambda: threads._blas.enter())
    in_another.start()
    in_another.join()
    assert set(blas()) <= {1}
    threads._blas.leave()
    assert blas() == before
