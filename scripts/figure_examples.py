"""Draw docs/figures/heat.svg and lotka_volterra.svg: the kept solutions of docs/examples on the engine, beside scipy's.

Usage: .venv/bin/python scripts/figure_examples.py [FOLDER]
"""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

import qif2hw
from qif2hw.train import Task

DOCS = Path(__file__).parents[1] / "docs"
STEPS = 512


def task_of(name: str, task: str) -> Task:
    """The task that an example defines."""
    spec = importlib.util.spec_from_file_location(name, DOCS / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Task = getattr(module, task)
    return found


def solved(name: str, task: Task) -> tuple[Any, Any, Any]:
    """Coordinates, the solution on the engine, and the truth."""
    test = task.test_set()
    x = task.raw(test.x)
    return x, qif2hw.compile(DOCS / "examples" / f"{name}.onnx", steps=STEPS).run(x).y, test.y


def main(folder: Path) -> None:
    """Run, draw and write the figures."""
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "examples", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot as plt

    x, y, truth = solved("heat", task_of("heat", "HEAT"))
    side = round(len(x) ** 0.5)
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3), layout="constrained")
    reach = np.abs(y - truth).max()
    for axes, values, title, options in (
        (left, y, "on the engine", {"cmap": "inferno"}),
        (right, y - truth, "difference from scipy", {"cmap": "RdBu_r", "vmin": -reach, "vmax": reach}),
    ):
        shown = axes.imshow(
            values.reshape(side, side).T, origin="lower", extent=(0, 1, 0, 1), aspect="auto", rasterized=True, **options
        )
        axes.set(title=title, xlabel="x (m)", ylabel="t (s)")
        figure.colorbar(shown, ax=axes)
    figure.savefig(folder / "heat.svg", metadata={"Date": None})

    t, y, truth = solved("lotka_volterra", task_of("lotka_volterra", "PREY"))
    figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
    for k, (name, colour) in enumerate((("prey", "#4c72b0"), ("predators", "#dd8452"))):
        axes.plot(t[:, 0], truth[:, k], color=colour, lw=4, alpha=0.35, label=f"{name}, scipy")
        axes.plot(t[:, 0], y[:, k], color=colour, lw=1, label=f"{name}, engine")
    axes.set(xlabel="t", ylabel="number")
    axes.legend(frameon=False, ncols=2)
    figure.savefig(folder / "lotka_volterra.svg", metadata={"Date": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS / "figures")
