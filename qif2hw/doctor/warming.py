"""Compile the kernels that users need first, so that their first command does not."""

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from qif2hw import api, reference, zoo
from qif2hw.bundle import Bundle
from qif2hw.notices import on_compiling

ENGINE = ("parabola", "ripple", "burgers_pinn", "poisson_operator")
"""Networks of the zoo that together use every arithmetic of event-driven networks."""
TRAINED = (
    ("parabola", "ordinary"),
    ("parabola", "published"),
    ("poisson_pinn", "ordinary"),
    ("poisson_operator", "ordinary"),
)
"""Tasks and regimes whose first steps compile the kernels of training: plain, jets, operators."""
SAMPLES = 8

Progress = Callable[[int, int, str], None]


def workloads() -> dict[str, Callable[[], None]]:
    """Small pieces of work by name, which together use what most commands compile; training if torch is installed."""
    work: dict[str, Callable[[], None]] = {f"run {name}": partial(_run, name) for name in ENGINE}
    work |= {f"run {name}-microcode": partial(_run, name, "loihi2-microcode") for name in ENGINE}
    work["run digits"] = _run_digits
    work["compile parabola"] = _compile
    if importlib.util.find_spec("torch") is not None:
        work |= {f"train {task}, {regime}": partial(_train, task, regime) for task, regime in TRAINED}
        work["train digits"] = _train_digits
    return work


def warm(progress: Progress | None = None) -> list[str]:
    """Do all `workloads`; machine code is kept on disk.

    Parameters
    ----------
    progress
        Called with pieces of work done, their number, and the next one.

    Returns
    -------
    list of str
        Names of the kernels that were compiled; none if all of them were kept.
    """
    compiled: list[str] = []
    on_compiling(compiled.append)
    work = workloads()
    for done, (what, do) in enumerate(work.items()):
        if progress is not None:
            progress(done, len(work), what)
        do()
    return compiled


def _run(name: str, target: str = "loihi2") -> None:
    bundle = zoo.bundle(name, target)
    assert isinstance(bundle, Bundle)
    network = bundle.program.network()
    x = network.unscaled(np.random.default_rng(0).random((SAMPLES, network.width)))
    bundle.run(x)
    reference.run(network, x)


def _run_digits() -> None:
    bundle = zoo.bundle("digits")
    x = np.zeros((SAMPLES, *bundle.network.encoders[0].shape))
    bundle.run(x)
    bundle.run(x, "reference")


def _compile() -> None:
    api.compile(zoo.network("parabola"), calibration=np.linspace(0, 1, 64)[:, None])


def _train(task: str, regime: str) -> None:
    from qif2hw.experiments import tasks
    from qif2hw.train import train

    train(tasks.get(task, regime), steps=2)


def _train_digits() -> None:
    from qif2hw.experiments.tasks import images
    from qif2hw.train.classify import train_classifier

    task = images.get("digits")
    data = task.data(None)
    test = data.test
    few = data._replace(test=replace(test, x=test.x[:SAMPLES], label=test.label[:SAMPLES]))
    train_classifier(task, data=few, steps=1)
