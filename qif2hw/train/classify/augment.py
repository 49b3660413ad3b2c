"""Random changes of training images: flips, shifts, patches that are left out."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """How images are changed, each anew in every epoch.

    Parameters
    ----------
    flip
        Mirror every second image, left to right.
    shift
        Most pixels by which an image is moved in each direction; what comes in is 0.
    patch
        Side of a square that is set to 0, at a random place; 0 for none.
    """

    flip: bool = False
    shift: int = 0
    patch: int = 0


def augment(images: Tensor, how: Augmentation, rng: np.random.Generator) -> Tensor:
    """Changed images (samples, [T,] C, H, W); all frames of a sample are changed alike."""
    samples, (height, width), device = len(images), images.shape[-2:], images.device
    if how.flip or how.shift:
        moved = rng.integers(-how.shift, how.shift + 1, (2, samples, 1))
        rows, columns = np.arange(height) + moved[0], np.arange(width) + moved[1]
        if how.flip:
            mirrored = rng.random(samples) < 0.5
            columns[mirrored] = columns[mirrored, ::-1]
        pad = (how.shift,) * 4
        padded = torch.nn.functional.pad(images, pad).movedim((-2, -1), (1, 2))
        sample, row, column = (
            torch.from_numpy(np.ascontiguousarray(index)).to(device)
            for index in (
                np.arange(samples)[:, None, None],
                rows[:, :, None] + how.shift,
                columns[:, None, :] + how.shift,
            )
        )
        images = padded[sample, row, column].movedim((1, 2), (-2, -1))
    if how.patch:
        top, left = rng.integers(0, height, (samples, 1)), rng.integers(0, width, (samples, 1))
        half = how.patch // 2
        inside = [
            (np.arange(size) >= first - half) & (np.arange(size) < first - half + how.patch)
            for size, first in ((height, top), (width, left))
        ]
        kept = torch.from_numpy(~(inside[0][:, :, None] & inside[1][:, None, :])).to(device)
        images = images * kept.view(samples, *[1] * (images.ndim - 3), height, width)
    return images.contiguous()
