"""Digits of 8 x 8 pixels."""

from pathlib import Path

from torch import nn

from qif2hw.data.images import Images, Split, open_images
from qif2hw.data.images import digits as read
from qif2hw.experiments.tasks.images.networks import square
from qif2hw.nn.models import MakeNeurons, small_conv
from qif2hw.train.classify import Augmentation, Classification, ClassifierSettings, Schedule


def images(source: Path | None) -> Split:
    """Those of scikit-learn, or images that take their place."""
    return read() if source is None else open_images(source)


def network(make: MakeNeurons, train: Images) -> nn.Sequential:
    """16C3-P2-32C3-P2-64-classes."""
    channels, size = square(train)
    return small_conv(make, channels=(channels, 16, 32), hidden=64, size=size, classes=len(train.classes))


DIGITS = Classification(
    name="digits",
    summary="1797 handwritten digits of 8 x 8 pixels, of scikit-learn; a fifth is for testing.",
    data=images,
    network=network,
    settings=ClassifierSettings(
        batch=64,
        augmentation=Augmentation(shift=1),
        free=Schedule(25, 5e-3),
        on_grid=Schedule(10, 5e-4, warm_up=0.0),
    ),
)
