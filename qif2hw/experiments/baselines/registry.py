"""The baselines of a task by name: which there are, how each is made, how it does on the test set."""

import os
import time
from functools import partial
from typing import Any

import torch

from qif2hw.errors import InputError
from qif2hw.experiments.baselines import store
from qif2hw.experiments.baselines.ann import Ann
from qif2hw.experiments.baselines.architecture import Rows, take_apart
from qif2hw.experiments.baselines.calibration import ITERATIONS, calibrate
from qif2hw.experiments.baselines.conversion import convert
from qif2hw.experiments.baselines.fitting import fit, on_data
from qif2hw.experiments.baselines.lif_direct import LifNetwork, Spiking
from qif2hw.experiments.baselines.on_physics import on_physics, polish
from qif2hw.experiments.baselines.problem import (
    CALIBRATION_SAMPLES,
    SIMULATION_STEPS,
    Budget,
    ann_budget,
    architecture_of,
    lif_budget,
)
from qif2hw.experiments.baselines.result import Baseline, BaselineResult
from qif2hw.experiments.schema import RESULTS_SCHEMA
from qif2hw.train.memory import keep_pages
from qif2hw.train.task import Task

DIRECT = ("lif-direct", "lif-if-direct")
CONVERTED = ("lif-conv", "lif-cal")
SPREADS = (1.0, 3.0)
"""Of the first layers of an ANN that is trained on results: each is tried with every learning rate."""


def methods(task: Task) -> tuple[str, ...]:
    """Names of a task's baselines.

    ``ann``; ``lif-direct-T`` (leaky) and ``lif-if-direct-T`` (bipolar, no leak), trained with spikes; ``lif-conv-T``
    and ``lif-cal-T``, the ANN converted without and with calibration; T simulation steps.  Differential equations
    are not trained with spikes: a surrogate derivative is no derivative by the input.
    """
    kinds = CONVERTED if task.equation is not None else (*DIRECT, *CONVERTED)
    return ("ann", *(f"{kind}-{steps}" for kind in kinds for steps in SIMULATION_STEPS))


def run(
    task: Task,
    method: str,
    seed: int = 0,
    *,
    steps: int | None = None,
    quick: bool = False,
    cache: str | os.PathLike[str] | None = None,
) -> BaselineResult:
    """Make a baseline and take its errors on the test set; parameters and errors raised as those of `train`."""
    made = train(task, method, seed, steps=steps, quick=quick, cache=cache)
    test_set = task.test_set()
    y = task.solution(test_set.x, made.model.predict(test_set.x))
    errors = task.errors(y, test_set.y)
    return BaselineResult(task.name, method, seed, made.settings, made.seconds, errors, y)


def train(
    task: Task,
    method: str,
    seed: int = 0,
    *,
    steps: int | None = None,
    quick: bool = False,
    cache: str | os.PathLike[str] | None = None,
) -> Baseline:
    """Make a baseline.

    Parameters
    ----------
    task
        The problem.
    method
        One of `methods`.
    seed
        Of initialisation, batches and calibration samples: the same seed gives the same network.
    steps
        Of training, instead of the usual number.
    quick
        A tenth of all steps.
    cache
        Folder in which trained ANNs are kept: a conversion uses the one that is there.

    Raises
    ------
    InputError
        If the task has no such baseline, ``steps`` is not positive, or a kept ANN is damaged.
    """
    kind, simulation = _parse(task, method)
    keep_pages()
    if kind in DIRECT:
        return _direct(task, method, Spiking(simulation, kind == "lif-if-direct"), seed, steps, quick)
    ann, about = _ann(task, seed, _budget(ann_budget(task), steps, quick), cache)
    if kind == "ann":
        return Baseline(task.name, method, seed, ann, about, about["seconds"])
    started = time.perf_counter()
    rows = calibration_rows(task, ann, seed)
    model = convert(ann, rows, simulation)
    settings: dict[str, Any] = {"simulation_steps": simulation, "samples": len(rows.parts[0]), "ann": about}
    if kind == "lif-cal":
        model = calibrate(model, ann, rows)
        settings["iterations"] = ITERATIONS
    return Baseline(task.name, method, seed, model, settings, time.perf_counter() - started)


def settings_of(
    task: Task, method: str, seed: int = 0, *, steps: int | None = None, quick: bool = False
) -> dict[str, Any]:
    """All that a baseline depends on beside the code, ready for JSON; parameters and errors as those of `train`."""
    kind, simulation = _parse(task, method)
    if kind in DIRECT:
        return {**_settings(task, seed, _budget(lif_budget(task), steps, quick)), "simulation_steps": simulation}
    ann = _settings(task, seed, _budget(ann_budget(task), steps, quick))
    if kind == "ann":
        return ann
    calibration = {"iterations": ITERATIONS} if kind == "lif-cal" else {}
    return {"simulation_steps": simulation, "ann": ann, **calibration}


def _parse(task: Task, method: str) -> tuple[str, int]:
    """Kind of a baseline, and its simulation steps (0 for the ANN)."""
    if method not in methods(task):
        raise InputError(f"task '{task.name}' has no baseline '{method}': known are {', '.join(methods(task))}")
    kind, _, simulation = method.rpartition("-")
    return (kind, int(simulation)) if kind else (method, 0)


def calibration_rows(task: Task, ann: Ann, seed: int) -> Rows:
    """A few hundred samples of the training set; its results are not used."""
    rows = take_apart(ann.architecture, torch.from_numpy(task.train_set(seed).x))
    return rows.batch(CALIBRATION_SAMPLES, seed, 0)[0]


def _budget(usual: Budget, steps: int | None, quick: bool) -> Budget:
    budget = usual.quick() if quick else usual
    if steps is None:
        return budget
    if steps < 1:
        raise InputError(f"steps = {steps}: at least one step is needed")
    return Budget(steps, budget.batch, budget.rates, round(budget.polish * steps / budget.steps))


def _settings(task: Task, seed: int, budget: Budget) -> dict[str, Any]:
    return {
        "task": task.name,
        "seed": seed,
        "layers": [list(sizes) for sizes in architecture_of(task).chains],
        "steps": budget.steps,
        "batch": budget.batch,
        "rates": list(budget.rates),
        "polish": budget.polish,
    }


def _ann(task: Task, seed: int, budget: Budget, cache: str | os.PathLike[str] | None) -> tuple[Ann, dict[str, Any]]:
    identity = _settings(task, seed, budget)
    equation = task.equation
    path = None if cache is None else store.path_of(cache, {**identity, "schema": RESULTS_SCHEMA})
    make = partial(Ann, architecture_of(task), seed)
    if path is not None and path.exists():
        model = make()
        return model, {**identity, **store.read(path, model, identity)}
    started = time.perf_counter()
    if equation is None:
        samples = task.train_set(seed)
        objective = partial(on_data, samples=samples, batch=budget.batch, seed=seed, solution=task.solution)
        # Tried to the end: the loss of tanh networks may not fall for thousands of steps.
        trained = {
            spread: fit(partial(make, spread), objective, budget.rates, budget.steps, share=1) for spread in SPREADS
        }
        spread = min(trained, key=lambda s: trained[s][2])
        model, search, loss = trained[spread]
    else:
        spread = 1.0
        batch = budget.batch or CALIBRATION_SAMPLES
        physics = partial(on_physics, equation=equation, batch=batch, seed=seed)
        model, search, loss = fit(make, physics, budget.rates, budget.steps)
        if budget.polish:
            loss = polish(model, equation, budget.polish, seed)
    facts = {**search.record(), "spread": spread, "train_loss": loss, "seconds": time.perf_counter() - started}
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        store.write(path, model, identity, facts)
    return model, {**identity, **facts}


def _direct(task: Task, method: str, spiking: Spiking, seed: int, steps: int | None, quick: bool) -> Baseline:
    started = time.perf_counter()
    budget = _budget(lif_budget(task), steps, quick)
    make = partial(LifNetwork, architecture_of(task), spiking, seed)
    objective = partial(on_data, samples=task.train_set(seed), batch=budget.batch, seed=seed, solution=task.solution)
    model, search, loss = fit(make, objective, budget.rates, budget.steps)
    identity = _settings(task, seed, budget)
    settings = {**identity, **search.record(), "train_loss": loss, "simulation_steps": spiking.steps}
    return Baseline(task.name, method, seed, model, settings, time.perf_counter() - started)
