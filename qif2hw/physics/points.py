"""Collocation points: half of them even, half where the error is large."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from qif2hw.ir.arrays import FloatArray
from qif2hw.physics.equation import Physics
from qif2hw.train.loop import SAVE_EVERY
from qif2hw.train.task import Objective

CANDIDATES = 4000
"""Points among which those with a large error are preferred."""


def points_of_steps(physics: Physics, error: Callable[[Tensor], Tensor], seed: int, batch: int) -> Objective:
    """Inputs (batch, inputs) of a step: half even, half where ``error`` is large, as seen every `SAVE_EVERY` steps."""
    pool = torch.zeros(0)

    @torch.no_grad()
    def prefer(rng: np.random.Generator) -> Tensor:
        candidates = torch.from_numpy(physics.points(CANDIDATES, rng))
        size = error(candidates).square().sum(dim=1).sqrt().numpy()
        weight = 1 + size / size.mean()
        chosen = rng.choice(CANDIDATES, CANDIDATES // 2, p=weight / weight.sum())
        return candidates[torch.from_numpy(chosen)]

    def points(step: int) -> Tensor:
        nonlocal pool
        if step % SAVE_EVERY == 0 or len(pool) == 0:
            pool = prefer(np.random.default_rng([seed, step, 1]))
        rng = np.random.default_rng([seed, step])
        even = torch.from_numpy(physics.points(batch - batch // 2, rng))
        return torch.cat([even, pool[torch.from_numpy(rng.integers(0, len(pool), batch // 2))]])

    return points


def preferred(size: FloatArray, count: int, rng: np.random.Generator) -> Tensor:
    """Indices (count,) of candidates, each at most once, the larger their error ``size`` (candidates,) the likelier."""
    weight = 1 + size / size.mean()
    return torch.from_numpy(rng.choice(len(size), count, replace=False, p=weight / weight.sum()))


def mirrored(x: Tensor, coordinate: int) -> Tensor:
    """Inputs ``x`` (samples, inputs) in [0, 1] on the other side of the middle of a coordinate's range."""
    across = x.clone()
    across[:, coordinate] = 1 - x[:, coordinate]
    return across
