"""How a classifier in time steps is trained."""

from dataclasses import dataclass

from qif2hw.train.classify.augment import Augmentation


@dataclass(frozen=True)
class ClassifierSettings:
    """How to train.

    Parameters
    ----------
    epochs
        Passes over the training set.
    batch
        Samples of a step.
    learning_rate, weight_decay
        Of AdamW; the rate rises for ``warm_up`` of the steps and decays to zero as a cosine.
    warm_up
        Share of all steps.
    every_step
        The loss is the mean of the cross-entropies of every time step's scores (temporal efficient training), not the
        cross-entropy of their mean.
    smoothing
        Label smoothing.
    augmentation
        Random changes of the images.
    average
        Decay of the average of the parameters that is the result, per step; 0 for the last parameters themselves.
    quantized_epochs, quantized_rate
        If weight bits are asked for: further epochs with weights on the grid, and their largest rate.

    References
    ----------
    S. Deng, Y. Li, S. Zhang and S. Gu, *Temporal Efficient Training of Spiking Neural Network via Gradient
    Re-weighting*, ICLR, 2022.
    """

    epochs: int = 10
    batch: int = 128
    learning_rate: float = 4e-3
    weight_decay: float = 1e-3
    warm_up: float = 0.2
    every_step: bool = False
    smoothing: float = 0.05
    augmentation: Augmentation = Augmentation()
    average: float = 0.0
    quantized_epochs: int = 2
    quantized_rate: float = 5e-4
