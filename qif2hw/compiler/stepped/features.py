"""What the weights of a channel meet: sources, or sums of sources with equal weights, and their covariance."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qif2hw.engine.stepped.blocks import Blocks, blocks_of
from qif2hw.engine.stepped.convolution import sum_blocks
from qif2hw.ir import Conv2d, Dense, Projection
from qif2hw.ir.arrays import FloatArray

MOST = 4096
"""Features of which a covariance is held."""
MOST_PRODUCTS = 40_000_000_000
"""Products of features in a covariance; it is taken at fewer places where there would be more."""
EXACT = 1 << 24
"""Sums of whole numbers below this are exact in float32."""
ENTRIES = 1 << 24
"""Features that are laid out at a time."""


@dataclass(frozen=True)
class Features:
    """The features of a projection; sources that an average pooling joins are one."""

    projection: Projection
    blocks: Blocks

    @classmethod
    def of(cls, projection: Projection, shape: tuple[int, ...]) -> "Features | None":
        """Of synapses that all neurons of a channel have alike, and sources of a shape; None for others or too many."""
        synapses = projection.synapses
        alike = isinstance(synapses, Dense) or (isinstance(synapses, Conv2d) and synapses.groups == 1)
        if not alike or projection.delay is not None:
            return None
        found = cls(projection, blocks_of(synapses, projection.weight, shape))
        return found if found.count <= MOST else None

    @property
    def count(self) -> int:
        """Number of features."""
        return int(self.blocks.weight[0].size)

    def rows(self, weight: NDArray[Any]) -> NDArray[Any]:
        """Weights of the synapses' shape as (channels, features); they are equal where a feature joins sources."""
        if isinstance(self.blocks.synapses, Dense):
            weight = weight.reshape(len(weight), *self.blocks.shape)
        down, across = self.blocks.block
        return np.ascontiguousarray(weight[..., ::down, ::across]).reshape(len(weight), -1)

    def weights(self, rows: NDArray[Any]) -> NDArray[Any]:
        """From (channels, features) to the synapses' shape: inverse of `rows`."""
        dense = isinstance(self.blocks.synapses, Dense)
        shape = self.blocks.blocks if dense else self.blocks.weight.shape[1:]
        down, across = self.blocks.block
        full = rows.reshape(len(rows), *shape).repeat(down, axis=-2).repeat(across, axis=-1)
        return full.reshape(self.projection.weight.shape)

    def moments(self, sent: NDArray[Any], largest: int) -> tuple[FloatArray, FloatArray]:
        """Means of the features, and of their products, over samples, steps and places: (features,), twice that.

        ``sent`` are whole numbers of at most ``largest`` in size, (samples, steps, sources).
        """
        own, most = self.blocks.synapses, largest * int(np.prod(self.blocks.block))
        places = int(np.prod(own.out_shape[1:])) if isinstance(own, Conv2d) else 1
        images = sent.reshape(-1, *self.blocks.shape)
        every = max(1, len(images) * places * self.count**2 // MOST_PRODUCTS)
        total, square, count = np.zeros(self.count), np.zeros((self.count, self.count)), 0
        block = max(1, ENTRIES // (self.count * places))
        for low in range(0, len(images), block):
            x = self._laid_out(images[low : low + block])[::every]
            # Products of whole numbers, which are exact: the result does not depend on the order of sums.
            x = x.astype(np.float32 if len(x) * most**2 < EXACT else np.float64)
            total += x.sum(axis=0, dtype=np.float64)
            square += x.T @ x
            count += len(x)
        return total / count, square / count

    def _laid_out(self, images: NDArray[Any]) -> NDArray[Any]:
        """Features of every place of some images, (places, features)."""
        x = images.astype(np.float32)
        if self.blocks.block != (1, 1):
            x = np.empty((len(images), *self.blocks.blocks), np.float32)
            sum_blocks(images.astype(np.float32), x, self.blocks.block)
        if isinstance(self.blocks.synapses, Conv2d):
            x = self.blocks.synapses.windows(x).transpose(0, 2, 3, 1, 4, 5)
        return x.reshape(-1, self.count)
