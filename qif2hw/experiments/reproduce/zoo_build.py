"""The networks of `qif2hw.zoo` from the trained ones: weights onto the grid, then compiled."""

from collections.abc import Callable
from pathlib import Path

from qif2hw.compiler import CompileOptions, rounded_network
from qif2hw.experiments import tasks
from qif2hw.experiments.reproduce import qif
from qif2hw.experiments.reproduce.plan import Experiment
from qif2hw.ir import onnx_io

TARGETS = {"loihi2": "", "loihi2-microcode": "-microcode"}
"""Targets of the bundles, with what stands behind a network's name in the bundle's (`qif2hw.zoo.TARGETS`)."""


def make_zoo(out: Path, home: Path, report: Callable[[str], None]) -> list[str]:
    """Write ``NAME.onnx`` and its bundles for every task with a trained network in ``out``; names of those."""
    made = []
    for name in tasks.TASKS:
        path = out / "models" / f"{Experiment(name, 'qif', 'ordinary').name}.onnx"
        if not path.exists():
            continue
        report(f"zoo: {name}")
        task = tasks.get(name)
        options = CompileOptions(weight_bits=qif.WEIGHT_BITS, steps=qif.STEPS)
        network = rounded_network(onnx_io.load(path), options, qif.calibration(task))
        onnx_io.save(network, home / f"{name}.onnx")
        for target, suffix in TARGETS.items():
            qif.compiled(network, task, target=target).save(home / f"{name}{suffix}.qif")
        made.append(name)
    return made
