"""The run of a QIF network: train, compile, run on the engine, and a sample on Lava."""

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from qif2hw import api, backends
from qif2hw.bundle import Bundle
from qif2hw.experiments import tasks
from qif2hw.experiments.reproduce import store
from qif2hw.experiments.reproduce.plan import STEPS, WEIGHT_BITS, Experiment
from qif2hw.experiments.reproduce.rows import Finished, rows_of
from qif2hw.experiments.schema import RESULTS_SCHEMA
from qif2hw.ir import Network, onnx_io
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.spikes import Run
from qif2hw.nn import QIFNetwork
from qif2hw.train import Progress, plan, train
from qif2hw.train.evaluate import evenly
from qif2hw.train.task import Errors, Samples, Task

CALIBRATION = 1000
LAVA_SAMPLES = 64
REPORT_EVERY = 10.0
"""Seconds between two lines about a training."""
QUICK, QUICK_SAMPLES = 16, 4000
"""A quick run has fewer training steps by this factor, and at most this number of test samples."""


def run(experiment: Experiment, out: Path, quick: bool, report: Callable[[str], None]) -> Finished:
    """Rows of all executions of the network, and the facts about them: ``training`` and ``lava``.

    The trained network lies in ``models`` with a record of its training beside it; a training that was interrupted
    goes on from its checkpoint.
    """
    task = experiment.qif_task
    test = task.test_set()
    if quick:
        chosen = evenly(len(test.x), task.block, QUICK_SAMPLES)
        test = Samples(test.x[chosen], test.y[chosen])
    network, training = trained(experiment, out, quick, report)
    common: dict[str, Any] = {
        "task": experiment.task,
        "regime": experiment.regime,
        "network": "-".join(map(str, task.sizes)),
        "seed": experiment.seed,
        "variant": experiment.variant,
    }
    errors = {quantity: Errors(**values) for quantity, values in training["errors"].items()}
    seconds = training["seconds"]
    rows = rows_of(errors, **common, method="qif-float", samples=len(test.x), seconds=seconds)
    common |= {"weight_bits": WEIGHT_BITS, "steps": STEPS}
    started = time.perf_counter()
    bundle = compiled(network, task, **experiment.compiling)
    report(f"compiled in {time.perf_counter() - started:.0f} s")
    started = time.perf_counter()
    y = values_of(bundle.run(task.raw(test.x)))
    seconds = time.perf_counter() - started
    rows += rows_of(task.errors(y, test.y), **common, method="qif-engine", samples=len(test.x), seconds=seconds)
    about: dict[str, Any] = {"training": training, "lava": backends.get("lava").missing()}
    if about["lava"] is None:
        chosen = evenly(len(test.x), task.block, LAVA_SAMPLES)
        part = Samples(test.x[chosen], test.y[chosen])
        started = time.perf_counter()
        lava = values_of(bundle.run(task.raw(part.x), "lava"))
        seconds = time.perf_counter() - started
        about["lava"] = f"{'equal to' if np.array_equal(lava, y[chosen]) else 'DIFFERS FROM'} the engine on the sample"
        rows += rows_of(task.errors(lava, part.y), **common, method="qif-lava", samples=len(chosen), seconds=seconds)
    return Finished(experiment, rows, about)


def values_of(run: Run) -> FloatArray:
    """What a task's truth is compared with (samples, quantities): the classes of a classifier, else the solution."""
    return run.y if run.label is None else run.label[:, None].astype(np.float64)


def trained(
    experiment: Experiment, out: Path, quick: bool, report: Callable[[str], None]
) -> tuple[Network, dict[str, Any]]:
    """The trained network and the record of its training: ``errors``, ``seconds``, ``identity``."""
    task = experiment.qif_task
    path, record = out / "models" / f"{experiment.name}.onnx", out / "models" / f"{experiment.name}.json"
    steps = max(1, task.settings.steps // QUICK) if quick else task.settings.steps
    identity = {
        "schema": RESULTS_SCHEMA,
        "steps": steps,
        "seed": experiment.seed,
        "settings": settings_of(task, experiment.trained_bits),
    }
    kept = store.read(record, identity)
    if kept is not None and path.exists():
        return onnx_io.load(path), kept
    state = out / "state" / f"{experiment.name}-schema{RESULTS_SCHEMA}-{steps}.safetensors"
    for folder in (path.parent, state.parent):
        folder.mkdir(parents=True, exist_ok=True)

    reported = time.perf_counter()

    def progress(done: int, total: int, loss: float, error: float) -> None:
        nonlocal reported
        if time.perf_counter() - reported < REPORT_EVERY:
            return
        reported = time.perf_counter()
        report(f"training step {done} of {total}, loss {loss:.2e}, error {100 * error:.3g} %")

    teacher, before = _teacher(experiment, task, steps, out, quick, report, progress, state)
    result = train(
        task, seed=experiment.seed, steps=steps, weight_bits=experiment.trained_bits, progress=progress,
        checkpoint=state, teacher=teacher,
    )  # fmt: skip
    onnx_io.save(result.network, path)
    errors = {quantity: values._asdict() for quantity, values in result.errors.items()}
    content = {"errors": errors, "seconds": round(before + result.seconds, 1)}
    store.write(record, identity, content)
    for old in state.parent.glob(f"{experiment.name}-*"):
        old.unlink()
    return result.network, {"identity": identity, **content}


def _teacher(
    experiment: Experiment, task: Task, steps: int, out: Path, quick: bool, report: Callable[[str], None],
    progress: Progress, state: Path,
) -> tuple[QIFNetwork | None, float]:  # fmt: skip
    """The trained teacher of a task, and the seconds that took; none where it is a result of its own."""
    if task.teacher is None:
        return None, 0.0
    if task.teacher is tasks.REGIMES["published"].get(experiment.task):
        network, _ = trained(replace(experiment, regime="published", sizes=(), fields=0), out, quick, report)
        return QIFNetwork.from_network(network), 0.0
    taught = max(1, round(steps * task.teacher.settings.steps / task.settings.steps))
    state = state.with_name(f"{state.name}.teacher")
    teacher, before = _teacher(experiment, task.teacher, taught, out, quick, report, progress, state)
    result = train(
        task.teacher, seed=experiment.seed, steps=taught, progress=progress, checkpoint=state, teacher=teacher
    )
    return QIFNetwork.from_network(result.network), before + result.seconds


def settings_of(task: Task, weight_bits: int | None = None) -> dict[str, Any]:
    """All that a training depends on beside the code, its teacher's included; plain values."""
    own = {
        "sizes": list(task.sizes),
        "regime": asdict(task.regime),
        # Named only where they are used: records of trainings without them stay valid.
        "stages": [
            {name: value for name, value in asdict(stage).items() if name not in ("second_order", "steady") or value}
            for stage in plan(task.settings, weight_bits=weight_bits)
        ],
        **{name: getattr(task.settings, name) for name in ("batch", "clip", "optimizer")},
    }
    return own | ({} if task.teacher is None else {"teacher": settings_of(task.teacher)})


def compiled(network: Network, task: Task, **options: Any) -> Bundle:
    """The network with the task's part for the host, compiled for the hardware with `calibration` inputs.

    Spikes carry their lateness, unless ``options``, others of the compiler, name its moments.
    """
    network = replace(network, host=task.host)
    chosen: dict[str, Any] = {"weight_bits": WEIGHT_BITS, "steps": STEPS, "lateness_moments": 1, **options}
    return api.compile(network, calibration=calibration(task), **chosen)


def calibration(task: Task) -> FloatArray:
    """Inputs (at most `CALIBRATION`, inputs) of the training set, in the user's units, drawn without replacement."""
    x = task.raw(task.train_set(0).x)
    return x[np.random.default_rng(0).permutation(len(x))[:CALIBRATION]]
