"""One run after the other, each kept in a file of its own."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from qif2hw import baselines, tasks
from qif2hw.reproduce import qif, store
from qif2hw.reproduce.plan import Job
from qif2hw.reproduce.rows import Row, rows_of
from qif2hw.reproduce.version import BASELINES, COMPILING, TRAINING, digest

CURVE_POINTS = 1000
"""Of a baseline's solution so many values are kept, for figures."""


def results(
    jobs: list[Job], out: Path, quick: bool, tell: Callable[[str], None]
) -> Iterator[tuple[Job, list[Row], dict[str, Any]]]:
    """Rows of every job, from an earlier run where code and settings are the same."""
    (out / "runs").mkdir(parents=True, exist_ok=True)
    for k, job in enumerate(jobs, start=1):
        where = f"[{k}/{len(jobs)}] {job.name}"
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
        yield job, [Row(**row) for row in found["rows"]], found["about"]


def _tell_where(tell: Callable[[str], None], where: str, text: str) -> None:
    tell(f"{where}: {text}")


def identity_of(job: Job, quick: bool) -> dict[str, Any]:
    """What a run depends on."""
    code = {"qif": (*TRAINING, *COMPILING), "null": ("tasks",)}.get(job.method, BASELINES)
    return {"job": job.name, "quick": quick, "code": digest(tuple(sorted(set(code))), job.task)}


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
