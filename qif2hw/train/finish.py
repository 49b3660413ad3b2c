"""The second-order finish: its batches of residuals, the rows of their Jacobian, and the rule by which it begins."""

import math
import time
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from qif2hw.errors import InputError
from qif2hw.ir.arrays import BoolArray
from qif2hw.simd import Reals
from qif2hw.train.optim.gauss_newton import GaussNewton
from qif2hw.train.quantize import IncrementalQuantizer
from qif2hw.train.residuals import LATE_ROWS, Draw, Residuals, networks
from qif2hw.train.task import Model, Task

ROWS = 2000
"""Largest number of rows of a Jacobian, those of late output spikes not counted."""
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


def parameters(model: Model) -> list[nn.Parameter]:
    """All parameters in the order of a Jacobian's columns."""
    return [p for network in networks(model) for layer in network.layers for p in (layer.weight, layer.phi0)]


def check(task: Task, model: Model) -> None:
    """`InputError` for a task whose loss is no sum of squared residuals, and for a network of other neurons."""
    if task.residuals is None and task.objective is not None:
        raise InputError(f"{task.name}: a second-order finish needs residuals, and this loss is not made of squares")
    if not parameters(model) or len(parameters(model)) != sum(map(len, model.parameter_groups())):
        raise InputError(f"{task.name}: a second-order finish is for networks with layers of QIF neurons")


def finish_of(task: Task, model: Model, seed: int, teacher: Model | None = None) -> Finish:
    """Second-order steps of the loss of a task: of `Task.residuals`, or of a regression's.

    A step takes at most `ROWS` residuals, and judges itself by as many others.  The latest output spikes are residuals
    too.

    Raises
    ------
    InputError
        For another loss or network, a single sample, and a network whose Jacobian is too large.
    """
    check(task, model)
    assert isinstance(model, nn.Module)
    draw = residuals_of(task, model, seed, teacher)
    equations = draw(0, 1)[0].values(model).shape[1]
    groups = max(1, ROWS // equations)
    rows = len(draw(0, groups)[0].takes[0]) * equations
    columns = sum(p.numel() for p in parameters(model))
    if not _in_memory(rows, columns):
        raise InputError(f"{task.name}: {columns} parameters are too many for a second-order finish of {rows} rows")

    def loss(of: Residuals, quantizer: IncrementalQuantizer | None) -> float:
        model.keep_inside()
        if quantizer is not None:
            quantizer.keep()
        return of.loss(model)

    def step(optimizer: GaussNewton, number: int, share: float, quantizer: IncrementalQuantizer | None = None) -> float:
        batch, others = draw(number, groups)
        rows, missing = batch.rows(model, ELEMENT)
        if quantizer is None:
            optimizer.turn(rows, missing)
        else:
            free = _free(model, rows, quantizer)
            optimizer.turn(rows[:, free], missing, free)
        return optimizer.move(lambda: loss(others, quantizer), share)

    return step


def residuals_of(task: Task, model: Model, seed: int, teacher: Model | None = None) -> Draw:
    """What the loss of a task squares: `Task.residuals`, or what is left of a regression."""
    return (task.residuals or regression_residuals)(task, model, seed, teacher)


def regression_residuals(task: Task, model: Model, seed: int, teacher: Model | None) -> Draw:
    """What is left of a regression: a group for each sample, an equation for each result; at most half of the samples.

    Raises
    ------
    InputError
        If there is a single sample.
    """
    del model, teacher
    x, y = (torch.from_numpy(array) for array in task.train_set(seed))
    if len(x) < 2:
        raise InputError(f"{task.name}: a second-order finish needs two samples or more")

    def residuals(of: Tensor) -> Residuals:
        wanted, number = y[of], y.shape[1]
        return Residuals((x[of],), (np.arange(len(of))[:, None],), lambda r: (r[:, 0] - wanted) / math.sqrt(number))

    def draw(step: int, groups: int) -> tuple[Residuals, Residuals]:
        order = torch.from_numpy(np.random.default_rng([seed, 1, step]).permutation(len(x)))
        count = min(groups, len(x) // 2)
        return residuals(order[:count]), residuals(order[count : 2 * count])

    return draw


def fits(samples: int, outputs: int, parameters: int) -> bool:
    """Whether a regression has samples enough for a second-order step, and there is memory."""
    groups = min(max(1, ROWS // outputs), samples // 2)
    return groups > 0 and _in_memory(groups * outputs, parameters)


def _in_memory(rows: int, parameters: int) -> bool:
    """Whether a Jacobian and its Gram matrix are small enough."""
    rows += LATE_ROWS
    return rows * (parameters + 2 * rows) * np.dtype(ELEMENT).itemsize <= LARGEST


def seconds_of_a_step(finish: Finish, model: Model) -> float:
    """What a second-order step takes; the model stays as it is."""
    for _ in range(2):  # kernels are compiled in the first
        start = time.perf_counter()
        finish(GaussNewton(parameters(model)), 0, 0.0, None)
    return time.perf_counter() - start


def _free(model: Model, rows: Reals, quantizer: IncrementalQuantizer) -> BoolArray:
    """Parameters that are not on the grid, after the quantizer has taken note of the derivatives by the weights."""
    every = parameters(model)
    square = torch.from_numpy(np.einsum("ij,ij->j", rows, rows, dtype=np.float64) / len(rows))
    of = {id(p): part for p, part in zip(every, square.split([p.numel() for p in every]), strict=True)}
    quantizer.note_squares([of[id(w)].view(w.shape) for w in quantizer.weights])
    free = {id(w): mask for w, mask in zip(quantizer.weights, quantizer.free(), strict=True)}
    moves = [free.get(id(p), torch.ones(p.shape, dtype=torch.bool)).reshape(-1) for p in every]
    return np.asarray(torch.cat(moves).numpy(), np.bool_)


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
