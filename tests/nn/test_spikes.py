"""Inputs as spike times and layers side by side: values, gradients, and what `qif2hw.save` makes of them."""

import numpy as np
import pytest
import torch
from torch import Tensor, fx, nn

import qif2hw
from qif2hw import neuron
from qif2hw.errors import InputError
from qif2hw.nn import QIFLayer, encode, network_of, random_synapses, side_by_side

F64 = torch.float64


class Branched(nn.Module):
    """Two branches; the neurons of one spike more often."""

    def __init__(self) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(2)
        self.left = QIFLayer(2, 6, trial=6.5, generator=g, phases=(4.5, 5.9))
        self.right = QIFLayer(trial=6.5, generator=g, synapses=random_synapses(2, 4, 1.0), phases=(3.0, 3.1))
        self.out = QIFLayer(10, 2, trial=6.5, generator=g, phases=(0.5, 1.5))

    def forward(self, x: Tensor) -> Tensor:
        times = encode(x / torch.tensor([2.0, 4.0], dtype=F64), 0.1, 1.5)
        both = side_by_side(self.left(times), self.right(times))
        first = self.out(both.times, both.psi).first()
        return 0.5 + 2 * (first[:, 1::2] - first[:, 0::2])


def test_branches_that_differ_in_their_spikes_are_trained_saved_and_compiled() -> None:
    module, x = Branched(), torch.rand((40, 2), dtype=F64) * torch.tensor([2.0, 4.0], dtype=F64)
    with torch.no_grad():
        # A neuron that spikes three times.
        module.left.weight[0].fill_(30.0)
        module.left.phi0[0].fill_(5.95)
    times = encode(x / torch.tensor([2.0, 4.0], dtype=F64), 0.1, 1.5)
    left, right = module.left(times), module.right(times)
    assert left.times.shape[2] > right.times.shape[2]
    both = side_by_side(left, right)
    assert torch.equal(both.number, torch.cat([left.number, right.number], 1))
    assert torch.equal(both.first(), torch.cat([left.first(), right.first()], 1))
    module(x).square().mean().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in module.parameters())

    network = network_of(module, (2,))
    assert network.host is not None
    assert [(one.low, one.high) for one in network.host.inputs] == [(0.0, 2.0), (0.0, 4.0)]
    assert {(e.earliest, e.latest) for e in network.encoders} == {(0.1, 1.5)}
    np.testing.assert_allclose(qif2hw.run(network, x).y, module(x).detach().numpy(), rtol=0, atol=1e-9)
    bundle = qif2hw.compile(network_of(Branched(), (2,)), steps=256)
    assert np.abs(bundle.run(x).y - Branched()(x).detach().numpy()).max() < 0.05


def test_times_are_those_of_the_neurons_latency() -> None:
    x = torch.rand((5, 3), dtype=F64)
    assert torch.equal(encode(x), neuron.latency(x, 0.05, 1.95)[:, :, None])
    assert torch.equal(encode(x, earliest=0.2, latest=1.0)[:, :, 0], neuron.latency(x, 0.2, 1.0))


def test_wrong_arguments() -> None:
    with pytest.raises(InputError, match="one layer or more"):
        side_by_side()

    class Falls(Branched):
        def forward(self, x: Tensor) -> Tensor:
            first = self.left(encode(1 - x)).first()
            return first[:, 1::2] - first[:, 0::2]

    class Learned(Branched):
        def forward(self, x: Tensor) -> Tensor:
            first = self.left(encode(x, self.left.phi0, 2.0)).first()
            return first[:, 1::2] - first[:, 0::2]

    class Numbers(Branched):
        def forward(self, x: Tensor) -> Tensor:
            return side_by_side(x, x).times

    class Joined(Branched):
        def forward(self, x: Tensor) -> Tensor:
            first = side_by_side(self.left(encode(x)), self.right(encode(x))).first()
            return first[:, 1::2] - first[:, 0::2]

    for module, said in (
        (Falls, "let the scaling rise"),
        (Learned, "two numbers for the spike times"),
        (Numbers, "is given what layers return"),
        (Joined, "first of a layer is not supported"),
    ):
        with pytest.raises(InputError, match=said):
            network_of(module(), (2,))


def test_tracers_see_one_node() -> None:
    graph = fx.symbolic_trace(lambda x: encode(x)).graph
    assert [node.target for node in graph.nodes if node.op == "call_function"] == [encode]
