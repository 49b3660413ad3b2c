"""One run after the other, each kept in a file of its own."""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from qif2hw.experiments import baselines, tasks
from qif2hw.experiments.reproduce import qif, store
from qif2hw.experiments.reproduce.plan import Job
from qif2hw.experiments.reproduce.rows import Row, rows_of
from qif2hw.experiments.reproduce.version import BASELINES, COMPILING, TRAINING, digest

CURVE_POINTS = 1000
"""Of a baseline's solution so many values are kept, for figures."""

_THREADS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def results(
    jobs: Sequence[Job], out: Path, quick: bool, tell: Callable[[str], None], workers: int = 1
) -> list[tuple[Job, list[Row], dict[str, Any]]]:
    """Rows of every job, from an earlier run where code and settings are the same.

    With several workers the jobs run in processes of one thread each; ``tell`` must then be something pickle can name.
    """
    (out / "runs").mkdir(parents=True, exist_ok=True)
    found: dict[Job, dict[str, Any]] = {}
    run = partial(_result, out, quick, tell)
    if workers == 1:
        found = {job: run(f"[{k}/{len(jobs)}] {job.name}", job) for k, job in enumerate(jobs, start=1)}
    else:
        with _one_thread(), ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            try:
                for wave in (False, True):
                    chosen = [job for job in jobs if _needs_another(job) == wave]
                    names = [f"[{k}/{len(chosen)}] {job.name}" for k, job in enumerate(chosen, start=1)]
                    found |= dict(zip(chosen, pool.map(run, names, chosen), strict=True))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return [(job, [Row(**row) for row in found[job]["rows"]], found[job]["about"]) for job in jobs]


def kept(jobs: Sequence[Job], out: Path, quick: bool) -> list[tuple[Job, list[Row], dict[str, Any]]]:
    """Rows of those jobs that an earlier call has finished."""
    found = ((job, store.read(out / "runs" / f"{job.name}.json", identity_of(job, quick))) for job in jobs)
    return [(job, [Row(**row) for row in made["rows"]], made["about"]) for job, made in found if made is not None]


def _needs_another(job: Job) -> bool:
    """Whether a job uses what another one trains: a teacher, the ANN that is converted."""
    if job.method == "qif":
        return job.qif_task.teacher is not None
    return job.method.startswith(("lif-conv", "lif-cal"))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let processes that are started meanwhile have one thread each."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _result(out: Path, quick: bool, tell: Callable[[str], None], where: str, job: Job) -> dict[str, Any]:
    path, identity = out / "runs" / f"{job.name}.json", identity_of(job, quick)
    found = store.read(path, identity)
    if found is None:
        tell(f"{where}: started")
        started = time.perf_counter()
        rows, about = _execute(job, out, quick, partial(_tell_where, tell, where))
        found = {"rows": [row.as_dict() for row in rows], "about": about}
        store.write(path, identity, found)
        done = ", ".join(f"{row.method} {row.quantity} {row.rel_l2_percent:.3g} %" for row in rows)
        tell(f"{where}: {done} ({time.perf_counter() - started:.0f} s)")
    return found


def _tell_where(tell: Callable[[str], None], where: str, text: str) -> None:
    tell(f"{where}: {text}")


def identity_of(job: Job, quick: bool) -> dict[str, Any]:
    """What a run depends on."""
    code = {"qif": (*TRAINING, *COMPILING), "null": ("tasks",)}.get(job.method, BASELINES)
    identity = {"job": job.name, "quick": quick, "code": digest(tuple(sorted(set(code))), job.task)}
    if job.method == "qif":
        identity["settings"] = qif.settings_of(job.qif_task)
    return identity


def _execute(job: Job, out: Path, quick: bool, tell: Callable[[str], None]) -> tuple[list[Row], dict[str, Any]]:
    if job.method == "qif":
        return qif.run(job, out, quick, tell)
    task = tasks.get(job.task)
    test = task.test_set()
    common: dict[str, Any] = {"task": job.task, "method": job.method, "seed": job.seed, "samples": len(test.x)}
    if job.method == "null":
        values = task.solution(test.x, np.zeros((len(test.x), task.outputs)))
        return rows_of(task.errors(values, test.y), **common, network="none", seconds=0.0), {}
    made = baselines.run(task, job.method, job.seed, quick=quick, cache=out / "models")
    steps = made.settings.get("simulation_steps")
    layers = made.settings.get("layers") or made.settings["ann"]["layers"]
    network = " and ".join("-".join(map(str, sizes)) for sizes in layers)
    rows = rows_of(made.errors, **common, network=network, steps=steps, seconds=made.seconds)
    stride = max(1, len(test.x) // CURVE_POINTS)
    curve = [float(f"{value:.6g}") for value in made.y[::stride, 0]]
    return rows, {"settings": made.settings, "stride": stride, "curve": curve}
