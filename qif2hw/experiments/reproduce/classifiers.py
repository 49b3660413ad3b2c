"""The run of a classifier in time steps: train, retrain on grids, compile, run on the engine, and a sample on Lava."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qif2hw import api, backends
from qif2hw.bundle import SteppedBundle
from qif2hw.data.images import Images, Split
from qif2hw.experiments.reproduce import store
from qif2hw.experiments.reproduce.plan import CLASSIFIERS, Experiment
from qif2hw.experiments.reproduce.rows import Finished, Score
from qif2hw.experiments.schema import RESULTS_SCHEMA
from qif2hw.experiments.tasks import images
from qif2hw.host import machine
from qif2hw.ir import onnx_io, time_steps
from qif2hw.ir.stepped import SteppedNetwork
from qif2hw.reference import stepped as reference
from qif2hw.train.classify import Classification, train_classifier

GRIDS = {"dqif-exact": (8, 4)}
"""Bits of the grids on which a network is retrained, by method; none for those that are not named."""
AFTER_TRAINING = (8, 4)
"""Bits of the weights on which the network of float weights is rounded."""
CALIBRATION = 500
BLOCK = 500
"""Images that run together."""
LAVA_SAMPLES = 64
FINER, FINER_SAMPLES = (2, 4), 1000
"""Parts of a time step in which the network runs without being trained anew, and images for that."""
REPORT_EVERY = 10.0
"""Seconds between two lines about a training."""
QUICK_UPDATES, QUICK_SAMPLES = 50, 500


@dataclass(frozen=True)
class Outcome:
    """Classes (samples,) that a run found, and its spikes and synaptic operations per image."""

    label: NDArray[np.int64]
    spikes: float
    synaptic_operations: float
    seconds: float


def settings_of(experiment: Experiment, quick: bool) -> dict[str, Any]:
    """All that the results depend on beside the code; plain values."""
    task = images.get(experiment.task)
    return {
        "neuron": CLASSIFIERS[experiment.method],
        "time_steps": task.time_steps,
        "training": asdict(task.settings),
        "updates": QUICK_UPDATES if quick else None,
        "grids": list(GRIDS.get(experiment.method, ())),
    }


def run(experiment: Experiment, out: Path, quick: bool, report: Callable[[str], None]) -> Finished:
    """Scores of all executions: torch, the engine after rounding and after retraining, a sample on Lava.

    The trained networks lie in ``models`` with a record of their training beside them; a training that was interrupted
    goes on from its checkpoint.
    """
    task = images.get(experiment.task)
    data = task.data(None)
    if quick:
        data = Split(data.train, _first(data.test, QUICK_SAMPLES))
    networks, record = trained(experiment, task, data, out, quick, report)
    test, label = data.test, data.test.label
    common: dict[str, Any] = {
        "task": experiment.task,
        "network": "-".join(str(p.shape[0]) for p in networks["float"].order),
        "time_steps": task.time_steps,
        "seed": experiment.seed,
    }
    exact = np.array(record["label"].split(), np.int64)

    def score(method: str, found: NDArray[np.int64], **values: Any) -> Score:
        first = len(found)
        return Score(
            **common,
            method=f"{experiment.method}-{method}",
            samples=first,
            accuracy_percent=100 * float((found == label[:first]).mean()),
            same_class_percent=100 * float((found == exact[:first]).mean()),
            **values,
        )

    none: dict[str, Any] = {"weight_bits": None, "trained_bits": None, "spikes": None, "synaptic_operations": None}
    scores = [score("float", exact, **none, seconds=record["seconds"])]
    few = _first(test, FINER_SAMPLES)
    for parts in FINER:
        finer = reference.run(time_steps.finer(networks["float"], parts), few.x.astype(float))
        common["time_steps"] = parts * task.time_steps
        scores.append(score(f"float-finer-{parts}", finer.label, **none, seconds=round(finer.seconds, 1)))
    common["time_steps"] = task.time_steps
    bundle = None
    rounded = [("float", bits) for bits in AFTER_TRAINING] + [(name, int(name)) for name in networks if name != "float"]
    for name, bits in rounded:
        calibration = data.train.x[:CALIBRATION].astype(float)
        compiled = api.compile(networks[name], calibration=calibration, weight_bits=bits)
        found = execute(compiled, test)
        report(f"engine, {name} weights on {bits} bits: {100 * float((found.label == label).mean()):.2f} %")
        grid = {"weight_bits": bits, "trained_bits": None if name == "float" else bits}
        scores.append(
            score(
                "engine", found.label, **grid, spikes=found.spikes, synaptic_operations=found.synaptic_operations,
                seconds=round(found.seconds, 1),
            )
        )  # fmt: skip
        bundle = bundle or (compiled, found, grid)
    about: dict[str, Any] = {"training": record, "lava": backends.get("lava").missing()}
    assert bundle is not None
    if about["lava"] is None:
        sample = _first(test, LAVA_SAMPLES)
        lava = execute(bundle[0], sample, "lava")
        same = np.array_equal(lava.label, bundle[1].label[: len(sample)])
        about["lava"] = f"{'equal to' if same else 'DIFFERS FROM'} the engine on the sample"
        scores.append(
            score(
                "lava", lava.label, **bundle[2], spikes=lava.spikes, synaptic_operations=lava.synaptic_operations,
                seconds=round(lava.seconds, 1),
            )
        )  # fmt: skip
    return Finished(experiment, [], about, tuple(scores))


def trained(
    experiment: Experiment, task: Classification, data: Split, out: Path, quick: bool, report: Callable[[str], None]
) -> tuple[dict[str, SteppedNetwork], dict[str, Any]]:
    """The trained networks, ``float`` and by bits of their grid, and the record of the training.

    The record holds ``identity``, ``label`` (classes of the test images by the float network, as text), ``seconds`` and
    ``machine``.
    """
    home, state = out / "models", out / "state"
    for folder in (home, state):
        folder.mkdir(parents=True, exist_ok=True)
    record = home / f"{experiment.name}.json"
    identity = {"schema": RESULTS_SCHEMA, "seed": experiment.seed, "settings": settings_of(experiment, quick)}
    grids = GRIDS.get(experiment.method, ())
    paths = {name: home / f"{experiment.name}-{name}.onnx" for name in ("float", *map(str, grids))}
    kept = store.read(record, identity)
    if kept is None or not all(path.exists() for path in paths.values()):
        if quick:
            few = replace(task.settings.on_grid, steps=QUICK_UPDATES)
            task = replace(task, settings=replace(task.settings, on_grid=few))
        reported = time.perf_counter()

        def progress(done: int, total: int, loss: float, error: float) -> None:
            nonlocal reported
            if time.perf_counter() - reported > REPORT_EVERY:
                reported = time.perf_counter()
                report(f"training update {done} of {total}, loss {loss:.2e}, error {100 * error:.3g} %")

        content: dict[str, Any] = {"machine": machine()}
        checkpoint = state / f"{experiment.name}-schema{RESULTS_SCHEMA}.safetensors"
        for bits in (None, *grids):
            result = train_classifier(
                task, neuron=CLASSIFIERS[experiment.method], seed=experiment.seed, data=data,
                steps=QUICK_UPDATES if quick else None, weight_bits=bits, progress=progress, checkpoint=checkpoint,
            )  # fmt: skip
            onnx_io.save(result.network, paths["float" if bits is None else str(bits)])
            if bits is None:
                content |= {"label": " ".join(map(str, result.label)), "seconds": round(result.seconds, 1)}
        store.write(record, identity, content)
        for old in state.glob(f"{experiment.name}-*"):
            old.unlink()
        kept = {"identity": identity, **content}
    networks = {name: onnx_io.load_any(path) for name, path in paths.items()}
    return {name: n for name, n in networks.items() if isinstance(n, SteppedNetwork)}, kept


def execute(bundle: SteppedBundle, test: Images, backend: str = "engine") -> Outcome:
    """Run all images, block by block."""
    fan_out: dict[str, NDArray[Any]] = {}
    for p in bundle.program.projections:
        fan_out[p.pre] = fan_out.get(p.pre, 0) + p.synapses.fan_out
    labels, spikes, operations, seconds = [], 0, 0.0, 0.0
    for first in range(0, len(test), BLOCK):
        found = bundle.run(test.x[first : first + BLOCK].astype(float), backend)
        labels.append(found.label)
        seconds += found.seconds
        for name, fired in found.spikes.items():
            counts = fired.sum(axis=(0, 1))
            spikes += int(counts.sum())
            operations += float(counts @ fan_out[name])
    return Outcome(np.concatenate(labels), spikes / len(test), operations / len(test), seconds)


def _first(test: Images, count: int) -> Images:
    return Images(test.x[:count], test.label[:count], test.classes)
