"""Event-driven torch modules of users become networks with the module's results."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import qif2hw
from qif2hw.errors import InputError
from qif2hw.ir.host_part.host import Host, Input, Output
from qif2hw.ir.host_part.receptive_fields import ReceptiveFields
from qif2hw.neuron import latency
from qif2hw.nn import (
    LIF,
    DeepONet,
    DiscreteQIF,
    HostedNetwork,
    QIFLayer,
    QIFNetwork,
    Regime,
    network_of,
    random_synapses,
)

F64 = torch.float64


class Chain(nn.Module):
    """Layers by hand: encoder, two layers side by side, one behind both, differences of first spikes."""

    def __init__(self) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(2)
        self.left = QIFLayer(2, 6, trial=6.5, generator=g)
        self.right = QIFLayer(trial=6.5, generator=g, synapses=random_synapses(2, 4, 1.0))
        self.out = QIFLayer(10, 4, trial=6.5, generator=g, phases=(0.5, 1.5))

    def forward(self, x: Tensor) -> Tensor:
        times = latency(x, 0.05, 1.95).unsqueeze(2)
        left, right = self.left(times), self.right(times)
        both = torch.cat([left.times[:, :, :1], right.times[:, :, :1]], dim=1)
        first = self.out(both, torch.cat([left.psi, right.psi], dim=1)).first()
        return 0.5 + 2 * (first[:, 1::2] - first[:, 0::2])


class Straight(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(2)
        self.one, self.two = QIFLayer(2, 6, trial=6.5, generator=g), QIFLayer(6, 4, trial=6.5, generator=g)

    def forward(self, x: Tensor) -> Tensor:
        out = self.one(latency(x, 0.05, 1.95).unsqueeze(2))
        first = self.two(out.times, out.psi).first()
        return 0.5 + 2 * (first[:, 1::2] - first[:, 0::2])


class Around(nn.Module):
    """A solution around a network: inputs scaled, an ansatz, a learned gain."""

    def __init__(self) -> None:
        super().__init__()
        self.network = QIFNetwork((2, 8, 2), seed=1)
        self.gain = nn.Parameter(torch.tensor(1.5, dtype=F64))

    def forward(self, x: Tensor) -> Tensor:
        place, time = x[:, :1], x[:, 1:]
        inside = self.network((x + torch.tensor([1.0, 0.0], dtype=F64)) / torch.tensor([2.0, 4.0], dtype=F64))
        return torch.sin(torch.pi * place) + self.gain * time * (1 - place**2) * inside


class Buffered(Around):
    """The same with constants that the tracer can see."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("low", torch.tensor([-1.0, 0.0], dtype=F64))
        self.register_buffer("span", torch.tensor([2.0, 4.0], dtype=F64))

    def forward(self, x: Tensor) -> Tensor:
        place, time = x[:, :1], x[:, 1:]
        inside = self.network((x - self.low) / self.span)
        return torch.sin(torch.pi * place) + self.gain * time * (1 - place**2) * inside


class Branches(nn.Module):
    """Networks on parts of the inputs, one of them shared; an operator and a hosted network among them."""

    def __init__(self) -> None:
        super().__init__()
        fields = ReceptiveFields(4)
        self.one = QIFNetwork((2, 5, 4), seed=1)
        self.two = QIFNetwork((8, 6, 4), seed=2, fields=fields)
        self.operator = DeepONet((2, 5, 6), (4, 5, 6), seed=3, trunk_fields=fields)
        host = Host((Input("a", -1, 3),), (Output("b"),))
        self.hosted = HostedNetwork(QIFNetwork((1, 4, 2), seed=4), host)
        self.mix = nn.Linear(3, 2, dtype=F64)

    def forward(self, x: Tensor) -> Tensor:
        pair = self.one(x[:, :2]) * self.two(x[:, 2:4]).tanh()
        other = self.operator(torch.cat([x[:, :2], x[:, 3:4]], dim=1))
        return self.mix(torch.cat([pair, other], dim=1)) + self.hosted(4 * x[:, 4:] - 1)


def inputs(width: int, samples: int = 25) -> Tensor:
    return torch.rand((samples, width), generator=torch.Generator().manual_seed(5), dtype=F64)


def same(module: nn.Module, x: Tensor, tmp_path: Path, **options: object) -> qif2hw.Network:
    path = qif2hw.save(module, tmp_path / "m.onnx", **options)  # type: ignore[arg-type]
    network = qif2hw.load_model(path)
    wanted = module(x).detach().numpy()
    np.testing.assert_allclose(qif2hw.run(path, x.numpy()).y, wanted, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(qif2hw.run(network, x.numpy()).y, wanted, rtol=1e-10, atol=1e-10)
    assert isinstance(network, qif2hw.Network)
    return network


@pytest.mark.parametrize(
    "module", [QIFNetwork((2, 5, 4)), DeepONet((1, 4, 4), (1, 3, 4)), nn.Sequential(QIFNetwork((2, 5, 4)), nn.Tanh())]
)
def test_networks_themselves(module: nn.Module, tmp_path: Path) -> None:
    same(module, inputs(2), tmp_path)


def test_a_chain_of_layers(tmp_path: Path) -> None:
    network = same(Straight(), inputs(2), tmp_path, input_shape=(2,))
    assert [p.name for p in network.order] == ["one", "two"]


def test_layers_side_by_side(tmp_path: Path) -> None:
    class Widest(Chain):
        def forward(self, x: Tensor) -> Tensor:
            times = latency(x, 0.05, 1.95).unsqueeze(2)
            left, right = self.left(times), self.right(times)
            both = torch.cat([left.times, right.times], dim=1)
            first = self.out(both, torch.cat([left.psi, right.psi], dim=1)).first()
            return 0.5 + 2 * (first[:, 1::2] - first[:, 0::2])

    module, x = Widest(), inputs(2)
    with torch.no_grad():
        # One spike of each neuron at most, so that both have equally many.
        module.left.phi0.fill_(3.0)
        module.right.phi0.fill_(3.5)
    network = same(module, x, tmp_path, input_shape=(2,))
    assert len(network.encoders) == 1
    assert len(network.projections) == 4


def test_a_solution_around_a_network(tmp_path: Path) -> None:
    module = Buffered()
    x = inputs(2) * torch.tensor([2.0, 4.0]) - torch.tensor([1.0, 0.0])
    network = same(module, x, tmp_path, input_shape=(2,))
    assert network.host is not None
    assert [(one.low, one.high) for one in network.host.inputs] == [(-1.0, 1.0), (0.0, 4.0)]
    bundle = qif2hw.compile(network, steps=512)
    assert np.abs(bundle.run(x.numpy()).y - module(x).detach().numpy()).max() < 0.3


def test_branches_of_everything(tmp_path: Path) -> None:
    module = Branches()

    class Other(Branches):
        def forward(self, x: Tensor) -> Tensor:
            return self.one(x[:, :2]) + self.two(x[:, :2])

    with pytest.raises(InputError, match="'two': column 0 of the inputs is scaled or encoded in another way"):
        network_of(Other(), (2,))
    network = same(module, inputs(5), tmp_path, input_shape=(5,))
    assert network.width == 5
    assert network.inputs == 2 + 4 + 4 + 1


def test_any_optimiser_trains_a_module_and_it_is_saved(tmp_path: Path) -> None:
    for make in (torch.optim.Adam, torch.optim.SGD, torch.optim.RMSprop):
        module, x = Buffered(), inputs(2)
        optimizer, before = make(module.parameters(), lr=1e-3), float((module(x)).square().mean())
        for _ in range(5):
            optimizer.zero_grad()
            module(x).square().mean().backward()
            optimizer.step()
            module.network.keep_inside()
        assert float(module(x).square().mean()) < before
        same(module, x, tmp_path, input_shape=(2,))


def test_stepped_modules_go_through_export(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), DiscreteQIF(time_steps=2, hold=True, a=0.25, u1=0.0, u2=0.5),
                           nn.Linear(3, 2)).double().eval()  # fmt: skip
    path = qif2hw.save(module, tmp_path / "m.onnx", input_shape=(1, 2, 2), time_steps=2)
    run = qif2hw.run(path, np.zeros((3, 1, 2, 2)))
    assert run.y.shape == (3, 2)
    with pytest.raises(InputError, match="give input_shape"):
        qif2hw.save(module, tmp_path / "m.onnx")


class Wrong(nn.Module):
    """Several faults, all of them to be named."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.ModuleDict({"norm": nn.BatchNorm1d(2, dtype=F64), "net": QIFNetwork((2, 4, 2))})
        self.relu, self.other = nn.ReLU(), QIFNetwork((2, 3, 2))

    def forward(self, x: Tensor) -> Tensor:
        a = self.block["net"](self.block["norm"](x))
        return a + self.relu(self.other(x)) + torch.fft.fft(self.other(x)).real


def test_everything_that_cannot_be_exported_is_named_at_once() -> None:
    with pytest.raises(InputError) as refused:
        network_of(Wrong().eval(), (2,))
    text = str(refused.value)
    assert "'block.norm': BatchNorm1d is not supported" in text
    assert "'relu': ReLU is not supported" in text
    assert "'other': it is used twice" in text


def falling(net: QIFNetwork, x: Tensor) -> Tensor:
    return net(1 - x)


def mixed(net: QIFNetwork, x: Tensor) -> Tensor:
    return net(x * x[:, :1])


def unused(net: QIFNetwork, x: Tensor) -> Tensor:
    return net(x[:, :2])


def twice(net: QIFNetwork, x: Tensor) -> Tensor:
    return net(torch.cat([x[:, :1], x[:, :1]], dim=1))


def several(net: QIFNetwork, x: Tensor) -> Tensor:
    return (net(x[:, :2]), x)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (falling, "falls where the module's rises"),
        (mixed, "columns of the module's, each scaled"),
        (unused, "columns 2 of the inputs reach no neuron"),
        (twice, "a column of the inputs twice"),
        (several, "must return one tensor"),
    ],
)
def test_what_inputs_cannot_be(function: object, said: str) -> None:
    class Module(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = QIFNetwork((2, 3, 2))

        def forward(self, x: Tensor) -> Tensor:
            return function(self.net, x)  # type: ignore[operator]

    with pytest.raises(InputError, match=said):
        network_of(Module(), (3,) if function is unused else (2,))


def test_layers_that_cannot_be_exported() -> None:
    class NoPsi(Straight):
        def forward(self, x: Tensor) -> Tensor:
            first = self.two(self.one(latency(x, 0.05, 1.95).unsqueeze(2)).times).first()
            return first[:, 1::2] - first[:, 0::2]

    class Alone(Straight):
        def forward(self, x: Tensor) -> Tensor:
            return self.one(latency(x, 0.05, 1.95).unsqueeze(2)).first()

    class Late(Straight):
        def forward(self, x: Tensor) -> Tensor:
            first = self.one((1 + x).unsqueeze(2)).first()
            return first[:, 1::2] - first[:, 0::2]

    for module, said in (
        (NoPsi, "'two': it must be given the times and psi"),
        (Alone, "must return one tensor"),
        (Late, "fall where inputs rise"),
    ):
        with pytest.raises(InputError, match=said):
            network_of(module(), (2,))


def test_other_modules_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="without neurons"):
        network_of(nn.Linear(2, 2))
    with pytest.raises(InputError, match="one clock"):
        network_of(nn.Sequential(QIFNetwork((2, 3, 2)), LIF(leak=0.5)))
    with pytest.raises(InputError, match="they have none"):
        network_of(QIFNetwork((2, 3, 2)), time_steps=3)
    with pytest.raises(InputError, match="a dict: a network or a torch module is needed"):
        qif2hw.save({}, tmp_path / "m.onnx")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="does not follow from it"):
        network_of(Buffered())


def test_a_network_runs_on_the_reference_alone() -> None:
    net, x = QIFNetwork((2, 3, 2), regime=Regime()), inputs(2).numpy()
    np.testing.assert_allclose(qif2hw.run(net, x).y, net(torch.from_numpy(x)).detach().numpy(), atol=1e-12)
    with pytest.raises(InputError, match="compile the network first"):
        qif2hw.run(net, x, "engine")
    with pytest.raises(InputError, match="unknown backend 'gpu'"):
        qif2hw.run(net, x, "gpu")
    with pytest.raises(InputError, match="no option 'mode'"):
        qif2hw.run(net, x, mode="fused")
    np.testing.assert_array_equal(qif2hw.run(net, x + 1, clip=True).y, qif2hw.run(net, np.ones_like(x)).y)


@pytest.mark.parametrize("kind", ["network", "layer", "neurons"])
def test_tracers_of_torch_are_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    module: nn.Module = {
        "network": lambda: QIFNetwork((2, 3, 2)),
        "layer": Straight,
        "neurons": lambda: nn.Sequential(nn.Linear(2, 3).double(), LIF(leak=0.5, time_steps=1)),
    }[kind]()
    for call in (
        lambda: torch.jit.trace(module, inputs(2)),
        lambda: torch.onnx.export(module, (inputs(2),), str(tmp_path / "m.onnx")),
    ):
        with pytest.raises(InputError, match=r"qif2hw\.save") as refused:
            call()
        assert "\n" not in str(refused.value)
