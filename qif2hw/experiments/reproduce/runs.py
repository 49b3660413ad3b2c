"""The experiments one after the other, the results of each kept in a file of its own."""

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from qif2hw.experiments import baselines
from qif2hw.experiments.reproduce import classifiers, qif, store
from qif2hw.experiments.reproduce.plan import CLASSIFIERS, Experiment
from qif2hw.experiments.reproduce.rows import Finished, Row, Score, rows_of
from qif2hw.experiments.schema import RESULTS_SCHEMA
from qif2hw.thread_count import in_children

CURVE_POINTS = 1000
"""Number of values that are kept of a baseline's solution, for figures."""


def results(
    experiments: Sequence[Experiment], out: Path, quick: bool, report: Callable[[str], None], workers: int = 1
) -> list[Finished]:
    """Results of every experiment, from the folder ``out`` where it has run with the same identity before.

    Parameters
    ----------
    experiments
        What to run.
    out
        Folder of ``runs``, ``models`` and ``state`` (checkpoints).
    quick
        Whether to run a fraction of the steps.
    report
        Called with lines about the work; with several workers it must be something that pickle can name.
    workers
        Processes, each of one thread if there are several.
    """
    (out / "runs").mkdir(parents=True, exist_ok=True)
    run = partial(_result, out, quick, report)
    if workers == 1:
        return [run(f"[{k}/{len(experiments)}] {one.name}", one) for k, one in enumerate(experiments, start=1)]
    finished: dict[Experiment, Finished] = {}
    with in_children(1), ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        try:
            for wave in (False, True):
                chosen = [one for one in experiments if _needs_another(one) == wave]
                names = [f"[{k}/{len(chosen)}] {one.name}" for k, one in enumerate(chosen, start=1)]
                finished |= dict(zip(chosen, pool.map(run, names, chosen), strict=True))
        except BaseException:
            # What failed is said at once, not after the others; they go on from their checkpoints.
            for process in [*(pool._processes or {}).values()]:
                process.kill()
            raise
    return [finished[one] for one in experiments]


def kept(experiments: Sequence[Experiment], out: Path, quick: bool) -> list[Finished]:
    """Results of those experiments that an earlier call has finished."""
    finished = (_kept(one, out, quick) for one in experiments)
    return [one for one in finished if one is not None]


def _kept(experiment: Experiment, out: Path, quick: bool) -> Finished | None:
    content = store.read(_path(out, experiment), identity_of(experiment, quick))
    if content is None:
        return None
    scores = tuple(Score(**score) for score in content.get("scores", ()))
    return Finished(experiment, [Row(**row) for row in content["rows"]], content["about"], scores)


def _path(out: Path, experiment: Experiment) -> Path:
    return out / "runs" / f"{experiment.name}.json"


def _needs_another(experiment: Experiment) -> bool:
    """Whether an experiment uses what another one trains: a teacher, the ANN that is converted."""
    if experiment.method == "qif":
        return experiment.qif_task.teacher is not None
    return experiment.method.startswith(("lif-conv", "lif-cal"))


def _result(out: Path, quick: bool, report: Callable[[str], None], where: str, experiment: Experiment) -> Finished:
    finished = _kept(experiment, out, quick)
    if finished is None:
        report(f"{where}: started")
        started = time.perf_counter()
        finished = _execute(experiment, out, quick, partial(_report_where, report, where))
        content: dict[str, Any] = {"rows": [row.as_dict() for row in finished.rows], "about": finished.about}
        if finished.scores:
            content["scores"] = [score.as_dict() for score in finished.scores]
        store.write(_path(out, experiment), identity_of(experiment, quick), content)
        errors = ", ".join(
            [f"{row.method} {row.quantity} {row.rel_l2_percent:.3g} %" for row in finished.rows]
            + [f"{score.method} {score.accuracy_percent:.2f} %" for score in finished.scores]
        )
        report(f"{where}: {errors} ({time.perf_counter() - started:.0f} s)")
    return finished


def _report_where(report: Callable[[str], None], where: str, text: str) -> None:
    report(f"{where}: {text}")


def identity_of(experiment: Experiment, quick: bool) -> dict[str, Any]:
    """All that the results of an experiment depend on; plain values."""
    identity: dict[str, Any] = {"experiment": experiment.name, "quick": quick, "schema": RESULTS_SCHEMA}
    if experiment.method == "qif":
        settings = qif.settings_of(experiment.qif_task, experiment.trained_bits)
        return {**identity, "settings": settings, "compiling": experiment.compiling}
    if experiment.method == "null":
        return identity
    if experiment.method in CLASSIFIERS:
        return {**identity, "settings": classifiers.settings_of(experiment, quick)}
    task = experiment.baseline_task
    settings = baselines.settings_of(task, experiment.method, experiment.seed, quick=quick)
    return {**identity, "settings": settings}


def _execute(experiment: Experiment, out: Path, quick: bool, report: Callable[[str], None]) -> Finished:
    if experiment.method == "qif":
        return qif.run(experiment, out, quick, report)
    if experiment.method in CLASSIFIERS:
        return classifiers.run(experiment, out, quick, report)
    task, method, seed = experiment.baseline_task, experiment.method, experiment.seed
    test = task.test_set()
    common: dict[str, Any] = {
        "task": experiment.task,
        "method": method,
        "seed": seed,
        "samples": len(test.x),
        "variant": experiment.variant,
    }
    if method == "null":
        values = task.solution(test.x, np.zeros((len(test.x), task.outputs)))
        rows = rows_of(task.errors(values, test.y), **common, network="none", seconds=0.0)
        return Finished(experiment, rows, {})
    made = baselines.run(task, method, seed, quick=quick, cache=out / "models")
    steps = made.settings.get("simulation_steps")
    layers = made.settings.get("layers") or made.settings["ann"]["layers"]
    network = " and ".join("-".join(map(str, sizes)) for sizes in layers)
    rows = rows_of(made.errors, **common, network=network, steps=steps, seconds=made.seconds)
    stride = max(1, len(test.x) // CURVE_POINTS)
    curve = [float(f"{value:.6g}") for value in made.y[::stride, 0]]
    return Finished(experiment, rows, {"settings": made.settings, "stride": stride, "curve": curve})
