"""The model library: sizes, one training step, tracing; and the small network learns the digits."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from qif2hw.data import digits
from qif2hw.discrete import Stepped, SteppedLIF, SteppedQIF
from qif2hw.errors import InputError
from qif2hw.nn.discrete import SteppedNeurons
from qif2hw.nn.models import neurons, resnet19, small_conv, threshold_norm, vggsnn

STEPS = 2
MODELS: dict[str, tuple[Callable[..., nn.Module], tuple[int, ...], dict[str, Any]]] = {
    "small_conv": (small_conv, (2, 1, 8, 8), {"size": 8}),
    "small_conv frames": (small_conv, (2, STEPS, 3, 8, 8), {"size": 8, "channels": (3, 16, 32), "frames": True}),
    "vggsnn": (vggsnn, (2, STEPS, 2, 16, 16), {"size": 16}),
    "vggsnn images": (vggsnn, (2, 3, 16, 16), {"size": 16, "channels": 3, "frames": False}),
    "resnet19": (resnet19, (2, 3, 8, 8), {}),
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small layers: torch's threads would wait for each other, for long if others work too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def weights(model: nn.Module) -> int:
    """Number of synaptic weights."""
    return sum(m.weight.numel() for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear))


def population(model: nn.Module, shape: tuple[int, ...], steps: int) -> int:
    """Number of neurons, for an input of one sample."""
    counted: list[int] = []
    for m in model.modules():
        if isinstance(m, SteppedNeurons):
            m.register_forward_hook(lambda _, __, spikes: counted.append(spikes.numel() // steps))
    model(torch.zeros(shape, device="meta"))
    return sum(counted)


@pytest.mark.parametrize("name", MODELS)
def test_one_training_step(name: str) -> None:
    build, shape, options = MODELS[name]
    torch.manual_seed(0)
    model = build(neurons(time_steps=STEPS), classes=5, **options)
    x, label = torch.randn(shape), torch.tensor([1, 4])
    optimiser = torch.optim.SGD(model.parameters(), 0.05)
    before = nn.functional.cross_entropy(model(x), label)
    before.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    assert all(p.grad.any() for m in model.modules() if isinstance(m, nn.Conv2d) for p in m.parameters())  # type: ignore[union-attr]
    optimiser.step()
    after = nn.functional.cross_entropy(model(x), label)
    assert model(x).shape == (2, 5)
    assert after < before


@pytest.mark.parametrize("name", MODELS)
def test_traced_by_torch_fx(name: str) -> None:
    build, shape, options = MODELS[name]
    model = build(neurons(time_steps=STEPS), **options).eval()
    traced = torch.fx.symbolic_trace(model)
    x = torch.randn(shape)
    assert torch.equal(traced(x), model(x))
    expected = sum(isinstance(m, SteppedNeurons) for m in model.modules())
    nodes = [n for n in traced.graph.nodes if n.op == "call_module"]
    assert sum(isinstance(traced.get_submodule(str(n.target)), SteppedNeurons) for n in nodes) == expected


def test_sizes_of_the_published_networks() -> None:
    with torch.device("meta"):
        resnet = resnet19(neurons(time_steps=4))
        small = small_conv(neurons(time_steps=4))
        vgg = vggsnn(neurons(time_steps=10))
    assert weights(resnet) == 12_687_232
    assert population(resnet, (1, 3, 32, 32), 4) == 1_442_048
    assert weights(small) == 9 * 16 + 9 * 16 * 32 + 1568 * 256 + 2560
    assert population(small, (1, 1, 28, 28), 4) == 28 * 28 * 16 + 14 * 14 * 32 + 256
    assert population(vgg, (1, 10, 2, 48, 48), 10) == 48 * 48 * 192 + 24 * 24 * 512 + 12 * 12 * 1024 + 6 * 6 * 1024


def test_normalisation_to_the_threshold() -> None:
    y = threshold_norm(3, 0.7, share=0.5)(torch.randn(64, 3, 8, 8) * 5 + 2)
    assert y.std().item() == pytest.approx(0.35, rel=1e-2)
    assert threshold_norm(3, 2.0, flat=True)(torch.randn(500, 3)).std().item() == pytest.approx(2.0, rel=1e-2)


@pytest.mark.parametrize(("build", "size"), [(small_conv, 3), (vggsnn, 15)])
def test_images_that_are_too_small(build: Callable[..., nn.Module], size: int) -> None:
    with pytest.raises(InputError, match="poolings"):
        build(neurons(time_steps=2), size=size)


@pytest.mark.parametrize(
    "neuron", [SteppedQIF(), SteppedQIF(kind="euler"), SteppedLIF()], ids=["exact", "euler", "lif"]
)
def test_the_small_network_learns_digits(neuron: Stepped) -> None:
    torch.manual_seed(0)
    train, test = digits(0)

    def pixels(x: Any) -> Tensor:
        return torch.from_numpy(x).float() / 8 - 1

    model = small_conv(neurons(neuron, time_steps=4), size=8)
    optimiser = torch.optim.AdamW(model.parameters(), 4e-3)
    x, label = pixels(train.x), torch.from_numpy(train.label)
    for _ in range(4):
        for rows in torch.randperm(len(x)).split(64):
            loss = nn.functional.cross_entropy(model(x[rows]), label[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    with torch.no_grad():
        right = model.eval()(pixels(test.x)).argmax(dim=1) == torch.from_numpy(test.label)
    assert right.float().mean() > 0.93
