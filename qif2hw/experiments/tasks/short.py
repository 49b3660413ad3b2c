"""Each task with a short schedule: the error that the paper reports after seconds instead of minutes."""

from dataclasses import replace
from typing import Any, NamedTuple

from qif2hw.experiments.tasks.encodings import with_receptive_fields
from qif2hw.train.task import Task


class Quick(NamedTuple):
    """What is different in a quick training.

    Parameters
    ----------
    fields
        Receptive fields per coordinate; 0 for none.
    settings
        Replaced ones.
    regime
        In which the task is trained.
    """

    fields: int
    settings: dict[str, Any]
    regime: str = "ordinary"


QUICK: dict[str, Quick] = {
    "parabola": Quick(4, {"steps": 300, "finish_steps": 20}),
    "ricker": Quick(8, {"steps": 300, "finish_steps": 20}),
    "ripple": Quick(8, {"steps": 400, "finish_steps": 20}),
    "poisson_operator": Quick(0, {"steps": 2000}),
    "poisson_pinn": Quick(0, {"steps": 600}, "published"),
    "burgers_pinn": Quick(0, {"steps": 3500}, "published"),
    "navier_stokes_pinn": Quick(0, {"steps": 200}, "published"),
}
"""By task."""


def shortened(task: Task, quick: Quick) -> Task:
    """The task, of the quick one's regime, with its fields and settings."""
    if quick.fields:
        task = with_receptive_fields(task, quick.fields)
    return replace(task, settings=replace(task.settings, **quick.settings))
