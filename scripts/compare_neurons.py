"""What sets the neurons in time steps apart, as docs/stepped.md prints it: other time steps, bounds, rebound.

    python scripts/compare_neurons.py FOLDER

FOLDER holds the networks that ``qif2hw reproduce digits --out FOLDER`` has trained, in ``results/models`` or directly.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from qif2hw.data import digits
from qif2hw.discrete import SteppedLIF, SteppedQIF, apply
from qif2hw.ir import onnx_io
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.stepped import SteppedNetwork
from qif2hw.ir.time_steps import coarser, finer
from qif2hw.reference import stepped as reference

METHODS = {"LIF": "lif", "Euler": "dqif-euler", "exact": "dqif-exact"}
STEPS: dict[str, Callable[[SteppedNetwork], SteppedNetwork]] = {
    "twice as long": lambda network: coarser(network, 2),
    "as trained": lambda network: network,
    "half": lambda network: finer(network, 2),
    "a quarter": lambda network: finer(network, 4),
}
KICKS = (-3.0, -10.0, -1e6)
NEURONS: dict[str, SteppedLIF | SteppedQIF] = {
    "LIF": SteppedLIF(),
    "Euler": SteppedQIF(kind="euler"),
    "exact": SteppedQIF(),
}


def accuracies(networks: dict[str, list[SteppedNetwork]]) -> None:
    """Accuracy on the test images with other time steps, mean and range over the seeds."""
    test = digits().test
    print(f"| time step | {' | '.join(METHODS)} |\n|---|{'---:|' * len(METHODS)}")
    for words, change in STEPS.items():
        cells = []
        for found in networks.values():
            right = [
                100 * float(np.mean(reference.run(change(n), test.x, keep="counts").label == test.label)) for n in found
            ]
            cells.append(f"{np.mean(right):.2f} ({min(right):.2f} to {max(right):.2f})")
        print(f"| {words} | {' | '.join(cells)} |")


def after_inhibition() -> None:
    """Potential one step after one inhibition that brought the neuron to a value."""
    print(f"\n| potential | {' | '.join(NEURONS)} |\n|---|{'---:|' * len(NEURONS)}")
    for kick in KICKS:
        cells = []
        for neuron in NEURONS.values():
            after = float(apply(neuron, np.array([kick]))[0])
            cells.append(f"{after:.4g}{', a spike' if after >= neuron.threshold else ''}")
        print(f"| {kick:g} | {' | '.join(cells)} |")


def rebounds(networks: list[SteppedNetwork]) -> None:
    """How often neurons of trained networks lie where Euler's map falls, and spike from there."""
    below = total = fired = rebound = 0
    for network in networks:
        for neuron, before, potential in potentials(network, digits().test.x.astype(float)):
            least = (neuron.u1 + neuron.u2) / 2 - 1 / (2 * neuron.a)
            low, spikes = before < least, potential >= neuron.threshold
            below, total = below + int(low.sum()), total + low.size
            fired, rebound = fired + int(spikes.sum()), rebound + int((spikes & low).sum())
    print(f"\nEuler: {100 * below / total:.2f} % of potentials lie below u_min; {100 * rebound / fired:.2f} % of the")
    print("spikes come from there.")


def potentials(network: SteppedNetwork, x: FloatArray) -> "list[tuple[SteppedQIF, FloatArray, FloatArray]]":
    """Potentials before a step and before its reset, (samples, steps, neurons), of each population of QIF neurons."""
    sent: dict[str, FloatArray] = {name: s.astype(float) for name, s in reference.run(network, x).spikes.items()}
    inputs = network.check_inputs(x)
    sent |= {e.name: inputs[:, :, network.columns[e.name]] for e in network.encoders}
    found = []
    for population in network.order:
        neuron = population.neuron
        if not isinstance(neuron, SteppedQIF):
            continue
        total = sum(p.synapses.apply(p.weight, sent[p.pre]) for p in network.incoming(population.name))
        current = np.broadcast_to(total + population.current, (len(x), network.clock.count, population.size))
        u = np.full((len(x), population.size), neuron.reset)
        before, after = np.empty_like(current), np.empty_like(current)
        for step in range(network.clock.count):
            before[:, step] = u
            after[:, step] = apply(neuron, u) + neuron.gain * current[:, step]
            u = np.where(after[:, step] >= neuron.threshold, neuron.reset, after[:, step])
        found.append((neuron, before, after))
    return found


def main(folder: Path) -> None:
    """Print the tables."""
    networks: dict[str, list[SteppedNetwork]] = {}
    for title, method in METHODS.items():
        paths = sorted(folder.glob(f"**/digits-{method}-seed*-float.onnx"))
        loaded = [onnx_io.load_any(path) for path in paths]
        networks[title] = [network for network in loaded if isinstance(network, SteppedNetwork)]
        if not networks[title]:
            sys.exit(f"{folder}: no networks digits-{method}-seed*-float.onnx: qif2hw reproduce digits --out {folder}")
    accuracies(networks)
    after_inhibition()
    rebounds(networks["Euler"])


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
