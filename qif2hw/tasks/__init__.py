"""The scientific problems, one file each."""

from qif2hw.errors import InputError
from qif2hw.nn.task import Samples, Settings, Task
from qif2hw.tasks.parabola import PARABOLA
from qif2hw.tasks.ricker import RICKER
from qif2hw.tasks.ripple import RIPPLE

TASKS: dict[str, Task] = {task.name: task for task in (PARABOLA, RICKER, RIPPLE)}
"""All tasks by name."""


def get(name: str) -> Task:
    """Task by name; `InputError` names those there are."""
    if name not in TASKS:
        raise InputError(f"there is no task '{name}': known are {', '.join(TASKS)}")
    return TASKS[name]


__all__ = ["TASKS", "Samples", "Settings", "Task", "get"]
