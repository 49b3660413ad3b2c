"""Gradient descent as all baselines use it, and the search for their learning rate."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from qif2hw.experiments.baselines.architecture import take_apart
from qif2hw.experiments.baselines.model import ChainModel
from qif2hw.ir.arrays import FloatArray
from qif2hw.train.optim.adam import FlatAdam
from qif2hw.train.task import Samples, Solution, results_themselves

Objective: TypeAlias = Callable[[int], Tensor]
"""Loss of a training step, by its number."""

Fitted = TypeVar("Fitted", bound=nn.Module)

CLIP = 1.0
SHARE = 10
"""Factor by which a trial of a learning rate has fewer steps."""


@dataclass(frozen=True)
class RateSearch:
    """Learning rates tried and the training loss that each came to.

    Parameters
    ----------
    steps
        Of each trial.
    losses
        Mean over the last tenth of a trial's steps, by rate; infinite where the loss was no number.
    """

    steps: int
    losses: dict[float, float]

    @property
    def best(self) -> float:
        """The rate of the least loss."""
        return min(self.losses, key=lambda rate: (self.losses[rate], rate))

    def record(self) -> dict[str, Any]:
        """The search for JSON: rate chosen, rates tried, steps of a trial; a loss that was no number is null."""
        tried = {f"{rate:g}": loss if math.isfinite(loss) else None for rate, loss in self.losses.items()}
        return {"learning_rate": self.best, "tried": tried, "trial_steps": self.steps}


def descend(
    model: nn.Module, objective: Objective, steps: int, rate: float, done: Callable[[], bool] | None = None
) -> FloatArray:
    """Take steps of Adam at a rate that decays to zero as a cosine; returns the loss of every step, (steps,).

    ``done``, called after every step, says whether that was enough.
    """
    optimizer = FlatAdam([list(model.parameters())])
    losses = np.empty(steps)
    for step in range(steps):
        loss = objective(step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step((rate * 0.5 * (1 + math.cos(math.pi * step / steps)),), CLIP)
        losses[step] = float(loss)
        if done is not None and done():
            return losses[: step + 1]
    return losses


def final_loss(losses: FloatArray) -> float:
    """Mean over the last tenth of the steps, of ``losses`` (steps,); infinite if that is not finite."""
    mean = float(losses[-max(1, len(losses) // SHARE) :].mean())
    return mean if math.isfinite(mean) else math.inf


def fit(
    make: Callable[[], Fitted], objective: Callable[[Fitted], Objective], rates: Sequence[float], steps: int,
    share: int = SHARE,
) -> tuple[Fitted, RateSearch, float]:  # fmt: skip
    """Try each rate on a fresh network for a share of the steps, then train one at the best.

    Parameters
    ----------
    make, objective
        Of a fresh network, and its loss.
    rates
        To try.
    steps
        Of the training.
    share
        Factor by which a trial has fewer steps; 1 tries every rate to the end and takes the best.

    Returns
    -------
    model, search, loss
        The trained network, what was tried, and the training loss at the end.
    """
    trial_steps = max(1, steps // share)
    tried, models = {}, {}
    for rate in rates:
        models[rate] = make()
        tried[rate] = final_loss(descend(models[rate], objective(models[rate]), trial_steps, rate))
    search = RateSearch(trial_steps, tried)
    if trial_steps == steps:
        return models[search.best], search, tried[search.best]
    model = make()
    return model, search, final_loss(descend(model, objective(model), steps, search.best))


def on_data(
    model: ChainModel, samples: Samples, batch: int | None, seed: int, solution: Solution = results_themselves
) -> Objective:
    """Mean square error of the solution, in units of its spread; scales the model to the samples first.

    An operator's error is relative to the size of each function's result.  What the host makes of the network's results
    has to be affine in them.
    """
    rows = take_apart(model.architecture, torch.from_numpy(samples.x).to(model.dtype))
    y = torch.from_numpy(samples.y).to(model.dtype)
    shape = (len(samples.x), model.architecture.outputs)
    zero, one = (solution(samples.x, np.full(shape, value)) for value in (0.0, 1.0))
    base, factor = (torch.from_numpy(array).to(model.dtype) for array in (zero, one - zero))
    model.fit_scaling(rows, y)
    weight = torch.ones_like(y)
    if rows.where:
        energy = torch.zeros(len(rows.parts[0]), dtype=y.dtype).index_add(0, rows.where[0], y[:, 0].square())
        weight = (1 / energy.clamp(min=1e-6 * float(energy.mean())))[rows.where[0]][:, None]
        weight /= weight.mean()

    def loss(step: int) -> Tensor:
        part, numbers = rows.batch(batch, seed, step)
        difference = (base[numbers] + factor[numbers] * model.on(part) - y[numbers]) / model.scale
        return (weight[numbers] * difference.square()).mean()

    return loss
