"""Layers of the baselines, at least as large as the QIF network's, and the budgets of their trainings."""

from dataclasses import dataclass
from itertools import pairwise

from qif2hw.experiments.baselines.architecture import Architecture
from qif2hw.train.task import Task

SIMULATION_STEPS = (32, 64, 128)
"""Time steps of the spiking baselines."""

CALIBRATION_SAMPLES = 512
"""Samples for thresholds and calibration: rows, or functions of an operator."""

PUBLISHED = {"parabola": (64, 64, 64), "ricker": (16,), "ripple": (64, 64, 64)}
"""Hidden layers in the published experiments, where the task's QIF network may be another."""

FEATURES = (64, 64)
"""Layers behind the inputs of an operator's branch and trunk: as many features as the QIF network has pairs."""

QUICK = 10
"""Factor by which a quick run has fewer steps."""


@dataclass(frozen=True)
class Budget:
    """How a network is trained.

    Parameters
    ----------
    steps
        Of Adam, once the learning rate is found.
    batch
        Samples of a step: rows, functions of an operator, or collocation points; None for all.
    rates
        Learning rates that are tried.
    polish
        Iterations of L-BFGS afterwards (physics only).
    """

    steps: int
    batch: int | None
    rates: tuple[float, ...]
    polish: int = 0

    def quick(self) -> "Budget":
        """A tenth of it."""
        return Budget(max(1, self.steps // QUICK), self.batch, self.rates, self.polish // QUICK)


def architecture_of(task: Task) -> Architecture:
    """Layers of the baselines: the task's or the published ones, whichever have more weights.

    `Task.fields` encode the coordinates of a baseline too.
    """
    if task.branch_inputs:
        trunk_inputs = task.sizes[0] - task.branch_inputs
        return Architecture(((task.branch_inputs, *FEATURES), (trunk_inputs, *FEATURES)), task.fields)
    ends, published = (task.sizes[0], task.sizes[-1] // 2), PUBLISHED.get(task.name.split(" ")[0], ())
    candidates = [(ends[0], *hidden, ends[1]) for hidden in (task.sizes[1:-1], published)]
    return Architecture((max(candidates, key=lambda sizes: sum(a * b for a, b in pairwise(sizes))),), task.fields)


def ann_budget(task: Task) -> Budget:
    """Budget of the ANN: at most six minutes on one core for an equation in three coordinates."""
    if task.equation is None:
        return Budget(10000, _batch(task), (1e-3, 3e-3, 1e-2))
    return {
        1: Budget(4000, 200, (1e-3, 3e-3, 1e-2), 300),
        2: Budget(5000, 500, (1e-3, 2e-3, 5e-3), 300),
    }.get(sum(architecture_of(task).columns), Budget(3500, 500, (1e-3, 2e-3, 5e-3), 150))


def lif_budget(task: Task) -> Budget:
    """Budget of a network trained with spikes: at most four minutes on one core for 128 simulation steps."""
    return Budget(12000 if task.branch_inputs else 3000, _batch(task), (1e-3, 3e-3, 1e-2))


def _batch(task: Task) -> int | None:
    return 50 if task.branch_inputs else min(task.settings.batch or 128, 128)
