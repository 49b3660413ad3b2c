"""From SLAYER: QIF neurons in lava-dl's blocks, trained there, and every spike again on the engine."""

import numpy as np
import torch
from lava.lib.dl import slayer
from sklearn.datasets import load_digits
from torch import nn

import qif2hw
from qif2hw_slayer import block
from qif2hw_slayer.export import save
from qif2hw_slayer.importer import import_network

T = 8
NEURON = {"threshold": 1.0, "a": 0.25, "u1": 0.0, "u2": 0.5, "norm": slayer.neuron.norm.MeanOnlyBatchNorm}
OPTIONS = {"weight_scale": 4, "delay_shift": False}


def digits():
    """Handwritten digits as spikes, as many as a pixel is bright, (samples, 1, 8, 8, T), and their classes."""
    found, order = load_digits(), np.random.default_rng(0).permutation(1797)
    x = torch.from_numpy(found.images[order, None] / 16).float()
    count = torch.floor(x[..., None] * torch.arange(1, T + 1))
    return torch.diff(count, dim=-1, prepend=torch.zeros_like(count[..., :1])), torch.from_numpy(found.target[order])


def main(epochs=6):
    """Train in SLAYER, import, compile: accuracy on the engine, spikes there and SLAYER's (samples, T, classes)."""
    torch.manual_seed(0)
    model = nn.Sequential(
        block.Conv(NEURON, 1, 8, 3, stride=2, padding=1, **OPTIONS),
        block.Flatten(),
        block.Dense(NEURON, 128, 64, **OPTIONS),
        block.Dense(NEURON, 64, 10, **OPTIONS),
    )
    x, label = digits()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(epochs):
        for batch in torch.randperm(1500).split(50):
            loss = nn.functional.cross_entropy(model(x[batch]).sum(-1), label[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    save(model, "digits.net", input_shape=(1, 8, 8), time_steps=T)
    bundle = qif2hw.compile(import_network("digits.net"))
    run = bundle.run(x[1500:].movedim(-1, 1).numpy())  # (samples, time steps, C, H, W)
    sent = model(x[1500:]).detach().movedim(-1, 1).numpy() > 0
    return (run.label == label[1500:].numpy()).mean(), run.spikes["layer4"], sent


if __name__ == "__main__":
    accuracy, engine, slayers = main()
    print(f"on the engine {accuracy:.1%} of 297 digits; {(engine != slayers).sum()} spikes differ from SLAYER's")
