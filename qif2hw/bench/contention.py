"""What training, the engine and the compiler lose beside other programs that want the same cores.

Beside busy processes a program gets a part of the cores: ``cores x own threads / all runnable threads``, and no more
than it has threads.  The *loss* is the time that it takes over the time that this share makes of the quiet one; 1 means
that no time is lost at barriers where threads wait for each other.
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numba
import numpy as np

from qif2hw import api, engine, zoo
from qif2hw.bench.result import Figure
from qif2hw.bench.timing import cost
from qif2hw.bench.training import Workload, start
from qif2hw.errors import InputError
from qif2hw.host import machine
from qif2hw.ir import Network
from qif2hw.train.loop import one_torch_thread
from qif2hw.train.optim.adam import FlatAdam

BUSY = (0, 1, 2, 4)
"""Numbers of busy processes."""
_SPIN = "while True: pass"

Progress = Callable[[int, int, str], None]


class Size(NamedTuple):
    """How much of each work one repetition does, and how often it is repeated."""

    training_steps: int
    engine_samples: int
    calibration: int
    repeats: int


FULL = Size(training_steps=1000, engine_samples=10000, calibration=512, repeats=5)
"""About a second each on two cores."""
QUICK = Size(training_steps=20, engine_samples=200, calibration=64, repeats=1)


def works(size: Size) -> dict[str, Callable[[], object]]:
    """Pieces of work by name: optimiser steps of 1-64-64-64-2, and the zoo's ripple run on the engine and compiled."""
    bundle = zoo.bundle("ripple")
    x = np.random.default_rng(0).random((size.engine_samples, bundle.program.inputs))
    network = _off_the_grid(bundle.network)
    return {
        "train": training_steps(size.training_steps),
        "engine": lambda: engine.run(bundle.program, x),
        "compile": lambda: api.compile(
            network, calibration=network.unscaled(np.random.default_rng(1).random((size.calibration, network.width)))
        ),
    }


def training_steps(count: int) -> Callable[[], None]:
    """Steps of one training: passes forward and backward, and the optimiser's."""
    model, x = start(Workload((1, 64, 64, 64, 2)))
    optimizer = FlatAdam(model.parameter_groups())

    def steps() -> None:
        with one_torch_thread():
            for _ in range(count):
                optimizer.zero_grad()
                model.run(x).y.square().sum().backward()
                # A rate of zero: every repetition does the same work.
                optimizer.step((0.0, 0.0), 1.0)
                model.keep_inside()

    return steps


def share(cores: int, threads: int, busy: int) -> float:
    """Cores that a program with ``threads`` threads gets beside ``busy`` others of one thread each."""
    return min(threads, cores * threads / (threads + busy))


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Keep as many processes of one thread busy meanwhile."""
    running = [subprocess.Popen([sys.executable, "-S", "-c", _SPIN]) for _ in range(count)]
    try:
        yield
    finally:
        for one in running:
            one.kill()
        for one in running:
            one.wait()


def bench(size: Size = FULL, busy: Sequence[int] = BUSY, progress: Progress | None = None) -> dict[str, Any]:
    """Measure every piece of work beside every number of busy processes.

    Parameters
    ----------
    size
        How much work.
    busy
        Numbers of busy processes, the first 0.
    progress
        Called with what is done, the number of measurements, and the next one.

    Returns
    -------
    dict
        ``machine``; ``rows``: work, busy processes, median seconds, seconds of CPU time, ``share`` in cores, ``fair``
        seconds, and ``loss``.

    Raises
    ------
    InputError
        If the first number is not 0, or one is negative.
    """
    if not busy or busy[0] != 0 or min(busy) < 0:
        raise InputError(f"busy = {', '.join(map(str, busy))}: numbers of processes, the first 0, are needed")
    note = progress or (lambda done, of, what: None)
    cores, threads = len(os.sched_getaffinity(0)), numba.get_num_threads()
    todo = works(size)
    for call in todo.values():
        call()
    quiet: dict[str, float] = {}
    rows = []
    for k, count in enumerate(busy):
        with busy_processes(count):
            for j, (name, call) in enumerate(todo.items()):
                note(k * len(todo) + j, len(busy) * len(todo), f"{name} beside {count}")
                found = [cost(call) for _ in range(size.repeats)]
                seconds, cpu = (statistics.median(each) for each in zip(*found, strict=True))
                quiet.setdefault(name, seconds)
                own = share(cores, threads, count)
                fair = quiet[name] * share(cores, threads, 0) / own
                rows.append({
                    "work": name, "busy": count, "seconds": seconds, "cpu_seconds": cpu,
                    "share": own, "fair_seconds": fair, "loss": seconds / fair,
                })  # fmt: skip
    return {"machine": machine(), "cores": cores, "threads": threads, "size": size._asdict(), "rows": rows}


def figures(result: dict[str, Any]) -> dict[str, Figure]:
    """Losses, and milliseconds of the quiet machine."""
    found = {}
    for row in result["rows"]:
        if row["busy"]:
            found[f"{row['work']}, beside {row['busy']}: loss"] = Figure(row["loss"], "ratio")
        else:
            found[f"{row['work']}, alone"] = Figure(1e3 * row["seconds"], "ms")
    return found


def _off_the_grid(network: Network) -> Network:
    """The network with weights that are not on a grid, so that rounding has work to do."""
    rng = np.random.default_rng(0)
    return replace(
        network,
        projections=tuple(
            replace(p, weight=p.weight + 1e-3 * np.abs(p.weight).max() * rng.uniform(-1, 1, p.weight.shape))
            for p in network.projections
        ),
    )
