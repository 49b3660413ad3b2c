"""Training of classifiers in time steps: images, surrogate gradients, weights on the hardware's grid."""

from qif2hw.train.classify.augment import Augmentation
from qif2hw.train.classify.settings import ClassifierSettings, Schedule
from qif2hw.train.classify.task import NEURONS, Classification, ClassifierResult, build, train_classifier

__all__ = [
    "NEURONS",
    "Augmentation",
    "Classification",
    "ClassifierResult",
    "ClassifierSettings",
    "Schedule",
    "build",
    "train_classifier",
]
