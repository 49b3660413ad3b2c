"""Fashion-MNIST: 70 000 images of clothes, 28 x 28 pixels."""

from pathlib import Path

from qif2hw.data.images import Split, open_images
from qif2hw.data.images import fashion_mnist as read
from qif2hw.experiments.tasks.images.networks import small
from qif2hw.train.classify import Augmentation, Classification, ClassifierSettings, Schedule


def images(source: Path | None) -> Split:
    """From where Debian's package puts them, or images that take their place."""
    return read() if source is None else open_images(source)


FASHION_MNIST = Classification(
    name="fashion_mnist",
    summary="60 000 images of clothes of 28 x 28 pixels in ten classes, and 10 000 for testing.",
    data=images,
    network=small,
    settings=ClassifierSettings(augmentation=Augmentation(flip=True), free=Schedule(10, 4e-3)),
)
