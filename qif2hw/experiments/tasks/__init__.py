"""The scientific problems, one file each."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from qif2hw.errors import InputError
from qif2hw.experiments import catalogue
from qif2hw.experiments.tasks import burgers_pinn, navier_stokes_pinn, poisson_pinn
from qif2hw.experiments.tasks import digits_first_spike as digits
from qif2hw.experiments.tasks import fashion_mnist_first_spike as fashion_mnist
from qif2hw.experiments.tasks.encodings import with_receptive_fields
from qif2hw.experiments.tasks.parabola import PARABOLA
from qif2hw.experiments.tasks.poisson_operator import POISSON_OPERATOR
from qif2hw.experiments.tasks.ricker import RICKER
from qif2hw.experiments.tasks.ripple import RIPPLE
from qif2hw.experiments.tasks.short import QUICK, Quick, shortened
from qif2hw.nn.regime import PUBLISHED
from qif2hw.train.task import Errors, Samples, Settings, Task

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        PARABOLA,
        RICKER,
        RIPPLE,
        POISSON_OPERATOR,
        poisson_pinn.POISSON,
        burgers_pinn.BURGERS,
        navier_stokes_pinn.NAVIER_STOKES,
    )
}
"""All tasks by name, in the ordinary regime: every output is a real spike."""


def _published(task: Task) -> Task:
    settings = replace(task.settings, learning_rate=3e-3, optimizer="soap")
    return replace(task, name=f"{task.name} (published regime)", regime=PUBLISHED, settings=settings)


PUBLISHED_TASKS: dict[str, Task] = {
    task.name: _published(task) for task in (PARABOLA, RICKER, RIPPLE, POISSON_OPERATOR)
} | {
    "poisson_pinn": poisson_pinn.PUBLISHED_TASK,
    "burgers_pinn": burgers_pinn.PUBLISHED_TASK,
    "navier_stokes_pinn": navier_stokes_pinn.PUBLISHED_TASK,
}
"""The same tasks in the published regime: outputs are pseudospikes, after a trial too short for real ones."""

REGIMES = {"ordinary": TASKS, "published": PUBLISHED_TASKS}


FIRST_SPIKE: dict[str, Callable[[Path | None], Task]] = {
    digits.DIGITS_FIRST_SPIKE.name: digits.make,
    fashion_mnist.FASHION_MNIST_FIRST_SPIKE.name: fashion_mnist.make,
}
"""Makers of the tasks of classification by the first spike, of their own images or of those in a file or folder."""


def get(name: str, regime: str = "ordinary", images: Path | None = None) -> Task:
    """Task by name, with the images of a file or folder where it takes them; `InputError` names those there are."""
    catalogue.check(name, regime)
    if name in FIRST_SPIKE and regime == "ordinary":
        return FIRST_SPIKE[name](images)
    if images is not None:
        raise InputError(f"--data {images}: the task '{name}' takes no images")
    if name not in REGIMES[regime]:
        raise InputError(f"the task '{name}' has no {regime} regime")
    return REGIMES[regime][name]


def quick(name: str) -> Task:
    """Task by name with its quick schedule; `InputError` names those that have one."""
    catalogue.check(name)
    if name not in QUICK:
        raise InputError(f"the task '{name}' has no quick schedule: known are {', '.join(QUICK)}")
    return shortened(get(name, QUICK[name].regime), QUICK[name])


__all__ = [
    "FIRST_SPIKE",
    "PUBLISHED_TASKS",
    "QUICK",
    "REGIMES",
    "TASKS",
    "Errors",
    "Quick",
    "Samples",
    "Settings",
    "Task",
    "get",
    "quick",
    "with_receptive_fields",
]
