"""Draw docs/figures/finish.svg: error against time of a training with the second-order finish, and without.

Takes minutes.  Usage: .venv/bin/python scripts/figure_finish.py [OUT.svg] [TASK] [FIELDS]
"""

import sys
import time
from dataclasses import replace
from pathlib import Path

import matplotlib

from qif2hw.experiments import tasks
from qif2hw.train import Settings, Task, train

OUT = Path(__file__).parents[1] / "docs" / "figures" / "finish.svg"
FIRST_ORDER = (2000, 6000)
"""Numbers of first-order steps of the trainings without a finish."""
COLOURS = ("#4c72b0", "#8da9d0")


def curve(task: Task, settings: Settings) -> tuple[list[float], list[float], float | None]:
    """Seconds of one thread and errors in percent of a training, and when its second-order steps began."""
    seconds, errors, began = [], [], None
    train(replace(task, settings=replace(settings, steps=2, finish_steps=min(2, settings.finish_steps))))
    start = time.process_time()

    def note(done: int, total: int, loss: float, error: float) -> None:
        nonlocal began
        del total, loss
        if done > settings.steps and began is None:
            began = seconds[-1]
        seconds.append(time.process_time() - start)
        errors.append(100 * error)

    train(replace(task, settings=settings), progress=note)
    return seconds, errors, began


def main(out: Path, name: str, fields: int) -> None:
    """Train, draw, and write the figure."""
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "finish", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot as plt

    task = tasks.get(name)
    if fields:
        task = tasks.with_receptive_fields(task, fields)
    figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
    for steps, colour in zip(FIRST_ORDER, COLOURS, strict=True):
        seconds, errors, _ = curve(task, replace(task.settings, steps=steps, finish_steps=0))
        axes.plot(seconds, errors, color=colour, label=f"SOAP, {steps} steps")
    seconds, errors, began = curve(task, task.settings)
    axes.plot(seconds, errors, color="#c44e52", label=f"SOAP, then the finish ({errors[-1]:.3g} %)")
    if began is not None:
        axes.axvline(began, color="#c44e52", lw=0.8, ls=":")
    axes.set(xlabel="seconds of one thread", ylabel="error on the test set, %", yscale="log", title=task.name)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, metadata={"Date": None})


if __name__ == "__main__":
    given = sys.argv[1:]
    main(
        Path(given[0]) if given else OUT,
        given[1] if len(given) > 1 else "ricker",
        int(given[2]) if len(given) > 2 else 8,
    )
