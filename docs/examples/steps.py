"""Estimate, then choose the number of machine steps: the fewest whose error is within a bound."""

import numpy as np

import qif2hw
from qif2hw import zoo
from qif2hw.api import estimate

BOUND = 0.005


def main(name="ricker", choices=(64, 128, 256, 512)):
    """The chosen number, and for each: error against the float network, and latency within the published figures."""
    network = zoo.network(name)
    x = network.unscaled(np.random.default_rng(0).random((300, network.width)))
    wanted = qif2hw.run(network, x).y
    found = {}
    for steps in choices:
        bundle = qif2hw.compile(network, steps=steps)
        error = np.linalg.norm(bundle.run(x).y - wanted) / np.linalg.norm(wanted)
        low, high = estimate(bundle).bracket.latency_s
        found[steps] = error, (1e3 * low, 1e3 * high)
    return min(steps for steps, (error, _) in found.items() if error < BOUND), found


if __name__ == "__main__":
    chosen, found = main()
    for steps, (error, (low, high)) in found.items():
        print(f"{steps} steps: error {error:.2%}, {low:.2f} to {high:.2f} ms a sample{' <-' * (steps == chosen)}")
