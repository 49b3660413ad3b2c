"""Draw the figures of docs/examples.md into docs/figures: what the examples make, on the engine.

The two solutions that are kept beside their examples are run; the others are trained anew, some minutes in all.

Usage: .venv/bin/python scripts/figure_examples.py [FOLDER [NAME ..]]
"""

import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch

import qif2hw
from qif2hw.train import Task

DOCS = Path(__file__).resolve().parents[1] / "docs"
STEPS = 512
BLUE, ORANGE, GREEN = "#4c72b0", "#dd8452", "#55a868"


def example(name: str) -> Any:
    """The module of an example."""
    spec = importlib.util.spec_from_file_location(name, DOCS / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def solved(name: str, task: Task) -> tuple[Any, Any, Any]:
    """Coordinates, the solution on the engine, and the truth."""
    test = task.test_set()
    x = task.raw(test.x)
    return x, qif2hw.compile(DOCS / "examples" / f"{name}.onnx", steps=STEPS).run(x).y, test.y


def maps(plt: Any, y: Any, truth: Any, extent: tuple[float, ...], labels: tuple[str, str], of: str) -> Any:
    """A map (x, y) and that of its difference from the truth."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3), layout="constrained")
    reach = np.abs(y - truth).max()
    for axes, values, title, options in (
        (left, y, "on the engine", {"cmap": "inferno"}),
        (right, y - truth, f"difference from {of}", {"cmap": "RdBu_r", "vmin": -reach, "vmax": reach}),
    ):
        shown = axes.imshow(values.T, origin="lower", extent=extent, aspect="auto", rasterized=True, **options)
        axes.set(title=title, xlabel=labels[0], ylabel=labels[1])
        figure.colorbar(shown, ax=axes)
    return figure


def heat(plt: Any) -> Any:
    """The temperature of the rod."""
    x, y, truth = solved("heat", example("heat").HEAT)
    side = round(len(x) ** 0.5)
    return maps(plt, y.reshape(side, side), truth.reshape(side, side), (0, 1, 0, 1), ("x (m)", "t (s)"), "scipy")


def lotka_volterra(plt: Any) -> Any:
    """Prey and predators."""
    t, y, truth = solved("lotka_volterra", example("lotka_volterra").PREY)
    figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
    for k, (name, colour) in enumerate((("prey", BLUE), ("predators", ORANGE))):
        axes.plot(t[:, 0], truth[:, k], color=colour, lw=4, alpha=0.35, label=f"{name}, scipy")
        axes.plot(t[:, 0], y[:, k], color=colour, lw=1, label=f"{name}, engine")
    axes.set(xlabel="t", ylabel="number")
    axes.legend(frameon=False, ncols=2)
    return figure


def regression(plt: Any) -> Any:
    """True concentrations and those of the engine."""
    truth, engine, _ = example("regression").main()
    figure, axes = plt.subplots(figsize=(3.6, 3.4), layout="constrained")
    axes.axline((0, 0), slope=1, color="#999", lw=1)
    axes.plot(truth, engine, "o", ms=3, color=BLUE)
    axes.set(xlabel="concentration (ppm)", ylabel="on the engine (ppm)", aspect="equal")
    return figure


def classification(plt: Any) -> Any:
    """First spike times of each wine, by its cultivar."""
    times, truth, _ = example("classification").main()
    order = np.argsort(truth, kind="stable")
    figure, axes = plt.subplots(figsize=(8.5, 3), layout="constrained")
    names = qif2hw.load("wine.qif").network.classes or ()
    for k, colour in enumerate((BLUE, ORANGE, GREEN)):
        axes.plot(times[order, k], "o", ms=3, color=colour, label=f"neuron of {names[k]}")
    for k in range(1, 3):
        axes.axvline(np.searchsorted(truth[order], k) - 0.5, color="#999", lw=1)
    axes.set(xlabel="wines of " + ", ".join(names), ylabel="first spike (time units)")
    axes.legend(frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.17))
    return figure


def antiderivative(plt: Any) -> Any:
    """Three functions and their integrals."""
    module = example("antiderivative")
    module.main()
    f, truth = module.functions(3, 5)
    x = np.concatenate([np.column_stack([np.tile(row, (len(module.POINTS), 1)), module.POINTS]) for row in f])
    y = qif2hw.compile("antiderivative.onnx", steps=STEPS).run(x).y.reshape(3, -1)
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3), layout="constrained")
    for k, colour in enumerate((BLUE, ORANGE, GREEN)):
        left.plot(module.SENSORS, f[k], "o-", ms=2, lw=1, color=colour)
        right.plot(module.POINTS, truth[k], color=colour, lw=4, alpha=0.35, label="exact" if k == 0 else None)
        right.plot(module.POINTS, y[k], color=colour, lw=1, label="engine" if k == 0 else None)
    left.set(xlabel="c", title="function at the sensors")
    right.set(xlabel="c", title="integral from 0 to c")
    right.legend(frameon=False)
    return figure


def own_module(plt: Any) -> Any:
    """The wave over place and time."""
    module = example("own_module")
    module.main()
    place, time = np.meshgrid(np.linspace(0, 2, 60), np.linspace(0, 4, 60), indexing="ij")
    x = np.column_stack([place.ravel(), time.ravel()])
    y = qif2hw.compile("wave.onnx", steps=STEPS).run(x).y.reshape(60, 60)
    truth = module.height(torch.from_numpy(x)).numpy().reshape(60, 60)
    return maps(plt, y, truth, (0, 2, 0, 4), ("place (m)", "time (s)"), "the true height")


def slayer(plt: Any) -> Any:
    """Output spikes of nine digits, one beside the other."""
    module = example("slayer")
    _, spikes, _ = module.main()
    figure, axes = plt.subplots(figsize=(8.5, 2.6), layout="constrained")
    step, neuron = np.nonzero(spikes[:9].reshape(-1, spikes.shape[2]))
    axes.plot(step + 0.5, neuron, "|", color=BLUE, ms=7, mew=2)
    for k in range(1, 9):
        axes.axvline(k * module.T, color="#ccc", lw=1)
    _, label = module.digits()
    axes.set(xticks=module.T * (np.arange(9) + 0.5), xticklabels=[f"digit {int(k)}" for k in label[1500:1509]])
    axes.set(yticks=range(10), ylabel="output neuron", xlim=(0, 9 * module.T))
    return figure


def steps(plt: Any) -> Any:
    """Error and latency."""
    chosen, found = example("steps").main()
    figure, axes = plt.subplots(figsize=(4.6, 3), layout="constrained")
    for count, (error, (low, high)) in found.items():
        axes.plot([low, high], [100 * error] * 2, color=ORANGE if count == chosen else BLUE, lw=4)
        axes.annotate(f"{count} steps", (high, 100 * error), (6, 0), textcoords="offset points", va="center")
    axes.set(xscale="log", yscale="log", xlabel="latency of a sample, estimated (ms)", ylabel="error (%)")
    axes.margins(x=0.35)
    return figure


FIGURES = (heat, lotka_volterra, regression, classification, antiderivative, own_module, slayer, steps)


def main(folder: Path, names: list[str]) -> None:
    """Run, draw and write the figures; models that examples save go into a folder that does not stay."""
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "examples", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot as plt

    with tempfile.TemporaryDirectory() as home:
        os.chdir(home)
        for draw in FIGURES:
            if not names or draw.__name__ in names:
                draw(plt).savefig(folder / f"{draw.__name__}.svg", metadata={"Date": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else DOCS / "figures", sys.argv[2:])
