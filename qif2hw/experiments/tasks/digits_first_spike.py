"""Digits of 8 x 8 pixels, told apart by the first spike."""

from pathlib import Path

from qif2hw.data.images import digits, open_images
from qif2hw.train.classify import Augmentation
from qif2hw.train.first_spike import FirstSpikeLoss, image_task
from qif2hw.train.task import Settings, Task


def make(source: Path | None = None, split: int = 0) -> Task:
    """The task, with images of a file or folder, or scikit-learn's with another fifth for testing."""
    return image_task(
        "digits_first_spike",
        "1797 handwritten digits of 8 x 8 pixels, of scikit-learn, by the first spike; a fifth is for testing",
        lambda: digits(split) if source is None else open_images(source),
        shape=(1, 8, 8),
        largest=16.0,
        classes=tuple("0123456789"),
        hidden=(256,),
        settings=Settings(steps=6000, learning_rate=3e-3, batch=64),
        loss=FirstSpikeLoss(scale=10.0, smoothing=0.05),
        augmentation=Augmentation(shift=1),
    )


DIGITS_FIRST_SPIKE = make()
"""The task."""
