"""Which runs the results are made of."""

from collections.abc import Sequence
from dataclasses import dataclass

from qif2hw import baselines, tasks

SEEDS = {"parabola": 3, "ricker": 3, "ripple": 3, "poisson_pinn": 3}
"""Number of seeds in the ordinary regime; one for tasks that are not named, and in the published regime."""


@dataclass(frozen=True)
class Job:
    """One run: ``method`` is ``qif``, ``null`` or a baseline's; ``regime`` is empty for all but QIF networks."""

    task: str
    method: str
    regime: str = ""
    seed: int = 0

    @property
    def name(self) -> str:
        """Of its file."""
        return "-".join(part for part in (self.task, self.method, self.regime, f"seed{self.seed}") if part)


def jobs(names: Sequence[str] = (), quick: bool = False) -> list[Job]:
    """All runs of the tasks ``names`` (all tasks if empty), those of the paper's networks first."""
    found = []
    for name in names or tasks.TASKS:
        task = tasks.get(name)
        seeds = 1 if quick else SEEDS.get(name, 1)
        found.append(Job(name, "null"))
        found.append(Job(name, "qif", "published"))
        found += [Job(name, "qif", "ordinary", seed) for seed in range(seeds)]
        found += [Job(name, method) for method in baselines.methods(task)]
    return found
