"""The second-order finish of a regression: its batches, the rows of its Jacobian, and the rule by which it begins."""

import math
import time
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from qif2hw.errors import InputError
from qif2hw.ir.arrays import BoolArray, FloatArray, IntArray
from qif2hw.nn.functional.jacobian import jacobian
from qif2hw.nn.functional.output import ForwardPass
from qif2hw.nn.network import LATE, QIFNetwork
from qif2hw.simd import Reals
from qif2hw.train.optim.gauss_newton import GaussNewton
from qif2hw.train.quantize import IncrementalQuantizer
from qif2hw.train.task import Model, Task

ROWS = 2000
"""Largest number of rows of a Jacobian, those of late output spikes not counted."""
LATE_ROWS = 200
"""Largest number of late output spikes that a step looks at: the latest ones."""
LARGEST = 2**31
"""Largest size of a Jacobian and its Gram matrix, in bytes."""
ELEMENT = np.float32
"""Type of a Jacobian and its Gram matrix."""

SLOW = math.log(0.5)
"""Change of the mean logarithm of the loss from which on first-order steps lower it only slowly."""
WINDOWS = 10
"""Parts of the first-order steps whose losses are compared."""

Finish: TypeAlias = Callable[[GaussNewton, int, float, IncrementalQuantizer | None], float]
"""``finish(optimizer, step, share, quantizer)`` takes a step, of this share of its length; the loss on other samples.

With a ``quantizer`` the weights that it has put on the grid stay where they are, and it learns how much each one does.
"""


def parameters(model: QIFNetwork) -> list[nn.Parameter]:
    """All parameters in the order of a Jacobian's columns."""
    return [p for layer in model.layers for p in (layer.weight, layer.phi0)]


def regression_finish(task: Task, model: Model, seed: int) -> Finish:
    """Second-order steps of the loss of `qif2hw.train.loop.regression`.

    A step takes at most `ROWS` results, of at most half of the samples, and judges itself by as many others.
    The latest output spikes are residuals too.

    Raises
    ------
    InputError
        For another objective, another network, a single sample, and a network whose Jacobian is too large.
    """
    if task.objective is not None or not isinstance(model, QIFNetwork):
        raise InputError(f"{task.name}: a second-order finish is for regressions with layers of QIF neurons")
    x, y = (torch.from_numpy(array) for array in task.train_set(seed))
    count, columns = _batch(len(x), y.shape[1]), sum(p.numel() for p in parameters(model))
    if count < 1:
        raise InputError(f"{task.name}: a second-order finish needs two samples or more")
    if not fits(len(x), y.shape[1], columns):
        raise InputError(f"{task.name}: {columns} parameters are too many for a second-order finish of {count} samples")

    def loss(of: Tensor, quantizer: IncrementalQuantizer | None) -> float:
        with torch.no_grad():
            model.keep_inside()
            if quantizer is not None:
                quantizer.keep()
            run = model.run(x[of])
            return float((run.y - y[of]).square().mean() + model.deadline_penalty(run.first))

    def step(optimizer: GaussNewton, number: int, share: float, quantizer: IncrementalQuantizer | None = None) -> float:
        order = torch.from_numpy(np.random.default_rng([seed, 1, number]).permutation(len(x)))
        batch, others = order[:count], order[count : 2 * count]
        run = model.run(x[batch])
        rows, missing = _residuals(model, run, y[batch])
        if quantizer is None:
            optimizer.turn(rows, missing)
        else:
            free = _free(model, rows, quantizer)
            optimizer.turn(rows[:, free], missing, free)
        return optimizer.move(lambda: loss(others, quantizer), share)

    return step


def _batch(samples: int, outputs: int) -> int:
    """Samples of a step."""
    return min(max(1, ROWS // outputs), samples // 2)


def fits(samples: int, outputs: int, parameters: int) -> bool:
    """Whether there are samples enough for a second-order step, and memory."""
    count = _batch(samples, outputs)
    rows = count * outputs + LATE_ROWS
    return count > 0 and rows * (parameters + 2 * rows) * np.dtype(ELEMENT).itemsize <= LARGEST


def seconds_of_a_step(finish: Finish, model: QIFNetwork) -> float:
    """What a second-order step takes; the model stays as it is."""
    for _ in range(2):  # kernels are compiled in the first
        start = time.perf_counter()
        finish(GaussNewton(parameters(model)), 0, 0.0, None)
    return time.perf_counter() - start


def _free(model: QIFNetwork, rows: Reals, quantizer: IncrementalQuantizer) -> BoolArray:
    """Parameters that are not on the grid, after the quantizer has taken note of the derivatives by the weights."""
    every = parameters(model)
    square = torch.from_numpy(np.einsum("ij,ij->j", rows, rows, dtype=np.float64) / len(rows))
    of = {id(p): part for p, part in zip(every, square.split([p.numel() for p in every]), strict=True)}
    quantizer.note_squares([of[id(w)].view(w.shape) for w in quantizer.weights])
    free = {id(w): mask for w, mask in zip(quantizer.weights, quantizer.free(), strict=True)}
    moves = [free.get(id(p), torch.ones(p.shape, dtype=torch.bool)).reshape(-1) for p in every]
    return np.asarray(torch.cat(moves).numpy(), np.bool_)


def _residuals(model: QIFNetwork, run: ForwardPass, wanted: Tensor) -> tuple[Reals, FloatArray]:
    """Rows of the Jacobian, and what is missing: of all results, and of the latest output spikes."""
    batch, outputs = wanted.shape
    late = model.lateness(run.first.detach()).numpy()
    weight = math.sqrt(LATE * outputs / late.shape[1])
    latest = np.argsort(-late, axis=None, kind="stable")[:LATE_ROWS]
    sample, neuron = np.unravel_index(latest[late.ravel()[latest] > 0], late.shape)
    samples: IntArray = np.concatenate([np.repeat(np.arange(batch), outputs), sample])
    by_y, by_first = np.zeros((len(samples), outputs)), np.zeros((len(samples), late.shape[1]))
    by_y[: batch * outputs] = np.tile(np.eye(outputs), (batch, 1))
    by_first[np.arange(batch * outputs, len(samples)), neuron] = weight
    missing = (wanted - run.y.detach()).numpy().ravel()
    return (
        jacobian(run, samples, by_y=by_y, by_first=by_first, dtype=ELEMENT),
        np.concatenate([missing, -weight * late[sample, neuron]]),
    )


class Slowness:
    """Whether first-order steps lower the loss only slowly: the rule by which the second-order finish begins.

    The logarithms of the losses of a tenth of the steps are averaged.  A tenth in which the average falls by less
    than a factor of two is the last one: the finish gains more in a few steps.

    Parameters
    ----------
    steps
        Number of the first-order steps.
    """

    def __init__(self, steps: int) -> None:
        self._window = max(1, steps // WINDOWS)
        self._seen = torch.tensor([0.0, 0.0, torch.inf], dtype=torch.float64)

    def state(self) -> dict[str, Tensor]:
        """State to go on from, to be restored in place: sum and number in this window, the last one's mean; (3,)."""
        return {"slowness": self._seen}

    def after(self, loss: float) -> bool:
        """Take note of a step's loss; whether the steps should end with it."""
        self._seen[0] += math.log(max(loss, 1e-300))
        self._seen[1] += 1
        if self._seen[1] < self._window:
            return False
        now, last = float(self._seen[0]) / self._window, float(self._seen[2])
        self._seen.copy_(torch.tensor([0.0, 0.0, now], dtype=torch.float64))
        return now > last + SLOW
