"""A torch module of your own around two spiking networks, trained with torch's optimiser, saved by one call."""

import numpy as np
import torch
from torch import nn

import qif2hw
from qif2hw.nn import QIFNetwork


class Wave(nn.Module):
    """The height of a wave over place (0 to 2 m) and time (0 to 4 s): an amplitude that dies out, times a shape."""

    def __init__(self):
        super().__init__()
        self.amplitude = QIFNetwork((1, 16, 2), seed=1)
        self.shape = QIFNetwork((2, 32, 32, 2), seed=2)
        self.level = nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, x):
        amplitude = self.amplitude(x[:, 1:] / 4)
        return self.level + amplitude * self.shape(x / torch.tensor([2.0, 4.0]))


def height(x):
    return 0.3 + torch.exp(-x[:, 1:] / 2) * torch.cos(2 * x[:, :1] - x[:, 1:])


def main(steps=1500):
    """Train, save, compile; errors of the float network and on the engine."""
    points = torch.rand(1000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * torch.tensor([2, 4])
    wave = Wave()
    optimizer = torch.optim.Adam(wave.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        batch = points[torch.arange(200) + 200 * (step % 4)]
        loss = (wave(batch) - height(batch)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        for network in (wave.amplitude, wave.shape):
            network.keep_inside()  # initial phases stay within a period
    qif2hw.save(wave, "wave.onnx", input_shape=(2,))
    bundle = qif2hw.compile("wave.onnx", steps=512, weight_bits=8)
    test, truth = points[800:].numpy(), height(points[800:]).numpy()
    found = {"float": qif2hw.run("wave.onnx", test), "engine": bundle.run(test)}
    return {name: np.linalg.norm(run.y - truth) / np.linalg.norm(truth) for name, run in found.items()}


if __name__ == "__main__":
    print({name: f"{error:.2%}" for name, error in main().items()})
