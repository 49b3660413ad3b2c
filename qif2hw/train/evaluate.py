"""How well a network does on samples: its solution, and the diagnosis of its spikes."""

import numpy as np
import torch

from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.nn.network import QIFNetwork
from qif2hw.train.diagnosis import Diagnosis, diagnose
from qif2hw.train.task import Model, Samples, Task

REPORTED = 4000
"""Largest number of test samples of a report."""
EVALUATED = 1 << 20
"""Inputs of all samples that run at a time outside of training: what bounds the memory."""


def with_solution(task: Task, samples: Samples) -> Samples:
    """Samples as a test set has them, of such as a training set has them."""
    return Samples(samples.x, task.solution(samples.x, samples.y))


def evenly(count: int, block: int, most: int) -> IntArray:
    """Indices (rows,) of about ``most`` of ``count`` rows, evenly spread; rows of a ``block`` stay together."""
    blocks = count // block
    starts = np.linspace(0, blocks - 1, min(blocks, -(-most // block))).round().astype(np.int64) * block
    return (starts[:, None] + np.arange(block)).ravel()


@torch.no_grad()
def evaluate(task: Task, model: Model, test_set: Samples) -> FloatArray:
    """Solution (samples, quantities) of a model at the inputs of a test set."""
    dtype = model.parameter_groups()[0][0].dtype
    rows = max(1, EVALUATED // test_set.x.shape[1])
    parts = [model(part.to(dtype)).double() for part in torch.from_numpy(test_set.x).split(rows)]
    return task.solution(test_set.x, torch.cat(parts).numpy())


def diagnosis_of(task: Task, model: Model, seed: int) -> Diagnosis | None:
    """Diagnosis of a network on its training set; None for a model that is not a chain of layers."""
    if not isinstance(model, QIFNetwork):
        return None
    x, y = (torch.from_numpy(array) for array in task.train_set(seed))
    if task.classes is not None:
        return diagnose(model, x[: EVALUATED // x.shape[1]].to(model.last.phi0.dtype))
    return diagnose(model, x, y if task.objective is None else None)
