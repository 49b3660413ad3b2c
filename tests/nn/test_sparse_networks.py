"""Networks with listed synapses: in torch, in training, and on the way to the compiler and back."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from qif2hw.errors import InputError
from qif2hw.experiments import tasks
from qif2hw.ir import Dense, Network, Projection, Sparse
from qif2hw.ir.weight_grid import nearest_unit, round_to_grid
from qif2hw.neuron import QIF
from qif2hw.nn import PUBLISHED, QIFLayer, QIFNetwork, Regime, jets, random_synapses
from qif2hw.train import Task, train
from qif2hw.train.optim.adam import FlatAdam
from qif2hw.train.optim.soap import Soap

F64 = torch.float64


def inputs(batch: int, width: int = 2) -> Tensor:
    return torch.rand((batch, width), generator=torch.Generator().manual_seed(0), dtype=F64)


def mixed(
    sizes: tuple[int, ...], listed: tuple[int, ...], *, seed: int = 0, density: float = 0.4, **options: Any
) -> QIFNetwork:
    """A network whose layers ``listed`` have synapses of this density."""
    generator = torch.Generator().manual_seed(seed)
    synapses = [
        random_synapses(pre, post, density, generator=generator) if k in listed else None
        for k, (pre, post) in enumerate(itertools.pairwise(sizes))
    ]
    return QIFNetwork(sizes, synapses=synapses, seed=seed, **options)


def dense_twin(network: QIFNetwork) -> QIFNetwork:
    twin = QIFNetwork(network.sizes, regime=network.regime)
    with torch.no_grad():
        for ours, other in zip(network.layers, twin.layers, strict=True):
            other.weight.copy_(ours.dense_weight())
            other.phi0.copy_(ours.phi0)
    return twin


@pytest.mark.parametrize("listed", [(1,), (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("bits", [None, 4])
def test_a_network_is_its_dense_twin(listed: tuple[int, ...], bits: int | None) -> None:
    network, x = mixed((2, 9, 8, 2), listed), inputs(5)
    twin = dense_twin(network)
    network.weight_bits = twin.weight_bits = bits
    assert torch.allclose(network(x), twin(x), rtol=0, atol=1e-12)
    network(x).sum().backward()
    twin(x).sum().backward()
    for ours, other in zip(network.layers, twin.layers, strict=True):
        post, pre, _ = ours.synapses.edges()
        assert torch.allclose(ours.weight.grad, other.weight.grad[post, pre].view_as(ours.weight), rtol=0, atol=1e-12)
        assert torch.allclose(ours.phi0.grad, other.phi0.grad, rtol=0, atol=1e-12)
    for name in ("value", "gradient", "second"):
        assert torch.allclose(getattr(jets(network, x), name), getattr(jets(twin, x), name), rtol=0, atol=1e-10)


@pytest.mark.parametrize("listed", [(), (0,), (1,), (0, 1, 2)])
@pytest.mark.parametrize("encode", [(0.05, 1.95), ((0.1, 0.9), (0.1, 0.9), (1.0, 1.7))])
def test_synapses_survive_the_way_to_the_compiler_and_back(listed: tuple[int, ...], encode: Any) -> None:
    network = mixed((3, 9, 8, 2), listed, regime=Regime(encode=encode))
    saved = network.to_network()
    kinds = {p.post: type(p.synapses) for p in saved.projections}
    names = ("hidden1", "hidden2", "output")
    assert kinds == {name: Sparse if k in listed else Dense for k, name in enumerate(names)}
    again = QIFNetwork.from_network(saved)
    assert again.to_network() == saved
    assert torch.equal(network(inputs(5, 3)), again(inputs(5, 3)))
    full = [replace(p, weight=p.synapses.dense(p.weight), synapses=None) for p in saved.projections]
    assert replace(saved, projections=tuple(full)) == dense_twin(network).to_network()


def test_sources_with_different_synapses_are_joined() -> None:
    network = mixed((3, 6, 2), (), regime=Regime(encode=((0.1, 0.9), (1.0, 1.7), (1.0, 1.7)))).to_network()
    first, second, last = network.projections
    synapses, data = Sparse.of(np.where(second.weight > 0, second.weight, 0.0))
    thin = replace(network, projections=(first, Projection(second.pre, second.post, data, synapses), last))
    full = replace(network, projections=(first, replace(second, weight=synapses.dense(data)), last))
    made = QIFNetwork.from_network(thin)
    assert made.layers[0].synapses.count == 6 + synapses.count
    assert torch.allclose(made(inputs(7, 3)), QIFNetwork.from_network(full)(inputs(7, 3)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_centred_weights(seed: int) -> None:
    """At the trial's end inputs of pseudo-phase 1/2 shear every neuron to pi / 2."""
    network = mixed((3, 20, 30, 2), (1,), regime=PUBLISHED, seed=seed)
    layer, neuron = network.layers[1], QIF()
    total = torch.from_numpy(layer.synapses.sums(layer.weight.detach().numpy()))
    theta = neuron.omega * (layer.phi0 + 2.0)
    assert torch.allclose(theta.cos() - total / (2 * neuron.r) * theta.sin(), torch.zeros(30, dtype=F64), atol=1e-12)


def thin_parabola(task: Task, seed: int) -> QIFNetwork:
    return mixed(task.sizes, (1, 2), seed=seed, density=0.5)


SMALL = replace(tasks.get("parabola"), sizes=(1, 12, 10, 2), make=thin_parabola)
SMALL = replace(
    SMALL, settings=replace(SMALL.settings, steps=100, freeze_steps=60, qat_steps=40, settle_steps=20, batch=32)
)


@pytest.mark.parametrize("optimizer", ["adam", "soap"])
def test_training_keeps_the_synapses(optimizer: str) -> None:
    task = replace(SMALL, settings=replace(SMALL.settings, optimizer=optimizer))
    untrained, test_set = thin_parabola(task, 0), task.test_set()
    before = task.errors(untrained(torch.from_numpy(test_set.x)).detach().numpy(), test_set.y)["y"]
    trained = train(task)
    assert trained.errors["y"].mae < 0.3 * before.mae
    assert [p.synapses for p in trained.network.projections] == [layer.synapses for layer in untrained.layers]


@pytest.mark.parametrize("bits", [3, 8])
def test_training_onto_the_grid(bits: int) -> None:
    network: Network = train(SMALL, weight_bits=bits).network
    for projection in network.projections:
        unit = nearest_unit(projection.weight, bits)
        exact = round_to_grid(projection.weight, unit, bits) * unit
        np.testing.assert_allclose(exact, projection.weight, rtol=1e-12)
    assert isinstance(network.projections[1].synapses, Sparse)


@pytest.mark.slow
def test_a_thousand_by_a_thousand_neurons_with_one_synapse_in_a_hundred() -> None:
    network = mixed((1, 1000, 1000, 2), (1,), density=0.01)
    layer = network.layers[1]
    x = inputs(16, 1)
    for optimizer in (FlatAdam(network.parameter_groups()), Soap([[layer.weight], [layer.phi0]])):
        optimizer.zero_grad()
        loss = network.run(x).y.square().mean()
        loss.backward()
        assert layer.weight.grad is not None
        assert layer.weight.grad.shape == (10_000,)
        assert layer.weight.grad.count_nonzero() > 5_000
        optimizer.step((1e-4, 1e-4), 1.0)
        assert float(network.run(x).y.square().mean().detach()) < float(loss.detach())
    assert network.to_network().projections[1].weight.size == 10_000


STATES = {
    "trial": {"regime": Regime(trial=7.0)},
    "tau": {"neuron": QIF(tau=2.0)},
    "I0": {"neuron": QIF(i0=2.0)},
    "encodes": {"regime": Regime(encode=(0.1, 1.95))},
}


@pytest.mark.parametrize("what", STATES)
def test_a_state_of_another_network_is_refused(what: str) -> None:
    network = QIFNetwork((2, 4, 2))
    assert "matched" in str(network.load_state_dict(QIFNetwork((2, 4, 2), seed=1).state_dict()))
    with pytest.raises(InputError, match=what):
        network.load_state_dict(QIFNetwork((2, 4, 2), **STATES[what]).state_dict())


def test_a_state_with_other_synapses_is_refused() -> None:
    one, other = (QIFLayer(synapses=Sparse([0, 1, 2], columns, 3), trial=6.5) for columns in ([0, 1], [0, 2]))
    one.load_state_dict(QIFLayer(synapses=one.synapses, trial=6.5).state_dict())
    with pytest.raises(InputError, match="synapses"):
        one.load_state_dict(other.state_dict())
