"""Small networks that SLAYER trains here, with the spikes of all their layers."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

T = 7
SAMPLES = 5


@dataclass(frozen=True)
class Trained:
    """A file, spikes (samples, time steps, ...) for it, and those of its layers, (samples, time steps, neurons)."""

    path: Path
    x: NDArray[Any]
    layers: tuple[NDArray[np.bool_], ...]


def rate_code(images: Any) -> Any:
    """Spikes (N, ..., T) as many as brightness says."""
    import torch

    count = torch.floor(images[..., None] * torch.arange(1, T + 1))
    return torch.diff(count, dim=-1, prepend=torch.zeros_like(count[..., :1])).clamp(0, 1)


def blocks_of(name: str) -> list[Any]:
    """``exact``: convolutions and a dense layer, with biases; ``euler``: dense layers; ``cuba``: as exact, without."""
    from lava.lib.dl import slayer

    from qif2hw_slayer import block

    options = {"weight_scale": 8, "delay_shift": False}
    if name == "cuba":
        of: Any = slayer.block.cuba
        neuron: dict[str, Any] = {"threshold": 1.1, "current_decay": 0.6, "voltage_decay": 0.3, "scale_grad": 3}
    else:
        of, neuron = block, {"kind": name, "threshold": 1.1, "reset": -0.1}
    if name == "euler":
        return [of.Dense(neuron, 64, 20, **options), of.Dense(neuron, 20, 10, **options)]
    if name == "exact":
        neuron["norm"] = slayer.neuron.norm.MeanOnlyBatchNorm
    return [
        of.Conv(neuron, 1, 4, 3, stride=2, padding=1, **options),
        of.Conv(neuron, 4, 6, (2, 3), padding=(0, 1), groups=2, **options),
        of.Flatten(),
        of.Dense(neuron, 72, 10, **options),
    ]


@lru_cache
def train(name: str, folder: Path) -> Trained:
    """Train for a moment on handwritten digits, write the file, and run some samples."""
    import torch
    from sklearn.datasets import load_digits

    from qif2hw_slayer.export import save

    digits = load_digits()
    torch.manual_seed(0)
    shape = (64,) if name == "euler" else (1, 8, 8)
    x = rate_code(torch.from_numpy(digits.images / 16).float().reshape(-1, *shape))
    y = torch.from_numpy(digits.target)
    blocks = blocks_of(name)
    net = torch.nn.Sequential(*blocks)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for batch in torch.arange(600).split(50):
        loss = torch.nn.functional.cross_entropy(net(x[batch]).sum(-1), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    net.eval()
    save(blocks, folder / f"{name}.net", input_shape=shape, time_steps=T)
    given = sent = x[-SAMPLES:]
    layers = []
    for block in blocks:
        sent = block(sent).detach()
        if hasattr(block, "neuron"):
            layers.append(sent.movedim(-1, 1).flatten(2).numpy() > 0)
    for spikes in layers:
        assert 0.01 < spikes.mean() < 0.9
        assert spikes.any(axis=(1, 2)).all()
    return Trained(folder / f"{name}.net", given.movedim(-1, 1).numpy(), tuple(layers))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Trained]:
    """Networks by name, as of `blocks_of`."""
    folder = tmp_path_factory.mktemp("slayer")
    return lambda name: train(name, folder)
