"""Draw docs/figures/rebound.svg: what strong inhibition does to the QIF neuron in Euler's and in exact steps.

Usage: .venv/bin/python scripts/figure_rebound.py [OUT.svg]
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np

from qif2hw.discrete import SteppedQIF, apply

OUT = Path(__file__).parents[1] / "docs" / "figures" / "rebound.svg"
EXACT, EULER = SteppedQIF(kind="exact"), SteppedQIF(kind="euler")
COLOURS = {"euler": "#c44e52", "exact": "#4c72b0"}
INHIBITION, STEPS = -6.0, 13


def trajectory(neuron: SteppedQIF) -> tuple[list[float], list[int]]:
    """Potentials of a neuron at rest that is inhibited once, at step 1, and the steps in which it fires."""
    u, potentials, spikes = neuron.reset, [], []
    for t in range(STEPS):
        v = float(apply(neuron, np.float64(u))) + (INHIBITION if t == 1 else 0.0)
        potentials.append(v)
        if v >= neuron.threshold:
            spikes.append(t)
        u = neuron.reset if v >= neuron.threshold else v
    return potentials, spikes


def main(out: Path) -> None:
    """Draw and write the figure."""
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "rebound", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot as plt

    figure, (maps, times) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    u = np.linspace(-7, EXACT.threshold, 400)
    for neuron in (EULER, EXACT):
        maps.plot(u, apply(neuron, u), color=COLOURS[neuron.kind], label=neuron.kind)
        potentials, spikes = trajectory(neuron)
        times.plot(range(STEPS), potentials, "o-", ms=3, color=COLOURS[neuron.kind], label=neuron.kind)
        times.plot(spikes, [potentials[t] for t in spikes], "*", ms=12, color=COLOURS[neuron.kind])
    maps.plot(u, u, color="0.8", lw=0.8)
    for axes in (maps, times):
        axes.axhline(EXACT.threshold, color="0.4", lw=0.8, ls="--")
        axes.spines[["top", "right"]].set_visible(False)
    maps.axhline(EXACT.lower_bound, color=COLOURS["exact"], lw=0.8, ls=":")
    for value, name in ((EULER.u_min, "u_min"), (EULER.u_r, "u_r")):
        at = float(apply(EULER, np.float64(value)))
        maps.plot(value, at, "o", ms=4, color=COLOURS["euler"])
        maps.annotate(name, (value, at), textcoords="offset points", xytext=(-4, -14), color=COLOURS["euler"])
    maps.set(xlabel="state u", ylabel="f(u), without input", ylim=(-5, 5))
    maps.text(-7, EXACT.lower_bound + 0.1, "lower bound of exact", color=COLOURS["exact"])
    maps.text(-7, EXACT.threshold + 0.1, "threshold", color="0.4")
    times.set(xlabel="time step", ylabel="potential v", title=f"input {INHIBITION:g} at step 1, none else; star: spike")
    maps.legend(frameon=False, loc="upper center")
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, metadata={"Date": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else OUT)
