"""The plan: all experiments of the results."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from qif2hw.experiments import baselines, tasks
from qif2hw.experiments.catalogue import FIRST_SPIKE_TASKS, IMAGE_TASKS
from qif2hw.train.task import Task

SEEDS = {"parabola": 3, "ricker": 3, "ripple": 3, "poisson_pinn": 3}
"""Number of seeds in the ordinary regime; one for tasks that are not named, and in the published regime."""

IMAGE_SEEDS = 3
"""Number of seeds of a classifier."""

CLASSIFIERS = {"dqif-exact": "exact", "dqif-euler": "euler", "lif": "lif"}
"""Neurons of classifiers in time steps, by method."""

PAPER_SIZES = {"parabola": (1, 64, 64, 64, 2), "ricker": (2, 16, 2)}
"""Networks of the paper where ours is another one: they have a row beside it, in the ordinary regime."""


FIELDS = {
    "parabola": 4,
    "ricker": 8,
    "ripple": 8,
    "poisson_operator": 8,
    "poisson_pinn": 4,
    "burgers_pinn": 8,
    "navier_stokes_pinn": 4,
}
"""Receptive fields per input of tasks that have rows with them too, in the ordinary regime."""

DIRECT = ("poisson_pinn",)
"""Those of them whose network with one spike per input is the more exact one."""

WEIGHT_BITS, STEPS = 8, 512
"""Bits of a weight, and machine steps of a trial."""

ROUNDED = {"ripple": 400}
"""Second-order steps of tasks that have rows of a training that ends on the grid of weights, with one spike per input.

Elsewhere the compiler rounds the weights.
"""

MEASURED_MOMENTS = ("poisson_operator",)
"""Tasks of which, as of all with a variant, the compiler chooses the moments of the lateness by what they gain."""

FIELDS_METHODS = ("ann", "lif-direct-128", "lif-cal-128")
"""Baselines that are given the same fields, where a task has them."""


@dataclass(frozen=True)
class Experiment:
    """One row of the plan: a task, a method, a seed.

    Parameters
    ----------
    method
        ``qif``, ``null`` or a baseline's.
    regime, sizes
        Of a QIF network; no sizes where they are the task's own.
    fields
        Receptive fields per input; 0 for none.
    finish
        Second-order steps of a training that ends on the grid of weights; 0 for weights that the compiler rounds.
    """

    task: str
    method: str
    regime: str = ""
    seed: int = 0
    sizes: tuple[int, ...] = ()
    fields: int = 0
    finish: int = 0

    @property
    def name(self) -> str:
        """Name of its files."""
        sizes, fields = "_".join(map(str, self.sizes)), f"fields{self.fields}" if self.fields else ""
        finish = f"finish{self.finish}" if self.finish else ""
        parts = (self.task, self.method, self.regime, sizes, fields, finish, f"seed{self.seed}")
        return "-".join(part for part in parts if part)

    @property
    def variant(self) -> str:
        """What is different from the task as it is, for the table."""
        if self.finish:
            return "rounded in training"
        return f"{self.fields} fields" if self.fields else ""

    @property
    def trained_bits(self) -> int | None:
        """Bits of the grid that the training of a QIF network ends on; None for free weights."""
        return WEIGHT_BITS if self.finish else None

    @property
    def compiling(self) -> dict[str, Any]:
        """Options of the compiler for a QIF network."""
        measured = self.variant or (self.task in MEASURED_MOMENTS and self.regime == "ordinary")
        return {"weight_bits": WEIGHT_BITS, "steps": STEPS} | ({"lateness_moments": "auto"} if measured else {})

    @property
    def qif_task(self) -> Task:
        """The task of a QIF network, with its regime, sizes and fields."""
        task = tasks.get(self.task, self.regime)
        if self.fields:
            task = tasks.with_receptive_fields(task, self.fields)
        if self.finish:
            task = replace(task, settings=replace(task.settings, finish_steps=self.finish))
        return replace(task, sizes=self.sizes) if self.sizes else task

    @property
    def baseline_task(self) -> Task:
        """The task of a baseline, which is given the same fields."""
        task = tasks.get(self.task)
        return tasks.with_receptive_fields(task, self.fields) if self.fields else task


def experiments(names: Sequence[str] = (), quick: bool = False) -> list[Experiment]:
    """All experiments on the tasks ``names``; if empty on all tasks but those of classification by the first spike.

    Raises
    ------
    InputError
        If there is no such task.
    """
    planned = []
    for name in names or (*tasks.TASKS, *IMAGE_TASKS):
        if name in IMAGE_TASKS:
            for method in CLASSIFIERS:
                count = 1 if quick else IMAGE_SEEDS
                planned += [Experiment(name, method, seed=seed) for seed in range(count)]
            continue
        if name in FIRST_SPIKE_TASKS:
            planned += [Experiment(name, "qif", "ordinary", seed) for seed in range(1 if quick else IMAGE_SEEDS)]
            continue
        task = tasks.get(name)
        seeds = 1 if quick else SEEDS.get(name, 1)
        planned.append(Experiment(name, "null"))
        planned.append(Experiment(name, "qif", "published"))
        planned += [Experiment(name, "qif", "ordinary", seed) for seed in range(seeds)]
        if name in PAPER_SIZES:
            planned.append(Experiment(name, "qif", "ordinary", sizes=PAPER_SIZES[name]))
        if name in ROUNDED:
            finish = ROUNDED[name]
            planned += [Experiment(name, "qif", "ordinary", seed, finish=finish) for seed in range(seeds)]
        planned += [Experiment(name, method) for method in baselines.methods(task)]
        if name in FIELDS:
            fields = FIELDS[name]
            planned += [Experiment(name, "qif", "ordinary", seed, fields=fields) for seed in range(seeds)]
            given = [method for method in FIELDS_METHODS if method in baselines.methods(task)]
            planned += [Experiment(name, method, fields=fields) for method in given]
    return planned
