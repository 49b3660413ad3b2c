"""Networks for images of any number of channels and classes."""

from collections.abc import Callable

from torch import nn

from qif2hw.data.images import Images
from qif2hw.errors import InputError
from qif2hw.nn.models import MakeNeurons, resnet19, small_conv
from qif2hw.nn.models import vggsnn as make_vggsnn


def square(images: Images) -> tuple[int, int]:
    """Channels and side of the images; `InputError` if they are not square."""
    channels, height, width = images.x.shape[-3:]
    if height != width:
        raise InputError(f"images of {height} x {width}: the networks that are offered take square ones")
    return channels, height


def small(make: MakeNeurons, images: Images) -> nn.Sequential:
    """32C3-P2-64C3-P2-256-classes."""
    channels, size = square(images)
    frames, classes = images.x.ndim == 5, len(images.classes)
    return small_conv(make, channels=(channels, 32, 64), size=size, classes=classes, frames=frames)


def vggsnn(make: MakeNeurons, images: Images) -> nn.Sequential:
    """`qif2hw.nn.models.vggsnn`."""
    channels, size = square(images)
    return make_vggsnn(make, channels=channels, size=size, classes=len(images.classes), frames=images.x.ndim == 5)


def resnet(make: MakeNeurons, images: Images) -> nn.Sequential:
    """`qif2hw.nn.models.resnet19`."""
    channels, _ = square(images)
    return resnet19(make, channels=channels, classes=len(images.classes), frames=images.x.ndim == 5)


NETWORKS: dict[str, Callable[[MakeNeurons, Images], nn.Sequential]] = {
    "small": small,
    "vggsnn": vggsnn,
    "resnet19": resnet,
}
"""Networks by name."""
