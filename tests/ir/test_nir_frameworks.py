"""NIR files that snnTorch and norse write themselves: the spikes are those of their own forward pass."""

import warnings
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from qif2hw.discrete import SteppedLIF, SteppedSynaptic
from qif2hw.ir.nir import import_network
from qif2hw.ir.stepped import SteppedNetwork
from qif2hw.reference import stepped

with warnings.catch_warnings():
    # Both look for packages that they can do without.
    warnings.simplefilter("ignore")
    import norse.torch
    import snntorch
    from norse.torch.utils.export_nir import to_nir
    from snntorch.export_nir import export_to_nir

STEPS = 25
DT_SNNTORCH = 1e-4
"""Of its files: fixed in its exporter."""
DT_NORSE = 1e-6
"""norse writes tau times its dt, 1e-3, in place of tau; the step is shortened alike."""

pytestmark = pytest.mark.filterwarnings("ignore:nirtorch.extract_nir_graph:DeprecationWarning")


def imported(graph: Any, path: Path, dt: float) -> SteppedNetwork:
    # Numbers of shape () cannot be compressed.
    nir.write(path, graph, compression=None)
    network = import_network(path, time_steps=STEPS, dt=dt)
    assert isinstance(network, SteppedNetwork)
    return network


def own_spikes(layers: list[Any], x: NDArray[np.float32]) -> dict[int, NDArray[np.bool_]]:
    """What the layers of snnTorch that spike send, by their place."""
    found: dict[int, list[Any]] = {}
    with torch.no_grad():
        for step in range(STEPS):
            value = torch.from_numpy(x[:, step])
            for k, layer in enumerate(layers):
                value = layer(value)
                value = value[0] if isinstance(value, tuple) else value
                if isinstance(layer, snntorch.SpikingNeuron):
                    found.setdefault(k, []).append(value.flatten(1).numpy() > 0)
    return {k: np.stack(spikes, axis=1) for k, spikes in found.items()}


def leaky(shape: tuple[int, ...], beta: float, mechanism: str = "zero") -> Any:
    threshold = torch.full(shape, 1.0)
    return snntorch.Leaky(torch.full(shape, beta), threshold=threshold, init_hidden=True, reset_mechanism=mechanism)


def synaptic(size: int) -> Any:
    return snntorch.Synaptic(
        torch.full((size,), 0.7), torch.full((size,), 0.8), threshold=torch.full((size,), 1.0), init_hidden=True,
        reset_mechanism="zero", reset_delay=False,
    )  # fmt: skip


def test_a_convolutional_network_of_snntorch(tmp_path: Path) -> None:
    """Conv2d without bias, Leaky, AvgPool2d, Flatten, Linear, Synaptic."""
    torch.manual_seed(0)
    layers = [
        torch.nn.Conv2d(1, 3, 3, padding=1, bias=False), leaky((3, 8, 8), 0.8), torch.nn.AvgPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(48, 6), synaptic(6),
    ]  # fmt: skip
    model = torch.nn.Sequential(*layers)
    graph = export_to_nir(model, torch.zeros(1, 1, 8, 8), ignore_dims=[0])
    network = imported(graph, tmp_path / "a.nir", DT_SNNTORCH)
    assert [type(p.neuron) for p in network.populations[:2]] == [SteppedLIF, SteppedSynaptic]
    x = np.random.default_rng(0).uniform(0, 2, (4, STEPS, 1, 8, 8)).astype(np.float32)
    wanted = own_spikes(layers, x)
    found = stepped.run(network, x).spikes
    for k, spikes in wanted.items():
        assert 0.01 < spikes.mean() < 0.99
        np.testing.assert_array_equal(found[str(k)], spikes)


@pytest.mark.parametrize("mechanism", ["zero", "subtract"])
def test_what_a_file_of_snntorch_does_not_say(mechanism: str, tmp_path: Path) -> None:
    """It says that neurons are reset to zero; by subtraction, snnTorch's default, they spike more."""
    torch.manual_seed(1)
    layers = [torch.nn.Linear(5, 8), leaky((8,), 0.9, mechanism)]
    model = torch.nn.Sequential(*layers)
    network = imported(export_to_nir(model, torch.zeros(1, 5), ignore_dims=[0]), tmp_path / "a.nir", DT_SNNTORCH)
    x = np.random.default_rng(0).uniform(0, 4, (6, STEPS, 5)).astype(np.float32)
    wanted, found = own_spikes(layers, x)[1], stepped.run(network, x).spikes["1"]
    assert 0.05 < wanted.mean() < 0.95
    if mechanism == "zero":
        np.testing.assert_array_equal(found, wanted)
    else:
        assert wanted.sum() > 1.05 * found.sum()


@pytest.mark.parametrize("cell", ["LIFBoxCell", "IAFCell"])
def test_a_network_of_norse(cell: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    kind = getattr(norse.torch, cell)
    model = norse.torch.SequentialState(torch.nn.Linear(4, 6), kind(), torch.nn.Linear(6, 3), kind())
    dt = DT_NORSE if cell == "LIFBoxCell" else 1.0
    size = 20 if cell == "LIFBoxCell" else 2
    with torch.no_grad():
        model[2].weight.mul_(30 if cell == "LIFBoxCell" else 1)
    network = imported(to_nir(model, torch.zeros(1, 4)), tmp_path / "b.nir", dt)
    x = np.random.default_rng(0).uniform(-1, 1, (5, STEPS, 4)).astype(np.float32) * size
    spikes: list[Any] = []
    state: Any = None
    with torch.no_grad():
        for step in range(STEPS):
            value, state = model(torch.from_numpy(x[:, step]), state)
            spikes.append(value.numpy() > 0)
    wanted = np.stack(spikes, axis=1)
    assert 0.01 < wanted.mean() < 0.9
    np.testing.assert_array_equal(stepped.run(network, x).spikes["3"], wanted)


def test_what_a_file_of_norse_does_not_say(tmp_path: Path) -> None:
    """LIFCell becomes a CubaLIF, but its current jumps by the whole input, without dt / tau_syn."""
    torch.manual_seed(0)
    model = norse.torch.SequentialState(torch.nn.Linear(4, 6), norse.torch.LIFCell())
    graph = to_nir(model, torch.zeros(1, 4))
    (node,) = (n for n in graph.nodes.values() if isinstance(n, nir.CubaLIF))
    # Where the file says so the dynamics are the same.
    node.w_in = np.array(float(node.tau_syn) / DT_NORSE)
    network = imported(graph, tmp_path / "a.nir", DT_NORSE)
    x = np.random.default_rng(0).uniform(-1, 3, (5, STEPS, 4)).astype(np.float32) * 4
    spikes: list[Any] = []
    state: Any = None
    with torch.no_grad():
        for step in range(STEPS):
            value, state = model(torch.from_numpy(x[:, step]), state)
            spikes.append(value.numpy() > 0)
    wanted = np.stack(spikes, axis=1)
    assert 0.01 < wanted.mean() < 0.9
    np.testing.assert_array_equal(stepped.run(network, x).spikes["1"], wanted)
