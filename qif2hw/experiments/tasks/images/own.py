"""Images that a user brings."""

from pathlib import Path

from qif2hw.data.images import open_images
from qif2hw.experiments.tasks.images.networks import small
from qif2hw.train.classify import Augmentation, Classification, ClassifierSettings, Schedule


def own(source: Path) -> Classification:
    """The task of classifying the images in a file or folder."""
    return Classification(
        name=source.name,
        summary=f"The images in {source}.",
        data=lambda other: open_images(other or source),
        network=small,
        settings=ClassifierSettings(augmentation=Augmentation(flip=True, shift=1), free=Schedule(20, 4e-3)),
    )
