"""Exported networks give the spikes and outputs of their modules."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from qif2hw.compiler import compile_network
from qif2hw.engine import stepped as engine
from qif2hw.errors import InputError
from qif2hw.ir import Conv2d
from qif2hw.ir.stepped import SteppedNetwork
from qif2hw.nn import LIF, Accumulate, DiscreteQIF, export, models
from qif2hw.nn.tracing import affine
from qif2hw.reference import stepped

T = 4


def qif(hold: bool = False) -> DiscreteQIF:
    return DiscreteQIF(time_steps=T, hold=hold, a=0.25, u1=0.0, u2=0.5)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.norm, self.one, self.two = nn.BatchNorm2d(4), qif(), qif()

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.norm(self.second(self.one(self.first(x)))) + x)


def head(features: int) -> list[nn.Module]:
    return [nn.Flatten(), nn.Linear(features, 10), qif(), nn.Dropout(0.5), nn.Linear(10, 3)]


MODULES: dict[str, Callable[[], nn.Module]] = {
    "plain": lambda: nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), qif(True), nn.AvgPool2d(2), nn.Conv2d(4, 6, 3, padding=1),
        nn.BatchNorm2d(6), LIF(time_steps=T, leak=0.5), nn.AvgPool2d(2), *head(6 * 2 * 2),
    ),
    "pool before norm": lambda: nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.AvgPool2d(2, stride=1), nn.BatchNorm2d(4), qif(True), nn.Identity(),
        nn.AdaptiveAvgPool2d(1), *head(4),
    ),
    "strides, dilation, groups": lambda: nn.Sequential(
        nn.Conv2d(2, 4, (3, 1), stride=(2, 1), padding=(1, 0), groups=2), qif(True),
        nn.Conv2d(4, 4, 2, dilation=2, padding="same"), nn.BatchNorm2d(4, affine=False), qif(),
        nn.Conv2d(4, 4, 3, padding="valid", groups=4), qif(), nn.Flatten(), nn.BatchNorm1d(48), nn.Linear(48, 3),
    ),
    "convolutions in a row": lambda: nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3), qif(True), nn.AvgPool2d(3, 2, 1),
        nn.Conv2d(4, 4, 2, groups=2), nn.Flatten(), nn.BatchNorm1d(16), nn.Linear(16, 3),
    ),
    "padding in a row": lambda: nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), qif(True), *head(4 * 64),
    ),
    "maximum": lambda: nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), qif(True), nn.MaxPool2d(3, 2, padding=1), nn.Conv2d(4, 4, 3), qif(), *head(16)
    ),
    "residual": lambda: nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), qif(True), Residual(), Residual(), nn.AvgPool2d(8), *head(4)
    ),
    "spikes out": lambda: nn.Sequential(nn.Conv2d(2, 4, 8), qif(True), nn.Flatten()),
}  # fmt: skip


def made(name: str) -> nn.Module:
    """Random weights, and running statistics that are not those of a new module."""
    torch.manual_seed(3)
    module = MODULES[name]().double()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.running_mean.normal_(0.0, 0.3)
            part.running_var.uniform_(0.02, 0.2)
            if part.affine:
                nn.init.uniform_(part.weight, 0.5, 1.5)
                nn.init.normal_(part.bias, 0.3, 0.3)
        elif isinstance(part, nn.Conv2d | nn.Linear):
            part.weight.data.mul_(2.5)
    return module.eval()


def outputs(module: nn.Module, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        out = module(torch.from_numpy(x))
    return out.view(T, len(x), -1).mean(dim=0).numpy()


@pytest.mark.parametrize("name", MODULES)
def test_as_the_module(name: str) -> None:
    module = made(name)
    network = export(module, (2, 8, 8), T)
    x = np.random.default_rng(0).normal(0.3, 1, (30, 2, 8, 8))
    run = stepped.run(network, x)
    np.testing.assert_allclose(run.y, outputs(module, x), rtol=0, atol=1e-10)
    for name_, fired in run.spikes.items():
        assert 0.005 < fired.mean() < 0.995, name_


def kinds(network: SteppedNetwork) -> list[str]:
    return [type(p.synapses).__name__ for p in network.projections]


def test_a_large_pooling_before_a_linear_layer_is_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over its synapses where the full array would be too large: the same weights."""
    module = nn.Sequential(qif(True), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(32, 3)).double().eval()
    plain = export(module, (2, 8, 8), T).projections[1].weight
    monkeypatch.setattr(affine, "_LARGEST", 32 * 128 - 1)
    np.testing.assert_allclose(export(module, (2, 8, 8), T).projections[1].weight, plain, rtol=1e-15)


def test_pooling_and_normalisation_are_folded() -> None:
    """No population but those of the neurons, convolutions stay convolutions."""
    network = export(made("plain"), (2, 8, 8), T)
    assert [p.name for p in network.populations] == ["2", "6", "10", "output"]
    assert kinds(network) == ["Conv2d", "Conv2d", "Dense", "Dense"]
    second = network.projections[1].synapses
    assert isinstance(second, Conv2d)
    assert (second.kernel, second.stride, second.padding) == ((6, 6), (2, 2), (2, 2))
    assert kinds(export(made("convolutions in a row"), (2, 8, 8), T))[0] == "Conv2d"
    residual = export(made("residual"), (2, 8, 8), T)
    assert [p.name for p in residual.populations][:5] == ["2", "3.one", "3.two", "4.one", "4.two"]
    assert sorted(p.pre for p in residual.incoming("3.two")) == ["2", "3.one"]


def test_a_layer_used_twice_and_a_value_added_to_itself() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.into, self.again, self.out = nn.Linear(5, 6), nn.Linear(6, 6), nn.Linear(6, 3)
            self.first, self.neurons = qif(True), qif()

        def forward(self, x: Tensor) -> Tensor:
            spikes = self.first(self.into(x))
            twice = self.neurons(self.again(self.neurons(self.again(spikes + spikes))))
            return self.out(torch.add(twice, spikes))

    torch.manual_seed(0)
    module = Twice().double().eval()
    for part in (module.into, module.again):
        part.weight.data.mul_(3)
    network = export(module, (5,), T)
    assert [p.name for p in network.populations] == ["first", "neurons", "neurons#2", "output"]
    x = np.random.default_rng(0).normal(1, 1, (20, 5))
    np.testing.assert_allclose(stepped.run(network, x).y, outputs(module, x), rtol=0, atol=1e-12)


def test_steps_first() -> None:
    """(T, N, ...): linear layers take any number of leading dimensions."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(2), nn.Linear(8, 6), DiscreteQIF(a=0.25), nn.Linear(6, 3)).double().eval()
    network = export(module, (2, 2, 2), T)
    x = np.random.default_rng(0).normal(1, 2, (20, T, 2, 2, 2))
    with torch.no_grad():
        expected = module(torch.from_numpy(x).transpose(0, 1)).mean(dim=0).numpy()
    np.testing.assert_allclose(stepped.run(network, x).y, expected, rtol=0, atol=1e-12)


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Functions(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(torch.sigmoid(x).flatten(2) + 1, 0.5)


REFUSED: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], str]] = {
    "all at once": (
        lambda: nn.Sequential(nn.ReLU(), nn.Conv2d(2, 2, 3, padding_mode="reflect"), nn.Softmax(1)),
        (2, 6, 6), "'0': ReLU is not supported",
    ),
    "padding mode": (
        lambda: nn.Sequential(nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect")), (2, 6, 6),
        "'0': padding_mode = 'reflect'",
    ),
    "same": (lambda: nn.Sequential(nn.Conv2d(2, 2, 2, padding="same")), (2, 6, 6), "'0': padding = 'same' of an even"),
    "statistics": (
        lambda: nn.Sequential(nn.BatchNorm2d(2, track_running_stats=False)), (2, 6, 6), "no running statistics"
    ),
    "flatten": (
        lambda: nn.Sequential(nn.Conv2d(2, 2, 3), qif(), nn.Flatten(2)), (2, 6, 6), "'2': flattening dimensions 2 to -1"
    ),
    "control flow": (lambda: Branches(), (2, 6, 6), "cannot be traced .*keep control flow out"),
    "functions": (lambda: Functions(), (2, 6, 6), "'sigmoid': sigmoid is not supported"),
    "pooled image": (lambda: nn.Sequential(nn.MaxPool2d(2)), (2, 6, 6), "maximum pooling of anything but the spikes"),
    "odd pooling": (lambda: nn.Sequential(nn.AdaptiveAvgPool2d(4)), (2, 6, 6), r"pooling \(6, 6\) to \(4, 4\)"),
    "ceil": (lambda: nn.Sequential(nn.AvgPool2d(4, ceil_mode=True)), (2, 6, 6), "ceil_mode on"),
    "too large": (lambda: nn.Sequential(nn.AvgPool2d(9)), (2, 6, 6), "'0': convolution: a kernel of"),
    "channels": (lambda: nn.Sequential(nn.Conv2d(3, 2, 3)), (2, 6, 6), "its input has 2 channels, 3 are needed"),
    "not flat": (lambda: nn.Sequential(nn.Linear(72, 2)), (2, 6, 6), "flatten it before"),
    "hold": (lambda: nn.Sequential(qif(True), qif(True)), (5,), "'1': hold: its input changes"),
    "steps": (lambda: nn.Sequential(DiscreteQIF(time_steps=3)), (5,), "3 time steps, 4 are asked for"),
    "some steps": (lambda: nn.Sequential(qif(), DiscreteQIF()), (5,), "some neurons are given"),
    "shape": (lambda: nn.Sequential(qif()), (5, 5), r"has shape \(5, 5\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_exported_is_named(name: str) -> None:
    module, shape, message = REFUSED[name]
    with pytest.raises(InputError, match=message) as caught:
        export(module().eval(), shape, T)
    assert "\n" not in str(caught.value)


def test_everything_that_is_wrong_is_named_at_once() -> None:
    class Several(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.ReLU(), nn.Sequential(nn.Softmax(1))

        def forward(self, x: Tensor) -> Tensor:
            return self.left(x) + self.right(x)

    with pytest.raises(InputError, match=r"'left': ReLU is not supported; 'right\.0': Softmax is not supported"):
        export(Several().eval(), (5,), T)


@pytest.mark.parametrize("frames", [False, True], ids=["images", "frames"])
def test_models_of_the_library(frames: bool) -> None:
    """The small network with its readout, on images and on frames, in float64: spikes and scores are the module's."""
    make = models.neurons(time_steps=T)
    torch.manual_seed(0)
    module = models.small_conv(make, size=8, frames=frames).double().eval()
    x = np.random.default_rng(0).normal(0.3, 1, (20, *([T] if frames else []), 1, 8, 8))
    network = export(module, (1, 8, 8), T)
    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(stepped.run(network, x).y, expected, rtol=0, atol=1e-10)


def test_the_readout_comes_last() -> None:
    with pytest.raises(InputError, match="'1': it must come last"):
        export(nn.Sequential(qif(), Accumulate(T), nn.Linear(5, 2)).eval(), (5,), T)


@pytest.mark.slow
def test_the_deep_models_are_exported_and_run() -> None:
    """ResNet-19 and VGGSNN: convolutions stay convolutions; one image through the integer machine."""
    for module, shape in (
        (models.resnet19(models.neurons(time_steps=2)), (3, 32, 32)),
        (models.vggsnn(models.neurons(time_steps=2)), (2, 48, 48)),
    ):
        network = export(module.eval(), shape, 2)
        assert {type(p.synapses).__name__ for p in network.projections} <= {"Conv2d", "Dense"}
        x = np.random.default_rng(0).normal(0, 1, (1, *([2] if shape[0] == 2 else []), *shape))
        program = compile_network(network, None, x).program
        run = engine.run(program, x)
        assert run.y.shape == (1, 10)
        assert all(fired.shape[:2] == (1, 2) for fired in run.spikes.values())


def test_training_mode_and_no_steps_are_refused() -> None:
    with pytest.raises(InputError, match=r"call module\.eval\(\)"):
        export(nn.Sequential(qif()), (5,), T)
    with pytest.raises(InputError, match="time steps = 0"):
        export(nn.Sequential(qif()).eval(), (5,), 0)
