"""What a training run needs to know about a problem."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import numpy as np

from qif2hw.ir.arrays import FloatArray
from qif2hw.nn.network import Regime


class Samples(NamedTuple):
    """Inputs (samples, inputs), scaled to [0, 1], and the results wanted (samples, outputs)."""

    x: FloatArray
    y: FloatArray


@dataclass(frozen=True)
class Settings:
    """How to train.

    Parameters
    ----------
    steps, learning_rate
        Adam steps with free weights; the rate decays to zero as a cosine.
    qat_steps, settle_steps, qat_learning_rate
        If weight bits are asked for: further steps with weights on the grid (straight-through), then steps in which the
        weights stay where they are and the initial phases alone take up the rounding.
    batch
        Samples per step, drawn anew in every epoch; None takes all of them.
    clip
        Largest gradient norm.
    """

    steps: int = 2000
    learning_rate: float = 1e-2
    qat_steps: int = 1000
    settle_steps: int = 500
    qat_learning_rate: float = 2e-3
    batch: int | None = None
    clip: float = 1.0


Metric: TypeAlias = Callable[[FloatArray, FloatArray], float]


def relative_l2(y: FloatArray, truth: FloatArray) -> float:
    """``|y - truth| / |truth|``."""
    return float(np.linalg.norm(y - truth) / np.linalg.norm(truth))


@dataclass(frozen=True)
class Task:
    """A regression problem.

    Parameters
    ----------
    name, summary
        One word, and one line for a list of tasks.
    domain
        Range of every input; the lower end is scaled to 0, the upper one to 1.
    train_set, test_set
        ``train_set(seed)`` and ``test_set()``.
    sizes
        Of the network: inputs, hidden layers, outputs times two.
    scale, offset
        Of the readout ``y = offset + scale (t2 - t1)``.
    settings, regime
        How to train, and the times the network works with.
    metric
        Error of results against the truth.
    """

    name: str
    summary: str
    domain: tuple[tuple[float, float], ...]
    train_set: Callable[[int], Samples]
    test_set: Callable[[], Samples]
    sizes: tuple[int, ...]
    scale: float = 1.0
    offset: float = 0.0
    settings: Settings = field(default_factory=Settings)
    regime: Regime = field(default_factory=Regime)
    metric: Metric = relative_l2
