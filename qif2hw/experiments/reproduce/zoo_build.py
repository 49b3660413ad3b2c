"""The networks of `qif2hw.zoo` from the trained ones: weights onto the grid, then compiled."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from qif2hw import api
from qif2hw.compiler import CompileOptions, rounded_network
from qif2hw.experiments import tasks
from qif2hw.experiments.reproduce import classifiers, qif
from qif2hw.experiments.reproduce.plan import DIRECT, FIELDS, STEPS, WEIGHT_BITS, Experiment
from qif2hw.experiments.tasks import images
from qif2hw.ir import onnx_io
from qif2hw.zoo import ENCODED, STEPPED

TARGETS = {"loihi2": "", "loihi2-microcode": "-microcode"}
"""Targets of the bundles, with what stands behind a network's name in the bundle's (`qif2hw.zoo.TARGETS`)."""


def trials() -> dict[str, Experiment]:
    """The experiments of event-driven networks by name: one for each task, and one with fields where it is better."""
    found = {name: Experiment(name, "qif", "ordinary") for name in tasks.TASKS}
    fields = {name: count for name, count in FIELDS.items() if name not in DIRECT}
    return found | {f"{name}{ENCODED}": Experiment(name, "qif", "ordinary", fields=n) for name, n in fields.items()}


def zoo_files() -> list[str]:
    """Names of the files that `make_zoo` may write."""
    bundles = [f"{name}{suffix}.qif" for name in trials() for suffix in TARGETS.values()]
    return [f"{name}.onnx" for name in (*trials(), *STEPPED)] + bundles + [f"{name}.qif" for name in STEPPED]


def make_zoo(out: Path, home: Path, report: Callable[[str], None]) -> list[str]:
    """Write ``NAME.onnx`` and its bundles for every network of the zoo with a trained one in ``out``; their names."""
    made = []
    for name, experiment in trials().items():
        path = out / "models" / f"{experiment.name}.onnx"
        if not path.exists():
            continue
        report(f"zoo: {name}")
        task = experiment.qif_task
        options = CompileOptions(weight_bits=WEIGHT_BITS, steps=STEPS)
        trained = replace(onnx_io.load(path), host=task.host)
        network = rounded_network(trained, options, qif.calibration(task))
        onnx_io.save(network, home / f"{name}.onnx")
        for target, suffix in TARGETS.items():
            qif.compiled(network, task, target=target, **experiment.compiling).save(home / f"{name}{suffix}.qif")
        made.append(name)
    for name in STEPPED:
        # Trained on the grid.
        path = out / "models" / f"{Experiment(name, 'dqif-exact').name}-{WEIGHT_BITS}.onnx"
        if not path.exists():
            continue
        report(f"zoo: {name}")
        classifier = onnx_io.load_any(path)
        onnx_io.save(classifier, home / f"{name}.onnx")
        typical = images.get(name).data(None).train.x[: classifiers.CALIBRATION].astype(float)
        api.compile(classifier, calibration=typical, weight_bits=WEIGHT_BITS).save(home / f"{name}.qif")
        made.append(name)
    return made
