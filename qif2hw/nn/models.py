"""Convolutional spiking networks of neurons in time steps: a small one, VGGSNN and ResNet-19.

Images (N, C, H, W) are held for all steps: the first convolution and its normalisation run once, and its neurons
receive a constant current.  With ``frames`` the input is (N, T, C, H, W), one frame per step.  The result is the mean
over steps of the last layer's output, (N, classes).

References
----------
H. Zheng, Y. Wu, L. Deng, Y. Hu and G. Li, *Going Deeper With Directly-Trained Larger Spiking Neural Networks*, AAAI,
2021 (tdBN, ResNet-19).
S. Deng, Y. Li, S. Zhang and S. Gu, *Temporal Efficient Training of Spiking Neural Network via Gradient Re-weighting*,
ICLR, 2022 (VGGSNN).
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

from torch import Tensor, nn

from qif2hw.discrete import Stepped, SteppedLIF, SteppedQIF
from qif2hw.errors import InputError
from qif2hw.nn.discrete import LIF, Accumulate, DiscreteQIF, Frames, SteppedNeurons

MakeNeurons: TypeAlias = Callable[..., SteppedNeurons]
"""Makes the neurons of a layer; ``hold=True`` for a constant current."""


def neurons(neuron: Stepped | None = None, *, time_steps: int, **options: Any) -> MakeNeurons:
    """How the layers of a network make their neurons; ``options`` are those of `SteppedNeurons`."""
    given = SteppedQIF() if neuron is None else neuron
    family: Any = LIF if isinstance(given, SteppedLIF) else DiscreteQIF

    def make(hold: bool = False) -> SteppedNeurons:
        made: SteppedNeurons = family(given, time_steps=time_steps, hold=hold, **options)
        return made

    return make


def threshold_norm(features: int, threshold: float, *, share: float = 1.0, flat: bool = False) -> nn.Module:
    """Batch normalisation over steps and samples whose output starts with the deviation ``share threshold`` (tdBN).

    Parameters
    ----------
    features
        Channels.
    threshold
        Threshold of the neurons that follow.
    share
        Part of it; ``1 / sqrt(2)`` where two branches are added.
    flat
        Normalise (T N, features), not (T N, features, H, W).
    """
    norm: nn.BatchNorm1d | nn.BatchNorm2d = (nn.BatchNorm1d if flat else nn.BatchNorm2d)(features)
    nn.init.constant_(norm.weight, share * threshold)
    return norm


def _conv(pre: int, post: int, make: MakeNeurons, *, hold: bool = False) -> list[nn.Module]:
    """Convolution 3 x 3, normalisation, neurons."""
    layer = make(hold=hold)
    return [nn.Conv2d(pre, post, 3, padding=1, bias=False), threshold_norm(post, layer.neuron.threshold), layer]


def small_conv(
    make: MakeNeurons, *, classes: int = 10, channels: Sequence[int] = (1, 16, 32), hidden: int = 256, size: int = 28,
    frames: bool = False,
) -> nn.Sequential:  # fmt: skip
    """16C3-P2-32C3-P2-256-classes, for images of ``size`` x ``size``.

    Parameters
    ----------
    make
        See `neurons`.
    classes
        Number of them.
    channels
        Of the images and of the convolutions.
    hidden
        Neurons of the layer before the last.
    size
        Side of the images.
    frames
        Whether the input has one frame per step.
    """
    smallest = 2 ** (len(channels) - 1)
    if size < smallest:
        raise InputError(
            f"images of {size} x {size}: the {len(channels) - 1} poolings need at least {smallest} x {smallest}"
        )
    layers = [*_head(channels[0], channels[1], make, frames), nn.AvgPool2d(2)]
    for pre, post in pairwise(channels[1:]):
        layers += [*_conv(pre, post, make), nn.AvgPool2d(2)]
    last = make()
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(channels[-1] * (size // smallest) ** 2, hidden, bias=False),
        threshold_norm(hidden, last.neuron.threshold, flat=True), last,
        nn.Linear(hidden, classes), Accumulate(last.time_steps),
    )  # fmt: skip


def _head(channels: int, post: int, make: MakeNeurons, frames: bool) -> list[nn.Module]:
    return [*([Frames()] if frames else []), *_conv(channels, post, make, hold=not frames)]


def vggsnn(
    make: MakeNeurons, *, classes: int = 10, channels: int = 2, size: int = 48, frames: bool = True
) -> nn.Sequential:
    """64C3-128C3-P2-256C3-256C3-P2-512C3-512C3-P2-512C3-512C3-P2-classes; `InputError` on images below 16 x 16."""
    if size < 16:
        raise InputError(f"images of {size} x {size}: the four poolings need at least 16 x 16")
    layers = _head(channels, 64, make, frames) + _conv(64, 128, make)
    for pre, post in (128, 256), (256, 512), (512, 512):
        layers += [nn.AvgPool2d(2), *_conv(pre, post, make), *_conv(post, post, make)]
    outputs = nn.Linear(512 * (size // 16) ** 2, classes)
    return nn.Sequential(*layers, nn.AvgPool2d(2), nn.Flatten(), outputs, Accumulate(make().time_steps))


class ResidualBlock(nn.Module):
    """Two convolutions 3 x 3 with neurons between them, added to the input (or its projection) before the last neurons.

    Parameters
    ----------
    pre, post
        Channels of input and output.
    stride
        Stride of the first convolution and of the projection.
    make
        See `neurons`.
    """

    def __init__(self, pre: int, post: int, stride: int, make: MakeNeurons) -> None:
        super().__init__()
        self.inner, self.outer = make(), make()
        threshold, share = self.outer.neuron.threshold, 1 / math.sqrt(2)
        self.conv1 = nn.Conv2d(pre, post, 3, stride, padding=1, bias=False)
        self.norm1 = threshold_norm(post, threshold)
        self.conv2 = nn.Conv2d(post, post, 3, padding=1, bias=False)
        self.norm2 = threshold_norm(post, threshold, share=share)
        self.shortcut: nn.Module = nn.Identity()
        if pre != post or stride != 1:
            projection = nn.Conv2d(pre, post, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, threshold_norm(post, threshold, share=share))

    def forward(self, x: Tensor) -> Tensor:
        """Spikes (T N, post, H / stride, W / stride)."""
        inner = self.inner(self.norm1(self.conv1(x)))
        spikes: Tensor = self.outer(self.norm2(self.conv2(inner)) + self.shortcut(x))
        return spikes


def resnet19(make: MakeNeurons, *, classes: int = 10, channels: int = 3, frames: bool = False) -> nn.Sequential:
    """ResNet-19: a convolution to 128 channels, 3 + 3 + 2 residual blocks of 128, 256 and 512, and 256 neurons."""
    layers, pre = _head(channels, 128, make, frames), 128
    for post, blocks in (128, 3), (256, 3), (512, 2):
        for block in range(blocks):
            layers.append(ResidualBlock(pre, post, 2 if block == 0 and post > 128 else 1, make))
            pre = post
    hidden = make()
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 256, bias=False),
        threshold_norm(256, hidden.neuron.threshold, flat=True), hidden,
        nn.Linear(256, classes), Accumulate(hidden.time_steps),
    )  # fmt: skip
