"""What a network for a table learns: standardised targets, or the logits of classes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch.nn import functional as F

from qif2hw.data.columns import Numbers
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.host_part.expression import formula, given, total
from qif2hw.ir.host_part.formula import Formula
from qif2hw.ir.host_part.host import Output, Y
from qif2hw.train import first_spike
from qif2hw.train.objective import on_samples
from qif2hw.train.task import Metric, Model, Objective, Solution, Task

DEVIATIONS, LOGITS = 2.0, 4.0
"""Standard deviations of a target, and logits, per unit of time between two output spikes."""


@dataclass(frozen=True, eq=False)
class Target:
    """What a network learns.

    Parameters
    ----------
    y
        What its results should be, (rows, results); for classes 0 or 1, by the first spike their numbers (rows, 1).
    truth
        The solution of the rows, (rows, quantities).
    neurons, scale
        Output neurons, and the readout's scale.
    outputs, formula
        Of the model; None for results that are the solution.
    quantities, solution, metric
        By which the task's errors are measured.
    objective
        Loss of the results; None for the mean square error.
    make
        Builds the network; None for one whose results are differences of two first spikes.
    """

    y: FloatArray
    truth: FloatArray
    neurons: int
    scale: float
    outputs: tuple[Output, ...]
    formula: Formula | None
    quantities: tuple[str, ...]
    solution: Solution
    metric: Metric
    objective: Callable[[Task, Model, int, Model | None], Objective] | None = None
    make: Callable[[Task, int], Model] | None = None


def target_of(numbers: Numbers, train: IntArray, *, by_first_spike: bool = False) -> Target:
    """What a network learns from ``numbers``, with the rows ``train``, (rows,), to train on."""
    if by_first_spike:
        return _first_spikes(numbers)
    return _classes(numbers) if numbers.classes else _standardised(numbers, train)


def _standardised(numbers: Numbers, train: IntArray) -> Target:
    """The solution is ``mean + deviation * y``, both those of the training rows."""
    mean, deviation = numbers.y[train].mean(axis=0), numbers.y[train].std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    solution, y = formula(given(Y, len(mean)) * deviation + mean), (numbers.y - mean) / deviation
    return Target(
        y=y,
        truth=solution.evaluate({Y: y}),
        neurons=2 * len(mean),
        scale=DEVIATIONS,
        outputs=tuple(map(Output, numbers.targets)),
        formula=solution,
        quantities=numbers.targets,
        solution=lambda x, y: solution.evaluate({Y: y}),
        metric=unexplained,
    )


def _classes(numbers: Numbers) -> Target:
    """The solution is the softmax of the results; the error is the share of rows whose largest result is another's."""
    count = len(numbers.classes)
    weights = given(Y, count).exp()
    return Target(
        y=(numbers.y[:, None] == np.arange(count)).astype(np.float64),
        truth=numbers.y[:, None].astype(np.float64),
        neurons=2 * count,
        scale=LOGITS,
        outputs=tuple(Output(name) for name in numbers.classes),
        formula=formula(weights / total(weights)),
        quantities=("class",),
        solution=lambda x, y: y.argmax(axis=1)[:, None].astype(np.float64),
        metric=wrong,
        objective=cross_entropy,
    )


def _first_spikes(numbers: Numbers) -> Target:
    """The class is that of the output neuron that spikes first; the solution are these times."""
    label = numbers.y[:, None].astype(np.float64)
    return Target(
        y=label,
        truth=label,
        neurons=len(numbers.classes),
        scale=1.0,
        outputs=tuple(Output(f"spike of {name}", "time units") for name in numbers.classes),
        formula=None,
        quantities=("class",),
        solution=first_spike.first_class,
        metric=wrong,
        objective=first_spike.classification(first_spike.FirstSpikeLoss()),
        make=first_spike.network,
    )


def unexplained(y: FloatArray, truth: FloatArray) -> float:
    """Root mean square error in standard deviations of the truth, (samples,): ``sqrt(1 - R2)``."""
    error, spread = float(np.sqrt(np.square(y - truth).mean())), float(truth.std())
    return error / spread if spread > 0 else (0.0 if error == 0 else np.inf)


def wrong(y: FloatArray, truth: FloatArray) -> float:
    """Share of the classes (samples,) that are not the true ones."""
    return float((y != truth).mean())


def cross_entropy(task: Task, model: Model, seed: int, teacher: Model | None) -> Objective:
    """The cross entropy of the results as logits, and the penalty on outputs that come too late."""
    del teacher
    return on_samples(task, model, seed, F.cross_entropy)
