"""How a classifier in time steps is trained."""

import math
from dataclasses import dataclass, field

from qif2hw.train.classify.augment import Augmentation


@dataclass(frozen=True)
class Schedule:
    """How long to train at which rates: up to the largest rate, then down to zero, as cosines.

    Parameters
    ----------
    epochs
        Passes over the training set.
    rate
        The largest rate.
    warm_up
        Share of the updates in which the rate rises, from a tenth of the largest.
    steps
        Updates, in place of epochs.
    """

    epochs: int
    rate: float
    warm_up: float = 0.2
    steps: int | None = None

    def updates(self, per_epoch: int) -> int:
        """Number of updates."""
        return self.epochs * per_epoch if self.steps is None else self.steps

    def rate_at(self, done: int, total: int) -> float:
        """Rate of the next update after ``done`` of ``total``."""
        progress = done / total
        if progress < self.warm_up:
            return self.rate * (0.55 - 0.45 * math.cos(math.pi * progress / self.warm_up))
        return self.rate * (0.5 + 0.5 * math.cos(math.pi * (progress - self.warm_up) / (1 - self.warm_up)))


@dataclass(frozen=True)
class ClassifierSettings:
    """How to train.

    Parameters
    ----------
    batch
        Samples of an update.
    weight_decay
        Of AdamW.
    every_step
        The loss is the mean of the cross-entropies of every time step's scores (temporal efficient training), not the
        cross-entropy of their mean.
    smoothing
        Label smoothing.
    augmentation
        Random changes of the images.
    average
        Decay of the average of the parameters that is the result, per step; 0 for the last parameters themselves.
    free
        Schedule of the training with free weights.
    on_grid
        Of what follows, with weights on the hardware's grid, if weight bits are asked for.

    References
    ----------
    S. Deng, Y. Li, S. Zhang and S. Gu, *Temporal Efficient Training of Spiking Neural Network via Gradient
    Re-weighting*, ICLR, 2022.
    """

    batch: int = 128
    weight_decay: float = 1e-3
    every_step: bool = False
    smoothing: float = 0.05
    augmentation: Augmentation = field(default_factory=Augmentation)
    average: float = 0.0
    free: Schedule = field(default_factory=lambda: Schedule(10, 4e-3))
    on_grid: Schedule = field(default_factory=lambda: Schedule(3, 5e-4, warm_up=0.0))
