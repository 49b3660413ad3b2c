"""Time to an accuracy: seconds of training until a task's test error is the one that the paper reports.

In float, and on the integer engine: there the network is compiled with 8-bit weights, which takes time too.  A training
ends with the first network that is good enough on the engine; to look for it takes none of its time.
"""

import importlib.util
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from qif2hw.bench.peers import EAGER_LIMIT, eager_pass, jaxsnn_qif
from qif2hw.bench.result import Figure
from qif2hw.bench.timing import measure
from qif2hw.bench.training import count_updates
from qif2hw.errors import InputError
from qif2hw.experiments import baselines, tasks
from qif2hw.experiments.baselines.fitting import descend, on_data
from qif2hw.experiments.baselines.lif_direct import LifNetwork, Spiking
from qif2hw.experiments.baselines.problem import architecture_of, lif_budget
from qif2hw.experiments.reproduce.paper import PAPER
from qif2hw.experiments.reproduce.plan import PAPER_SIZES
from qif2hw.experiments.reproduce.qif import compiled, values_of
from qif2hw.host import machine
from qif2hw.nn.network import QIFNetwork
from qif2hw.train import Goal, train
from qif2hw.train.evaluate import REPORTED, evaluate, evenly
from qif2hw.train.loop import build
from qif2hw.train.task import Model, Samples, Task

EPOCHS = 10_000
"""Full-batch steps of the published trainings: the cheapest reading of their 10 000 epochs."""
LIF = "lif-direct-64"
"""The network of leaky integrate-and-fire neurons that is trained to the same error: with 32 steps some miss it."""

Progress = Callable[[int, int, str], None]


def wanted(name: str) -> dict[str, float]:
    """Errors that the paper reports for its QIF networks, relative, by quantity of a task."""
    return {quantity: errors["qif"] / 100 for (task, quantity), errors in PAPER.items() if task == name}


def chosen(names: str | None) -> tuple[str, ...]:
    """Tasks from text such as ``parabola,ripple``; all that the paper has an error of by default.

    Raises
    ------
    InputError
        If there is no such task.
    """
    known = tuple(name for name in tasks.TASKS if wanted(name))
    given = known if names is None else tuple(part.strip() for part in names.split(","))
    for name in given:
        if name not in known:
            raise InputError(f"there is no task '{name}' with a published error: known are {', '.join(known)}")
    return tuple(dict.fromkeys(given))


def bench(
    names: Sequence[str], *, seed: int = 0, peers: bool = False, seconds: float = 5.0, progress: Progress | None = None
) -> dict[str, Any]:
    """Train every task with its quick schedule until its errors are those of `wanted`.

    Parameters
    ----------
    names
        Of tasks.
    seed
        Of the trainings.
    peers
        Measure other ways to the same error too: see ``peers`` below.
    seconds
        For a peer's time per step.
    progress
        Called with what is done, the number of tasks, and what is being done.

    Returns
    -------
    dict
        ``machine``; ``rows``: per task its ``network``, ``regime``, ``fields`` and ``wanted`` errors; ``float`` and
        ``engine``: seconds and errors, None where the schedule ends before; ``looks``; ``peers``: by name the seconds
        that it takes and what they are made of, or why there are none.
    """
    rows = []
    note = progress or (lambda done, of, what: None)
    for done, name in enumerate(names):
        say = partial(note, done, len(names))
        say(name)
        row = _row(name, seed, say)
        if peers:
            row["peers"] = _peers(name, row["trained"]["steps"], seed, seconds, say)
        rows.append(row)
    return {"machine": machine(), "seed": seed, "rows": rows}


def figures(result: dict[str, Any]) -> dict[str, Figure]:
    """Figures of a result of `bench`, for `qif2hw.bench.result`."""
    found = {}
    for row in result["rows"]:
        for what in ("float", "engine"):
            if row[what] is not None:
                found[f"{row['task']}, {what}"] = Figure(row[what]["seconds"], "s")
        for peer, of in row.get("peers", {}).items():
            if of.get("seconds") is not None and row["float"] is not None:
                found[f"{row['task']}, {peer} against ours"] = Figure(of["seconds"] / row["float"]["seconds"], "ratio")
    return found


def _errors(task: Task, values: Any, test_set: Samples) -> dict[str, float]:
    return {quantity: errors.relative for quantity, errors in task.errors(values, test_set.y).items()}


def _row(name: str, seed: int, say: Callable[[str], None]) -> dict[str, Any]:
    """The training of a task."""
    task, quick, target = tasks.quick(name), tasks.QUICK[name], wanted(name)
    test_set = task.test_set()
    # A glance at a part of it, and at all of it where that is good enough.
    part = evenly(len(test_set.x), task.block, REPORTED)
    glance = Samples(test_set.x[part], test_set.y[part])
    found: dict[str, Any] = {"float": None, "engine": None}

    def good(errors: dict[str, float]) -> bool:
        return all(errors[quantity] <= most for quantity, most in target.items())

    def enough(model: Model, seconds: float) -> bool:
        errors = _errors(task, evaluate(task, model, glance), glance)
        if good(errors):
            errors = _errors(task, evaluate(task, model, test_set), test_set)
        say(f"{name}, {seconds:.1f} s: {100 * max(errors.values()):.3g} %")
        if not good(errors):
            return False
        if found["float"] is None:
            found["float"] = {"seconds": seconds, "errors": errors}
        started = time.perf_counter()
        bundle = compiled(model.to_network(), task, **_compiling(quick))
        taken = time.perf_counter() - started
        on_engine = _errors(task, values_of(bundle.run(task.raw(test_set.x))), test_set)
        if good(on_engine):
            found["engine"] = {
                "seconds": seconds + taken, "training": seconds, "compile": taken, "errors": on_engine
            }  # fmt: skip
        return found["engine"] is not None

    # Compiles the kernels of training, compiler and engine.
    warm = compiled(train(task, seed=seed, steps=2).network, task, **_compiling(quick))
    warm.run(task.raw(test_set.x[: task.block]))
    goal = Goal(enough)
    result = train(task, seed=seed, goal=goal)
    return {
        "task": name,
        "network": "-".join(map(str, task.sizes)),
        "regime": quick.regime,
        "fields": quick.fields,
        "wanted": target,
        **found,
        "looks": goal.looks,
        "trained": {
            "seconds": result.seconds, "steps": goal.steps, "errors": {q: e.relative for q, e in result.errors.items()}
        },
    }  # fmt: skip


def _compiling(quick: tasks.Quick) -> dict[str, Any]:
    return {"lateness_moments": "auto"} if quick.fields else {}


def _peers(name: str, steps: int, seed: int, seconds: float, say: Callable[[str], None]) -> dict[str, Any]:
    """What others take to the same error: per peer ``seconds`` and ``what`` they are, or None and why."""
    task, plain = tasks.quick(name), tasks.get(name)
    regression = task.objective is None and task.make is None
    found: dict[str, Any] = {}

    def add(peer: str, taken: float | None, what: str) -> None:
        found[peer] = {"seconds": taken, "what": what}

    say(f"{name}: event-driven JAX peer")
    x = torch.from_numpy(plain.train_set(seed).x)
    network = QIFNetwork(PAPER_SIZES.get(name, plain.sizes)) if regression else None
    sizes = "-".join(map(str, network.sizes)) if network is not None else ""
    if importlib.util.find_spec("jaxsnn") is None:
        add("jaxsnn QIF", None, "not installed")
    elif network is None:
        add("jaxsnn QIF", None, "measured on regressions alone")
    elif count_updates(network, x) > EAGER_LIMIT:
        add("jaxsnn QIF", None, f"{len(x)} samples a step take it too long")
    else:
        run = jaxsnn_qif(network, x)
        step = measure(lambda: run()[1]["syn0"].block_until_ready(), seconds).median / 1e3
        what = f"{sizes}, gradients alone, {step:.3g} s a step of {len(x)} samples, times {EPOCHS} steps"
        add("jaxsnn QIF", step * EPOCHS, what)
    say(f"{name}: eager torch")
    if not regression:
        add("eager torch", None, "measured on regressions alone")
    else:
        model = build(task, seed)
        assert isinstance(model, QIFNetwork)
        batch = torch.from_numpy(task.train_set(seed).x)[: task.settings.batch]
        step = measure(partial(eager_pass, model, batch), seconds).median / 1e3
        what = f"the same network, gradients alone, {step:.3g} s a step of {len(batch)} samples, times {steps} steps"
        add("eager torch", step * steps, what)
    say(f"{name}: {LIF}")
    if LIF not in baselines.methods(plain):
        add(LIF, None, "differential equations are not trained with spikes")
    else:
        add(LIF, *_lif(name, plain, seed))
    return found


def _lif(name: str, task: Task, seed: int) -> tuple[float | None, str]:
    """Seconds until the network `LIF` has the error that is wanted, and how it went."""
    target, test_set, best = wanted(name), task.test_set(), math.inf
    budget = lif_budget(task)
    rate = sorted(budget.rates)[len(budget.rates) // 2]
    model = LifNetwork(architecture_of(task), Spiking(int(LIF.rpartition("-")[2]), False), seed)
    objective = on_data(model, task.train_set(seed), budget.batch, seed, task.solution)

    def enough(model: Any, seconds: float) -> bool:
        nonlocal best
        errors = _errors(task, task.solution(test_set.x, model.predict(test_set.x)), test_set)
        best = min(best, max(errors[quantity] / most for quantity, most in target.items()))
        return best <= 1

    goal = Goal(enough)
    started, taken = time.perf_counter(), 0.0

    def done() -> bool:
        nonlocal started, taken
        paused = time.perf_counter()
        taken = paused - started
        reached = goal.reached(model, taken, last=goal.steps == budget.steps - 1)
        started += time.perf_counter() - paused
        return reached

    descend(model, objective, budget.steps, rate, done)
    how = f"rate {rate:g}, {goal.steps} steps of at most {budget.steps}"
    if best <= 1:
        return taken, how
    return None, f"{how}: {best:.3g} times the error wanted, after {taken:.3g} s"
