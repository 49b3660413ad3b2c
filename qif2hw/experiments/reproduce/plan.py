"""Which runs the results are made of."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from qif2hw.experiments import baselines, tasks
from qif2hw.train.task import Task

SEEDS = {"parabola": 3, "ricker": 3, "ripple": 3, "poisson_pinn": 3}
"""Number of seeds in the ordinary regime; one for tasks that are not named, and in the published regime."""

PAPER_SIZES = {"parabola": (1, 64, 64, 64, 2), "ricker": (2, 16, 2)}
"""Networks of the paper where ours is another one: they have a row beside it, in the ordinary regime."""


@dataclass(frozen=True)
class Job:
    """One run.

    Parameters
    ----------
    method
        ``qif``, ``null`` or a baseline's.
    regime, sizes
        Of a QIF network; no sizes where they are the task's own.
    """

    task: str
    method: str
    regime: str = ""
    seed: int = 0
    sizes: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Of its file."""
        sizes = "_".join(map(str, self.sizes))
        return "-".join(part for part in (self.task, self.method, self.regime, sizes, f"seed{self.seed}") if part)

    @property
    def qif_task(self) -> Task:
        """The task of a QIF network."""
        task = tasks.get(self.task, self.regime)
        return replace(task, sizes=self.sizes) if self.sizes else task


def jobs(names: Sequence[str] = (), quick: bool = False) -> list[Job]:
    """All runs of the tasks ``names`` (all tasks if empty), those of the paper's networks first."""
    found = []
    for name in names or tasks.TASKS:
        task = tasks.get(name)
        seeds = 1 if quick else SEEDS.get(name, 1)
        found.append(Job(name, "null"))
        found.append(Job(name, "qif", "published"))
        found += [Job(name, "qif", "ordinary", seed) for seed in range(seeds)]
        if name in PAPER_SIZES:
            found.append(Job(name, "qif", "ordinary", sizes=PAPER_SIZES[name]))
        found += [Job(name, method) for method in baselines.methods(task)]
    return found
