"""Classification of images by networks in time steps."""

from dataclasses import replace
from pathlib import Path

from qif2hw.errors import InputError
from qif2hw.experiments import catalogue
from qif2hw.experiments.tasks.images.digits import DIGITS
from qif2hw.experiments.tasks.images.fashion_mnist import FASHION_MNIST
from qif2hw.experiments.tasks.images.networks import NETWORKS
from qif2hw.experiments.tasks.images.own import own
from qif2hw.train.classify import Classification

TASKS: dict[str, Classification] = {task.name: task for task in (DIGITS, FASHION_MNIST)}
"""All tasks by name."""


def get(name: str, network: str | None = None, time_steps: int | None = None) -> Classification:
    """A task by name, or that of a file or folder of images; with another network or number of time steps if asked for.

    Raises
    ------
    InputError
        If there is no such task, file, folder or network, or no time step.
    """
    if name in TASKS:
        task = TASKS[name]
    elif Path(name).exists():
        task = own(Path(name))
    else:
        known = ", ".join((*catalogue.TASKS, *TASKS))
        raise InputError(f"there is no task '{name}' and no file or folder of that name: known are {known}")
    if network is not None:
        if network not in NETWORKS:
            raise InputError(f"there is no network '{network}': known are {', '.join(NETWORKS)}")
        task = replace(task, network=NETWORKS[network])
    if time_steps is not None:
        if time_steps < 1:
            raise InputError(f"time steps = {time_steps}: at least one is needed")
        task = replace(task, time_steps=time_steps)
    return task


__all__ = ["NETWORKS", "TASKS", "get"]
