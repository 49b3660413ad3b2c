"""The training loop of classifiers in time steps: epochs over images, surrogate gradients, AdamW."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from qif2hw.data.images import Images, Split
from qif2hw.errors import InputError
from qif2hw.nn.discrete import Accumulate
from qif2hw.train.classify.augment import augment
from qif2hw.train.classify.fake_quantize import put_on_grid
from qif2hw.train.classify.settings import ClassifierSettings
from qif2hw.train.classify.update import CapturedUpdate, Update, optimizer_of

BLOCK = 500
"""Samples that are evaluated together."""

EpochReport = Callable[[int, int, float, float | None], None]
"""Called with epochs done (a share of one included), their number, the loss, and the accuracy after an epoch."""


@dataclass(frozen=True)
class Fit:
    """A trained classifier.

    Parameters
    ----------
    module
        In evaluation mode.
    accuracy
        On the test set, from 0 to 1.
    seconds
        Time the training took, that of earlier calls included.
    """

    module: nn.Module
    accuracy: float
    seconds: float


def fit(
    module: nn.Sequential,
    data: Split,
    settings: ClassifierSettings,
    *,
    seed: int = 0,
    weight_bits: int | None = None,
    device: str = "cpu",
    report: EpochReport | None = None,
) -> Fit:
    """Train a classifier whose last layer is `qif2hw.nn.Accumulate`."""
    started = time.perf_counter()
    if not isinstance(module[-1], Accumulate):
        raise InputError(f"the last layer is {type(module[-1]).__name__}: qif2hw.nn.Accumulate is needed")
    module.to(device)
    x, label = torch.from_numpy(data.train.x).to(device), torch.from_numpy(data.train.label).to(device)
    per_epoch = max(1, len(x) // settings.batch)
    stages = [(settings.epochs, settings.learning_rate, settings.warm_up)]
    if weight_bits is not None:
        stages.append((settings.quantized_epochs, settings.quantized_rate, 0.0))

    def loss(images: Tensor, labels: Tensor) -> Tensor:
        return loss_of(module, images, labels, settings)

    done, total = 0, sum(epochs for epochs, _, _ in stages)
    for stage, (epochs, rate, warm_up) in enumerate(stages):
        if stage:
            put_on_grid(module, weight_bits or 8)
        optimizer = optimizer_of(module, settings.weight_decay, x.device)
        update = (CapturedUpdate if x.is_cuda else Update)(loss, optimizer)
        averaged = _Average(module, settings.average)
        steps = epochs * per_epoch
        step = 0
        for _ in range(epochs):
            module.train()
            order = torch.from_numpy(np.random.default_rng([seed, done]).permutation(len(x))).to(device)
            rng = np.random.default_rng([seed, done, 1])
            for chosen in order[: per_epoch * settings.batch].split(settings.batch):
                now = rate * one_cycle(step / steps, warm_up)
                value = update(augment(x[chosen], settings.augmentation, rng), label[chosen], now)
                step += 1
                averaged.update(step)
            done += 1
            if report is not None:
                report(done, total, float(value), averaged.evaluate(lambda: accuracy(module, data.test)))
        averaged.take()
    module.eval()
    return Fit(module, accuracy(module, data.test), time.perf_counter() - started)


def one_cycle(progress: float, warm_up: float) -> float:
    """Share of the largest rate: from a tenth up to one, then to zero, as cosines; ``progress`` from 0 to 1."""
    if progress < warm_up:
        return 0.55 - 0.45 * math.cos(math.pi * progress / warm_up)
    return 0.5 + 0.5 * math.cos(math.pi * (progress - warm_up) / (1 - warm_up))


def loss_of(module: nn.Sequential, x: Tensor, label: Tensor, settings: ClassifierSettings) -> Tensor:
    """The loss of a batch."""
    if not settings.every_step:
        return F.cross_entropy(module(x), label, label_smoothing=settings.smoothing)
    scores = module[:-1](x)
    steps = len(scores.flatten(0, -2)) // len(label)
    return F.cross_entropy(scores.flatten(0, -2), label.repeat(steps), label_smoothing=settings.smoothing)


@torch.no_grad()
def accuracy(module: nn.Module, images: Images) -> float:
    """Share of images whose class has the largest score, in evaluation mode."""
    module.eval()
    device = next(module.parameters()).device
    right = 0
    for first in range(0, len(images), BLOCK):
        x = torch.from_numpy(images.x[first : first + BLOCK]).to(device)
        found = module(x).argmax(dim=1).cpu().numpy()
        right += int((found == images.label[first : first + BLOCK]).sum())
    return right / len(images)


class _Average:
    """A running average of parameters and statistics; of the last steps alone where there have been few."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.own = [t for t in module.state_dict().values() if t.is_floating_point()]
        self.decay, self.values = decay, [t.clone() for t in self.own] if decay else []

    @torch.no_grad()
    def update(self, step: int) -> None:
        if self.values:
            torch._foreach_lerp_(self.values, self.own, 1 - min(self.decay, (step + 1) / (step + 10)))

    @torch.no_grad()
    def take(self) -> None:
        """Put the average in the place of the parameters."""
        if self.values:
            torch._foreach_copy_(self.own, self.values)

    def evaluate(self, function: Callable[[], float]) -> float:
        """Call a function with the average in place."""
        if not self.values:
            return function()
        before = [t.clone() for t in self.own]
        self.take()
        found = function()
        with torch.no_grad():
            torch._foreach_copy_(self.own, before)
        return found
