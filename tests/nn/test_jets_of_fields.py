"""Derivatives of networks behind receptive fields by what the fields encode."""

import math
from collections.abc import Callable

import mpmath
import pytest
import torch
from nn.test_jets import REGIMES, agree, close, inputs
from torch import Tensor

import qif2hw
from qif2hw.ir.host_part.receptive_fields import ReceptiveFields
from qif2hw.nn import DeepONet, HostedNetwork, QIFNetwork, Regime, jets

F64 = torch.float64
FIELDS = ReceptiveFields(5, 0.9)


@pytest.mark.parametrize("regime", REGIMES)
def test_nested_autograd_of_the_eager_twin(regime: str) -> None:
    """Values, first and second derivatives, and the gradients of a loss on all of them, by parameters and inputs."""
    network = QIFNetwork((10, 9, 7, 4), regime=REGIMES[regime], scale=1.5, offset=0.3, seed=3, fields=FIELDS)
    agree(network, inputs(4))


def test_central_differences_of_the_network_itself() -> None:
    network, x, h = QIFNetwork((10, 8, 6, 2), seed=5, fields=FIELDS), inputs(30), 1e-4
    found = jets(network, x, second="all")

    def at(*steps: float) -> Tensor:
        return network(x + torch.tensor(steps, dtype=F64)).detach()

    first = [(at(h, 0) - at(-h, 0)) / (2 * h), (at(0, h) - at(0, -h)) / (2 * h)]
    second = [
        (at(h, 0) - 2 * at(0, 0) + at(-h, 0)) / h**2,
        (at(h, h) - at(h, -h) - at(-h, h) + at(-h, -h)) / (4 * h**2),
        (at(0, h) - 2 * at(0, 0) + at(0, -h)) / h**2,
    ]
    for mine, differences in ((found.gradient, first), (found.second, second)):
        for k, other in enumerate(differences):
            away = (mine[..., k].detach() - other).abs() / other.abs().max()
            # A few samples lie where two spikes swap within the step.
            assert float(away.quantile(0.8)) < 1e-4, k


def mpmath_spike(network: QIFNetwork, which: int) -> Callable[[mpmath.mpf], mpmath.mpf]:
    """The first spike of a neuron of the only layer as a function of the one input, from the potential's tangent."""
    neuron, layer = network.neuron, network.last
    r = mpmath.sqrt(mpmath.mpf(neuron.i0) - mpmath.mpf("0.25"))
    earliest, latest = (mpmath.mpf(v) for v in network.regime.windows(1)[0])
    weights = [mpmath.mpf(float(w)) for w in layer.weight[which]]
    centres = [mpmath.mpf(k) / (FIELDS.count - 1) for k in range(FIELDS.count)]
    width = mpmath.mpf(FIELDS.overlap) / (FIELDS.count - 1)

    def spike(u: mpmath.mpf) -> mpmath.mpf:
        times = [latest - (latest - earliest) * mpmath.exp(-(((u - c) / width) ** 2) / 2) for c in centres]
        bend, now = -mpmath.pi / 2 + r * mpmath.mpf(float(layer.phi0[which])) / neuron.tau, mpmath.mpf(0)
        for time, weight in sorted(zip(times, weights, strict=True)):
            bend = mpmath.atan(mpmath.tan(bend + r * (time - now) / neuron.tau) + weight / r)
            now = time
        return now + (mpmath.pi / 2 - bend) * neuron.tau / r

    return spike


@pytest.mark.parametrize("u", [0.07, 0.55, 0.93])
def test_a_neuron_in_fifty_digits(u: float) -> None:
    network = QIFNetwork((5, 2), regime=Regime(output_phases=(1.0, 0.5)), seed=2, fields=FIELDS)
    found = jets(network, torch.tensor([[u]], dtype=F64), second=[(0, 0)])
    assert float(found.first.max()) < network.regime.trial
    with mpmath.workdps(50):
        first, second = mpmath_spike(network, 0), mpmath_spike(network, 1)
        for order, value in enumerate((found.value, found.gradient, found.second)):
            wanted = mpmath.diff(lambda v: second(v) - first(v), mpmath.mpf(u), order)
            assert math.isclose(float(value), float(wanted), rel_tol=1e-10)


def test_windows_of_each_input_are_those_of_its_fields() -> None:
    regime = Regime(encode=((0.05, 0.95), (1.0, 1.95)))
    network = QIFNetwork((10, 6, 2), regime=regime, seed=1, fields=FIELDS)
    agree(network, inputs(3))
    again = QIFNetwork.from_network(network.to_network())
    assert again.regime.windows(2) == list(regime.encode)
    assert torch.equal(again(inputs(3)), network(inputs(3)))


@pytest.mark.parametrize("both", [False, True])
def test_an_operator_with_fields_reaches_the_engine(both: bool) -> None:
    """Fields on the coordinate, or on the function's values too: the same results from torch, reference and engine."""
    model = DeepONet(
        (15 if both else 3, 8, 4), (5, 8, 4), seed=1, trunk_fields=FIELDS, branch_fields=FIELDS if both else None
    )
    x = inputs(20, 4, seed=7)
    network = model.to_network()
    assert (network.width, network.inputs) == (4, 20 if both else 8)
    assert network.host is not None
    hosted = HostedNetwork(model, network.host)
    bundle = qif2hw.compile(network, steps=1024)
    reference = bundle.run(x.numpy(), "reference").y
    assert close(torch.from_numpy(reference), model(x).detach(), 1e-11)
    assert close(torch.from_numpy(reference), hosted(x).detach(), 1e-11)
    assert abs(bundle.run(x.numpy()).y - reference).max() < 0.2
