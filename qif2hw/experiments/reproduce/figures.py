"""Figures of the results, by matplotlib."""

import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qif2hw.errors import InputError
from qif2hw.experiments import tasks
from qif2hw.experiments.reproduce.plan import Experiment
from qif2hw.experiments.reproduce.qif import compiled
from qif2hw.experiments.reproduce.rows import Finished
from qif2hw.files import make_folder, write_bytes
from qif2hw.ir import onnx_io
from qif2hw.ir.arrays import FloatArray
from qif2hw.train.task import Task

LINES = {"parabola": (0.55, 0.75), "poisson_pinn": (0.3, 0.7)}
"""Tasks of one input, and the part of it that is drawn enlarged."""
MAPS = ("ricker", "ripple", "burgers_pinn")
"""Tasks of two inputs: the solution and where it is wrong."""
STAIRS = ("lif-direct-32", "lif-direct-128", "lif-cal-32", "lif-cal-128")


def check_installed() -> None:
    """Raise `InputError` where matplotlib is not installed: for those who draw at the end of long work."""
    if importlib.util.find_spec("matplotlib") is None:
        raise InputError("figures need matplotlib, which is not installed: pip install 'qif2hw[report]'")


def draw(finished: Sequence[Finished], folder: Path) -> dict[str, list[Path]]:
    """Draw the tasks whose networks are kept; paths by task, relative to the folder above ``folder``.

    Raises
    ------
    InputError
        If matplotlib is not installed.
    """
    check_installed()
    import matplotlib as mpl

    mpl.use("Agg")
    # The same picture gives the same bytes.
    mpl.rcParams["svg.hashsalt"] = "qif2hw"
    mpl.rcParams["font.size"] = 8
    make_folder(folder / "figures")
    drawn: dict[str, list[Path]] = {}
    for name in dict.fromkeys(one.experiment.task for one in finished):
        model = folder / "models" / f"{Experiment(name, 'qif', 'ordinary').name}.onnx"
        if not model.exists() or name not in (*LINES, *MAPS):
            continue
        task = tasks.get(name)
        bundle = compiled(onnx_io.load(model), task, **Experiment(name, "qif", "ordinary").compiling)
        test = task.test_set()
        values = bundle.run(task.raw(test.x)).y
        if name in LINES:
            baselines = [one for one in finished if one.experiment.task == name and one.experiment.method in STAIRS]
            others = {one.experiment.method: one.about for one in baselines}
            path = _line(task, test.x[:, 0], values[:, 0], test.y[:, 0], others, folder)
        else:
            path = _map(task, test.x, values[:, 0], test.y[:, 0], folder)
        drawn[name] = [path.relative_to(folder.parent)]
    return drawn


def _line(
    task: Task, x: FloatArray, values: FloatArray, truth: FloatArray, others: dict[str, dict[str, Any]], folder: Path
) -> Path:
    """The solution and its second difference, of the QIF network and of baselines that count spikes."""
    import matplotlib.pyplot as plt

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
    low, high = LINES[task.name]
    near = (x >= low) & (x <= high)
    for method, about in others.items():
        at = x[:: about["stride"]][: len(about["curve"])]
        curve = np.array(about["curve"])
        part = (at >= low) & (at <= high)
        left.plot(at, curve, linewidth=0.8, label=method)
        middle.plot(at[part], curve[part], linewidth=0.8)
        right.plot(*_second(at, curve), linewidth=0.5)
    for axes, part in ((left, x >= 0), (middle, near)):
        axes.plot(x[part], truth[part], "k:", linewidth=1.2, label="truth")
        axes.plot(x[part], values[part], "r", linewidth=0.9, label="QIF, engine")
        axes.set_xlabel("input")
    right.plot(*_second(x, values), "r", linewidth=0.8)
    at, curvature = _second(x, truth)
    right.plot(at, curvature, "k:", linewidth=1.2)
    reach = 3 * np.abs(curvature).max()
    right.set_ylim(-reach, reach)
    for axes, title in ((left, "solution"), (middle, "enlarged"), (right, "second difference")):
        axes.set_title(title)
    left.legend(fontsize=6)
    return _save(figure, folder / "figures" / f"{task.name}.svg")


def _second(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Second difference over a finite step, a twentieth of the range."""
    k = max(1, len(x) // 20)
    h = x[k] - x[0]
    return x[k:-k], (y[2 * k :] - 2 * y[k:-k] + y[: -2 * k]) / h**2


def _map(task: Task, x: FloatArray, values: FloatArray, truth: FloatArray, folder: Path) -> Path:
    import matplotlib.pyplot as plt

    shape = [len(np.unique(x[:, k])) for k in (0, 1)]
    figure, axes = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
    pictures = (("truth", truth), ("QIF, engine", values), ("engine - truth", values - truth))
    for one, (title, picture) in zip(axes, pictures, strict=True):
        shown = one.imshow(picture.reshape(shape).T, origin="lower", extent=(0, 1, 0, 1), aspect="auto", cmap="RdBu_r")
        figure.colorbar(shown, ax=one)
        one.set_title(title)
    return _save(figure, folder / "figures" / f"{task.name}.png")


def _save(figure: Any, path: Path) -> Path:
    import matplotlib.pyplot as plt

    drawn, kind = io.BytesIO(), path.suffix.removeprefix(".")
    figure.savefig(drawn, format=kind, dpi=100, metadata={"Date": None} if kind == "svg" else {"Software": None})
    plt.close(figure)
    return write_bytes(path, drawn.getvalue())
