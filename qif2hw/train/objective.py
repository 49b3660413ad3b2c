"""What a step of a training minimises: an error on a batch of the training set."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from qif2hw.nn.network import QIFNetwork
from qif2hw.train.task import Model, Objective, Task


def regression(task: Task, model: Model, seed: int, teacher: Model | None) -> Objective:
    """The mean square error on the training set, and the penalty on outputs that come too late."""
    del teacher
    return on_samples(task, model, seed, lambda y, truth: (y - truth).square().mean())


def on_samples(task: Task, model: Model, seed: int, error: Callable[[Tensor, Tensor], Tensor]) -> Objective:
    """An ``error`` of results (batch, results) against the training set's, and the penalty on late outputs."""
    assert isinstance(model, QIFNetwork)
    x, y = (torch.from_numpy(array) for array in task.train_set(seed))

    def loss(step: int) -> Tensor:
        chosen = batch_of(len(x), task.settings.batch, seed, step)
        run = model.run(x if chosen is None else x[chosen])
        return error(run.y, y if chosen is None else y[chosen]) + model.deadline_penalty(run.first)

    return loss


def batch_of(samples: int, size: int | None, seed: int, step: int) -> Tensor | None:
    """Indices (size,) of the samples of a step, in an order that follows from the epoch's number; None for all."""
    if size is None or size >= samples:
        return None
    per_epoch = samples // size
    epoch, at = divmod(step, per_epoch)
    order = np.random.default_rng([seed, epoch]).permutation(samples)[at * size : (at + 1) * size]
    return torch.from_numpy(order)
