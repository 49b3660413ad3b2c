r"""Encodings of inputs before they become spike times: Gaussian receptive fields.

Without them (direct latency encoding) each input is one channel, ``t = latest - x (latest - earliest)``.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray
from qif2hw.train.task import Samples, Task


def receptive_fields(x: FloatArray, count: int, overlap: float = 1.0) -> FloatArray:
    r"""Activities :math:`\exp(-(x - c_k)^2 / 2 \sigma^2)` of ``count`` fields for each input.

    Centres :math:`c_k` lie evenly on [0, 1], both ends included; :math:`\sigma` is ``overlap`` times their distance.
    Activities are in (0, 1]: the latency encoder makes spike times of them, the closest field spikes first.

    Parameters
    ----------
    x
        Inputs (samples, inputs) in [0, 1].
    count
        Fields per input, at least two.
    overlap
        Width of a field in units of the distance between two.

    Returns
    -------
    FloatArray
        (samples, inputs * count), the fields of one input side by side.

    Raises
    ------
    InputError
        For less than two fields or an overlap that is not positive.
    """
    if count < 2:
        raise InputError(f"{count} receptive fields per input: at least two are needed")
    if not overlap > 0:
        raise InputError(f"overlap {overlap:g} of receptive fields: a positive number is needed")
    distance = (x[:, :, None] - np.linspace(0.0, 1.0, count)) * ((count - 1) / overlap)
    activity: FloatArray = np.exp(-0.5 * distance**2)
    return activity.reshape(len(x), -1)


def with_receptive_fields(task: Task, count: int, overlap: float = 1.0) -> Task:
    """A regression task with its inputs encoded by `receptive_fields`; its network gets ``count`` channels per input.

    Raises
    ------
    InputError
        If the task is more than a regression: the losses of the others work on the inputs themselves.
    """
    if task.objective is not None or task.make is not None:
        raise InputError(f"task '{task.name}' works on its inputs themselves: receptive fields are for regressions")

    def encoded(samples: Samples) -> Samples:
        return samples._replace(x=receptive_fields(samples.x, count, overlap))

    train_set: Callable[[int], Samples] = task.train_set
    test_set = task.test_set
    return replace(
        task,
        name=f"{task.name} ({count} receptive fields)",
        train_set=lambda seed: encoded(train_set(seed)),
        test_set=lambda: encoded(test_set()),
        sizes=(task.sizes[0] * count, *task.sizes[1:]),
    )
