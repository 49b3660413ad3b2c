"""The network of the benchmark as lava-dl can run it: pooling is a strided convolution.  Needs lava-dl."""

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

NAME = "16C3-16C2s2-32C3-32C2s2-256-10"
"""Its layers."""


class Twin(NamedTuple):
    """A network of SLAYER's blocks, written to a file."""

    path: Path
    run: Callable[[NDArray[np.bool_]], Any]
    """SLAYER's forward pass: the spikes of the last layer for spikes (samples, steps, 1, 28, 28)."""


def twin(folder: Path, time_steps: int) -> Twin:
    """Make the network with random weights and write it into a folder."""
    # lava-dl prints warnings about what else it could use.
    with contextlib.redirect_stdout(sys.stderr):
        from qif2hw_slayer import block
        from qif2hw_slayer.export import save

    neuron = {"threshold": 1.1}
    options: dict[str, Any] = {"weight_scale": 4, "delay_shift": False}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        blocks = torch.nn.Sequential(
            block.Conv(neuron, 1, 16, 3, padding=1, **options),
            block.Conv(neuron, 16, 16, 2, stride=2, **options),
            block.Conv(neuron, 16, 32, 3, padding=1, **options),
            block.Conv(neuron, 32, 32, 2, stride=2, **options),
            block.Flatten(),
            block.Dense(neuron, 32 * 7 * 7, 256, **options),
            block.Dense(neuron, 256, 10, **options),
        ).eval()

    def run(spikes: NDArray[np.bool_]) -> Any:
        with torch.inference_mode():
            return blocks(torch.from_numpy(np.moveaxis(spikes, 1, -1).astype(np.float32)))

    run(spike_images(1, time_steps))
    path = folder / "twin.net"
    save(blocks, path, input_shape=(1, 28, 28), time_steps=time_steps)
    return Twin(path, run)


def spike_images(samples: int, time_steps: int) -> NDArray[np.bool_]:
    """Random spikes (samples, steps, 1, 28, 28) in a region of each image."""
    rng = np.random.default_rng(0)
    rate = np.zeros((samples, 1, 1, 28, 28))
    rate[..., 6:22, 6:22] = rng.random((samples, 1, 1, 1, 1))
    return rng.random((samples, time_steps, 1, 28, 28)) < rate
