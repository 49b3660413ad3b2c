"""Draw docs/figures/estimate.svg: steps, neurons per core and samples in flight against latency and energy.

Usage: .venv/bin/python scripts/figure_estimate.py [OUT.svg]
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np

import qif2hw
from qif2hw import api, zoo
from qif2hw.estimate import Bracket, Estimate

OUT = Path(__file__).parents[1] / "docs" / "figures" / "estimate.svg"
NETWORK = "ripple"
STEPS, NEURONS, SAMPLES = (64, 128, 256, 512), (2, 4, 8, 16, 32, 64), 400
COLOURS = {"board": "#8172b3", "rails": "#4c72b0", "dynamic": "#dd8452"}


def bracket_of(found: Estimate) -> Bracket:
    """The bracket, which the target has."""
    assert found.bracket is not None
    return found.bracket


def main(out: Path) -> None:
    """Estimate, draw and write the figure."""
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "estimate", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot as plt

    network = zoo.network(NETWORK)
    x = np.random.default_rng(0).random((SAMPLES, network.inputs))
    bundles = {steps: qif2hw.compile(network, steps=steps) for steps in STEPS}
    wanted = bundles[STEPS[-1]].run(x, "reference").y
    figure, (steps_axes, cores_axes, flight_axes) = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
    for steps, bundle in bundles.items():
        low, high = (1e3 * t for t in bracket_of(api.estimate(bundle)).latency_s)
        error = 100 * np.linalg.norm(bundle.run(x).y - wanted) / np.linalg.norm(wanted)
        steps_axes.plot([low, high], [error, error], lw=4, color=COLOURS["rails"], solid_capstyle="butt")
        steps_axes.annotate(f"{steps} steps", (high, error), textcoords="offset points", xytext=(5, -3))
    steps_axes.set(xlabel="latency of a sample / ms", ylabel="error against float / %", xlim=(0, 3.6), yscale="log")

    largest = bundles[STEPS[-1]]
    spread = [api.estimate(largest, neurons_per_core=n) for n in NEURONS]
    ends = 1e3 * np.array([bracket_of(found).latency_s for found in spread])
    cores_axes.fill_between(NEURONS, *ends.T, color=COLOURS["rails"], alpha=0.4, lw=0)
    for n, found, (_, high) in zip(NEURONS, spread, ends, strict=True):
        cores_axes.annotate(f"{len(found.counts.cores)}", (n, high), textcoords="offset points", xytext=(-6, 4))
    cores_axes.set(xlabel="neurons per core (numbers: cores)", ylabel="latency of a sample / ms", xscale="log")
    cores_axes.set(xticks=NEURONS, xticklabels=NEURONS, ylim=(0, 3))
    cores_axes.minorticks_off()

    cores = len(api.estimate(largest).counts.cores)
    flight = [2**k for k in range(128 // cores) if 2**k * cores <= 128]
    found = [bracket_of(api.estimate(largest, in_flight=n)) for n in flight]
    for name, colour in COLOURS.items():
        ends = 1e3 * np.array([getattr(one, f"{name}_j") for one in found])
        flight_axes.fill_between(flight, *ends.T, color=colour, alpha=0.5, lw=0, label=name)
    flight_axes.set(xlabel="samples in flight, each on its own cores", ylabel="energy of a sample / mJ")
    flight_axes.set(xscale="log", yscale="log", xticks=flight, xticklabels=flight)
    flight_axes.minorticks_off()
    flight_axes.legend(frameon=False)
    for axes in (steps_axes, cores_axes, flight_axes):
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(
        f"{NETWORK}: brackets within the published figures of Loihi 2; nothing has run on a chip", fontsize=9
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, metadata={"Date": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else OUT)
