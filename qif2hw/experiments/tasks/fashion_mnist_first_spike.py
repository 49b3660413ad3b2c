"""Fashion-MNIST, 70 000 images of clothes of 28 x 28 pixels, told apart by the first spike."""

from pathlib import Path

from qif2hw.data.images import FASHION_CLASSES, fashion_mnist, open_images
from qif2hw.train.classify import Augmentation
from qif2hw.train.first_spike import FirstSpikeLoss, image_task
from qif2hw.train.task import Settings, Task


def make(source: Path | None = None) -> Task:
    """The task, with the images of Debian's package or of a file or folder."""
    return image_task(
        "fashion_mnist_first_spike",
        "60 000 images of clothes of 28 x 28 pixels in ten classes, and 10 000 for testing, by the first spike",
        lambda: fashion_mnist() if source is None else open_images(source),
        shape=(1, 28, 28),
        largest=255.0,
        classes=FASHION_CLASSES,
        hidden=(512,),
        settings=Settings(steps=4800, learning_rate=2e-3, batch=256, optimizer="soap"),
        loss=FirstSpikeLoss(scale=10.0, smoothing=0.05),
        augmentation=Augmentation(shift=1),
    )


FASHION_MNIST_FIRST_SPIKE = make()
"""The task."""
