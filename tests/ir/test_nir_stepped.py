"""Networks in time steps to NIR: read back they spike as before, and other frameworks give the same spikes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import snntorch
import torch
from networks import stepped_images
from numpy.typing import NDArray
from snntorch.import_nir import import_from_nir

from qif2hw.discrete import SteppedLIF, SteppedSynaptic
from qif2hw.errors import InputError
from qif2hw.ir import Conv2d
from qif2hw.ir import nir as ours
from qif2hw.ir.stepped import SteppedNetwork
from qif2hw.reference import stepped

NEURONS = {
    "leaky": SteppedLIF(0.8, 0.1, 1.0, -0.2, 0.7),
    "without a leak": SteppedLIF(1.0, 0.0, 1.5, 0.25, 0.5),
    "current": SteppedSynaptic(0.6, 0.8, 0.1, 1.0, -0.2, 0.7),
    "current of one step": SteppedSynaptic(0.0, 0.75, 0.0, 1.0, 0.0, 0.5),
}
Array = NDArray[np.float64]


def network_of(neuron: Any) -> SteppedNetwork:
    """Convolutions with a shortcut, a bias by channel and one by neuron, delays."""
    network = stepped_images(neuron, steps=6)
    late = np.random.default_rng(2).integers(0, 3, network.projections[3].synapses.shape[1])
    return replace(network, projections=(*network.projections[:3], replace(network.projections[3], delay=late)))


@pytest.mark.parametrize("name", NEURONS)
def test_they_spike_as_before(name: str, tmp_path: Path) -> None:
    network = network_of(NEURONS[name])
    found = ours.import_network(ours.save(network, tmp_path / "a.nir"))
    assert isinstance(found, SteppedNetwork)
    assert found.clock == network.clock
    assert isinstance(found.projections[0].synapses, Conv2d)
    x = np.random.default_rng(1).uniform(-1, 1, (20, 6, 2, 8, 8))
    wanted, run = stepped.run(network, x), stepped.run(found, x)
    for population in ("first", "second"):
        assert 0.02 < wanted.spikes[population].mean() < 0.98
        np.testing.assert_array_equal(run.spikes[population], wanted.spikes[population])
    np.testing.assert_allclose(run.y, wanted.y, rtol=0, atol=1e-9)


def test_a_potential_that_is_read_out(tmp_path: Path) -> None:
    network = network_of(NEURONS["leaky"])
    scores = replace(network.population("scores"), neuron=SteppedSynaptic(0.5, 0.9, 0.1, np.inf))
    outputs = (replace(network.outputs[0], scale=1.0),)
    network = replace(network, populations=(*network.populations[:2], scores), outputs=outputs)
    found = ours.import_network(ours.save(network, tmp_path / "a.nir"))
    x = np.random.default_rng(1).uniform(-1, 1, (20, 2, 8, 8))
    np.testing.assert_allclose(stepped.run(found, x).y, stepped.run(network, x).y, rtol=0, atol=1e-9)


def test_snntorch_gives_the_same_spikes() -> None:
    network = stepped_images(SteppedLIF(0.8), steps=6)
    # What snnTorch's import takes: a chain, and one bias for each channel.
    second = replace(network.populations[1], bias=network.populations[1].bias[:, 0, 0])
    network = replace(
        network, populations=(network.populations[0], second, network.populations[2]),
        projections=(network.projections[0], network.projections[1], network.projections[3]),
    )  # fmt: skip
    graph = ours.to_graph(network)
    kept = {
        name: node for name, node in graph.nodes.items() if name not in ("scores", "output_scores", "flatten_second")
    }
    kept = {name: node for name, node in kept.items() if name != "second_scores"} | {
        "out": nir.Output(np.array((6, 4, 4)))
    }
    edges = [(a, b) for a, b in graph.edges if a in kept and b in kept] + [("second", "out")]
    model = import_from_nir(nir.NIRGraph(kept, edges, type_check=False))
    for module in model.modules():
        if isinstance(module, snntorch.Leaky):
            module.reset_mechanism = "zero"
    x = np.random.default_rng(1).uniform(-1, 1, (1, 6, 2, 8, 8))
    state: Any = None
    sent = []
    for t in range(6):
        value, state = model(torch.from_numpy(x[:, t]).float(), state)
        sent.append(value.detach().numpy().reshape(1, -1) > 0)
    wanted = stepped.run(network, x).spikes["second"]
    assert 0.02 < wanted.mean() < 0.98
    np.testing.assert_array_equal(np.stack(sent, axis=1), wanted)


def test_what_nir_has_no_place_for() -> None:
    network = network_of(NEURONS["leaky"])
    first, second, scores = network.populations
    two = (*network.outputs, *network.outputs)
    silent = replace(scores, neuron=SteppedSynaptic(0.5, 0.9, 0.0, np.inf, 0.5))
    cases: list[tuple[str, Any]] = [
        (r"no node for first \(SteppedQIF\), second \(SteppedQIF\)", stepped_images()),
        ("image: NIR has no place for integers with a unit", replace(
            network, encoders=(replace(network.encoders[0], unit=0.5),)
        )),
        ("2 populations are read out", replace(network, outputs=two)),
        ("a current and no leak", network_of(SteppedSynaptic(1.0, 0.5))),
        ("times 0.166667, which NIR", replace(network, populations=(first, second, replace(silent)))),
        ("starts at 0.5", replace(
            network, populations=(first, second, silent), outputs=(replace(network.outputs[0], scale=1.0),)
        )),
    ]  # fmt: skip
    for said, wrong in cases:
        with pytest.raises(InputError, match=said):
            ours.to_graph(wrong)
