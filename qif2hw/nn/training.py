"""The training loop: Adam with cosine decay, then steps with weights on the hardware's grid if asked for."""

import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from qif2hw.errors import InputError
from qif2hw.files import check_writable
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.network import Network
from qif2hw.nn import checkpoint as saved
from qif2hw.nn.adam import FlatAdam
from qif2hw.nn.diagnosis import Diagnosis, diagnose
from qif2hw.nn.network import QIFNetwork
from qif2hw.nn.task import Samples, Settings, Task

Progress: TypeAlias = Callable[[int, float, float], None]
"""Called with the number of steps done, the loss and the error on the test set."""

REPORT_EVERY = 50
SAVE_EVERY = 250


@dataclass(frozen=True)
class TrainResult:
    """What training gives.

    Parameters
    ----------
    network
        The trained network; with weight bits its weights lie on the grid.
    error
        Of ``network`` on the test set, in the task's metric.
    x, y, truth
        Test inputs, the network's results and the truth.
    seconds
        Time this call took.
    diagnosis
        Of the trained network, on the training set.
    """

    network: Network
    error: float
    x: FloatArray
    y: FloatArray
    truth: FloatArray
    seconds: float
    diagnosis: Diagnosis


@dataclass(frozen=True)
class Phase:
    """A part of a training run: steps ``start`` to ``stop``, with a rate that decays to zero as a cosine."""

    start: int
    stop: int
    rate: float
    weight_bits: int | None = None
    weights_move: bool = True

    def rate_at(self, step: int) -> float:
        """Learning rate of a step."""
        return self.rate * 0.5 * (1 + math.cos(math.pi * (step - self.start) / (self.stop - self.start)))


def plan(settings: Settings, steps: int | None = None, weight_bits: int | None = None) -> tuple[Phase, ...]:
    """The phases of a run; ``steps`` replaces the steps with free weights, and the others in proportion.

    With weight bits: straight-through rounding, then the initial phases alone, which takes the error that rounding left
    most of the way back and ends at weights that no longer jump between grid points.
    """
    free = settings.steps if steps is None else steps
    if free < 1:
        raise InputError(f"steps = {free}: at least one step is needed")
    phases = [Phase(0, free, settings.learning_rate)]
    if weight_bits is not None:
        for length, weights_move in ((settings.qat_steps, True), (settings.settle_steps, False)):
            start = phases[-1].stop
            stop = start + max(1, round(length * free / settings.steps))
            phases.append(Phase(start, stop, settings.qat_learning_rate, weight_bits, weights_move))
    return tuple(phases)


def train(
    task: Task,
    *,
    seed: int = 0,
    steps: int | None = None,
    weight_bits: int | None = None,
    progress: Progress | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> TrainResult:
    """Train a network for ``task``.

    Parameters
    ----------
    task
        The problem.
    seed
        Of the initialisation and of the order of the samples: the same seed gives the same weights, bit for bit.
    steps
        Steps with free weights, instead of the task's own number.
    weight_bits
        Train on with weights on the hardware's grid of so many bits (see `qif2hw.ir.grid`).
    progress
        Called every 50 steps and at the end.
    checkpoint
        File to keep the state in. If it exists the run goes on from there and ends as if never interrupted.
    """
    started = time.perf_counter()
    settings = task.settings
    phases = plan(settings, steps, weight_bits)
    network = QIFNetwork(task.sizes, scale=task.scale, offset=task.offset, regime=task.regime, seed=seed)
    train_set, test_set = _tensors(task.train_set(seed)), task.test_set()
    optimizer = FlatAdam(network.parameter_groups())
    identity = {
        "task": task.name,
        "sizes": list(task.sizes),
        "seed": seed,
        "steps": phases[0].stop,
        "weight_bits": weight_bits,
        "settings": asdict(settings),
    }
    path = None if checkpoint is None else check_writable(checkpoint)
    done = 0
    if path is not None and path.exists():
        done = int(saved.read(path, identity, optimizer)["done"])
    for step in range(done, phases[-1].stop):
        phase = next(p for p in phases if step < p.stop)
        network.weight_bits = phase.weight_bits
        x, y = _batch(train_set, settings.batch, seed, step)
        rate = phase.rate_at(step)
        loss = _step(network, optimizer, x, y, (rate if phase.weights_move else 0.0, rate), settings.clip)
        last = step + 1 == phases[-1].stop
        if progress is not None and (last or (step + 1) % REPORT_EVERY == 0):
            progress(step + 1, loss, _evaluate(task, network, test_set)[0])
        if path is not None and (last or (step + 1) % SAVE_EVERY == 0):
            saved.write(path, {**identity, "done": step + 1}, optimizer)
    network.weight_bits = weight_bits
    error, results = _evaluate(task, network, test_set)
    return TrainResult(
        network=network.to_network(),
        error=error,
        x=test_set.x,
        y=results,
        truth=test_set.y,
        seconds=time.perf_counter() - started,
        diagnosis=diagnose(network, *train_set),
    )


def _tensors(samples: Samples) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(samples.x), torch.from_numpy(samples.y)


def _batch(samples: tuple[Tensor, Tensor], size: int | None, seed: int, step: int) -> tuple[Tensor, Tensor]:
    x, y = samples
    if size is None or size >= len(x):
        return x, y
    # The order of an epoch follows from its number alone, so that a resumed run sees the same batches.
    per_epoch = len(x) // size
    epoch, at = divmod(step, per_epoch)
    order = np.random.default_rng([seed, epoch]).permutation(len(x))[at * size : (at + 1) * size]
    chosen = torch.from_numpy(order)
    return x[chosen], y[chosen]


def _step(
    network: QIFNetwork, optimizer: FlatAdam, x: Tensor, y: Tensor, rates: tuple[float, float], clip: float
) -> float:
    run = network.run(x)
    loss = (run.y - y).square().mean() + network.deadline_penalty(run.first)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step(rates, clip)
    network.keep_inside()
    return float(loss)


@torch.no_grad()
def _evaluate(task: Task, network: QIFNetwork, test_set: Samples) -> tuple[float, FloatArray]:
    y = network(torch.from_numpy(test_set.x)).numpy()
    return task.metric(y, test_set.y), y
