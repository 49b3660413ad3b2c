"""Synapses with equal weights in blocks of sources, as average pooling leaves them: the sources can be added up first.

A convolution of 6 x 6 with stride 2 whose weights are equal in blocks of 2 x 2 is one of 3 x 3 over sums of 2 x 2
sources: the same whole numbers, with a quarter of the products.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qif2hw.ir.synapses import AnySynapses, Conv2d, Dense

Pair = tuple[int, int]


@dataclass(frozen=True)
class Blocks:
    """Synapses of sums over blocks of sources.

    Parameters
    ----------
    shape
        Channels, height and width of the sources; with all of them in one row where they have no places.
    block
        Height and width of a block; blocks begin at the top left, and those at the end may be cut off.
    synapses, weight
        From the sums, (channels, blocks down, blocks across), to the neurons.
    """

    shape: tuple[int, int, int]
    block: Pair
    synapses: AnySynapses
    weight: NDArray[Any]

    @property
    def blocks(self) -> tuple[int, int, int]:
        """Channels, blocks down and blocks across."""
        channels, *sides = self.shape
        down, across = (-(-n // b) for n, b in zip(sides, self.block, strict=True))
        return channels, down, across


def blocks_of(synapses: AnySynapses, weight: NDArray[Any], shape: tuple[int, ...]) -> Blocks:
    """The largest blocks with equal weights; sources have a shape (channels, height, width) or (channels,)."""
    if isinstance(synapses, Conv2d):
        block = _largest(weight, [_divisors(synapses, axis) for axis in (0, 1)])
        return _convolution(synapses, weight, block)
    if isinstance(synapses, Dense) and len(shape) == 3:
        planes = weight.reshape(len(weight), *shape)
        block = _largest(planes, [[b for b in range(1, n + 1) if n % b == 0] for n in shape[1:]])
        own = np.ascontiguousarray(planes[..., :: block[0], :: block[1]].reshape(len(weight), -1))
        return Blocks((shape[0], shape[1], shape[2]), block, Dense(*own.shape), own)
    return Blocks((1, 1, synapses.shape[1]), (1, 1), synapses, weight)


def _convolution(synapses: Conv2d, weight: NDArray[Any], block: Pair) -> Blocks:
    def fewer(numbers: Pair) -> Pair:
        return numbers[0] // block[0], numbers[1] // block[1]

    whole = Blocks(synapses.in_shape, block, synapses, np.ascontiguousarray(weight[..., :: block[0], :: block[1]]))
    if block == (1, 1):
        return whole
    # Blocks that are cut off at the end: the output keeps its size, which their padding may exceed.
    own = replace(
        synapses, in_shape=whole.blocks, kernel=fewer(synapses.kernel), stride=fewer(synapses.stride),
        padding=fewer(synapses.padding),
    )  # fmt: skip
    fits = own.out_shape == synapses.out_shape
    return replace(whole, synapses=own) if fits else _convolution(synapses, weight, (1, 1))


def _divisors(synapses: Conv2d, axis: int) -> list[int]:
    """Sides of blocks that tile the kernel and its places along an axis."""
    numbers = (synapses.kernel[axis], synapses.stride[axis], synapses.padding[axis])
    largest = synapses.kernel[axis] if synapses.dilation[axis] == 1 else 1
    return [b for b in range(1, largest + 1) if not any(n % b for n in numbers)]


def _largest(weight: NDArray[Any], sides: list[list[int]]) -> Pair:
    """The longest sides along the last two axes in which weights are equal."""
    found = []
    for axis, choices in zip((-2, -1), sides, strict=True):
        lines = np.moveaxis(weight, axis, -1)
        for b in sorted(choices, reverse=True):
            split = lines.reshape(*lines.shape[:-1], -1, b)
            if (split == split[..., :1]).all():
                found.append(b)
                break
    return found[0], found[1]
