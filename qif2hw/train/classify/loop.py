"""The training loop of classifiers in time steps: epochs over images, surrogate gradients, AdamW."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from qif2hw.data.images import Images, Split
from qif2hw.errors import InputError
from qif2hw.nn.discrete import Accumulate
from qif2hw.train import checkpoint as saved
from qif2hw.train.classify import processes
from qif2hw.train.classify.augment import augment
from qif2hw.train.classify.average import Average
from qif2hw.train.classify.settings import ClassifierSettings, Schedule
from qif2hw.train.classify.update import CapturedUpdate, Update, moments, optimizer_of
from qif2hw.train.memory import keep_pages

BLOCK = 500
"""Samples that are evaluated together."""
REPORTED = 1000
"""Test samples of a report."""
REPORT_EVERY = 10.0
"""Seconds between two reports inside an epoch."""

Progress = Callable[[int, int, float, float], None]
"""Called with the number of updates done, their total number, the loss and the error on a part of the test set."""


@dataclass(frozen=True)
class Run:
    """What a training depends on beside the network and its settings.

    Parameters
    ----------
    seed
        Of the order of the samples, of their augmentation and of dropout.
    device
        Of torch.
    progress
        Called after every epoch, and meanwhile.
    checkpoint, identity
        File for the state of the run, written after every epoch, and what another run must share to go on from it.
    """

    seed: int = 0
    device: str = "cpu"
    progress: Progress | None = None
    checkpoint: Path | None = None
    identity: dict[str, Any] | None = None


def fit(module: nn.Sequential, data: Split, settings: ClassifierSettings, schedule: Schedule, run: Run) -> float:
    """Train a classifier, in place, whose last layer is `qif2hw.nn.Accumulate`.

    Parameters
    ----------
    module
        Takes images (samples, [T,] C, H, W) as they are in ``data``; left in evaluation mode.
    data, settings, schedule
        Images for training and testing, how to train, and how long at which rates.
    run
        Everything else.

    Returns
    -------
    float
        Seconds the training took, those of earlier calls included.

    Raises
    ------
    InputError
        If the last layer is another one, the training set is smaller than a batch, or the checkpoint is of another run.
    """
    keep_pages()
    started = time.perf_counter()
    if not isinstance(module[-1], Accumulate):
        raise InputError(f"the last layer is {type(module[-1]).__name__}: qif2hw.nn.Accumulate is needed")
    per_epoch = len(data.train) // settings.batch
    if not per_epoch:
        raise InputError(f"{len(data.train)} images for training: at least one batch of {settings.batch} is needed")
    total = schedule.updates(per_epoch)
    module.to(run.device)
    x, label = (torch.from_numpy(array).to(run.device) for array in (data.train.x, data.train.label))
    optimizer = optimizer_of(module, settings.weight_decay, torch.device(run.device))
    averaged = Average(module, settings.average)
    state = {**module.state_dict(), **moments(optimizer), **averaged.state()}
    done, before = 0, 0.0
    if run.checkpoint is not None and run.checkpoint.exists():
        scalars, tensors = saved.read_state(run.checkpoint, run.identity or {})
        saved.restore(run.checkpoint, tensors, state)
        done, before = int(scalars["done"]), float(scalars["seconds"])

    def loss(images: Tensor, labels: Tensor) -> Tensor:
        return loss_of(module, images, labels, settings)

    def report(value: Tensor) -> None:
        if run.progress is not None:
            error = 1 - averaged.evaluate(lambda: accuracy(module, data.test, REPORTED))
            module.train()
            run.progress(done, total, float(value), error)

    captured = x.is_cuda and processes.count() == 1
    update = (CapturedUpdate if captured else Update)(module, loss, optimizer)
    module.train()
    reported = time.perf_counter()
    with torch.random.fork_rng(), processes.shared_statistics(module):
        while done < total:
            epoch = done // per_epoch
            torch.manual_seed(run.seed + (epoch << 32))
            order = torch.from_numpy(np.random.default_rng([run.seed, epoch]).permutation(len(x))).to(run.device)
            rng = np.random.default_rng([run.seed, epoch, 1])
            for chosen in order[: min(per_epoch, total - done) * settings.batch].split(settings.batch):
                images, labels = augment(x[chosen], settings.augmentation, rng), label[chosen]
                value = update(processes.share(images), processes.share(labels), schedule.rate_at(done, total))
                done += 1
                averaged.update(done)
                if time.perf_counter() - reported > REPORT_EVERY:
                    report(value)
                    reported = time.perf_counter()
            report(value)
            if run.checkpoint is not None and processes.rank() == 0:
                spent = before + time.perf_counter() - started
                saved.write_state(run.checkpoint, {**(run.identity or {}), "done": done, "seconds": spent}, state)
    averaged.take()
    module.eval()
    return before + time.perf_counter() - started


def loss_of(module: nn.Sequential, x: Tensor, label: Tensor, settings: ClassifierSettings) -> Tensor:
    """The loss of a batch ``x`` (samples, ...) of classes ``label`` (samples,): the cross entropy, of shape ()."""
    if not settings.every_step:
        return F.cross_entropy(module(x), label, label_smoothing=settings.smoothing)
    scores = module[:-1](x)
    scores = scores.flatten(0, -2)
    return F.cross_entropy(scores, label.repeat(len(scores) // len(label)), label_smoothing=settings.smoothing)


@torch.no_grad()
def predict(module: nn.Module, x: np.ndarray[Any, Any]) -> Tensor:
    """Scores (samples, classes) in evaluation mode, in which the module is left."""
    module.eval()
    device = next(module.parameters()).device
    parts = [module(torch.from_numpy(x[k : k + BLOCK]).to(device)).cpu() for k in range(0, len(x), BLOCK)]
    return torch.cat(parts)


def classes_of(module: nn.Module, images: Images, most: int | None = None) -> NDArray[np.int64]:
    """Classes with the largest scores of the images, or of the first ``most``, in evaluation mode, (samples,)."""
    label: NDArray[np.int64] = predict(module, images.x[:most]).argmax(dim=1).numpy()
    return label


def accuracy(module: nn.Module, images: Images, most: int | None = None) -> float:
    """Share of the images, or of the first ``most``, whose class is right, in evaluation mode."""
    return float((classes_of(module, images, most) == images.label[:most]).mean())
