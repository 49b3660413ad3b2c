"""What a population receives, layer by layer: products of whole numbers in floating point, which are exact."""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from qif2hw.engine.stepped.blocks import blocks_of
from qif2hw.engine.stepped.convolution import convolve, packed, sum_blocks
from qif2hw.ir import ProgramProjection
from qif2hw.ir.synapses import Conv2d, Dense
from qif2hw.machinecode import compiled

EXACT = 1 << 24
"""Whole numbers below this are exact in float32, and so are their sums in any order."""
FULL = 1 << 24
"""Entries of an array of weights in which listed synapses are written out, if it is not larger."""


class Sums:
    """The sums of one projection.

    Parameters
    ----------
    projection
        Its synapses and weights.
    shape
        Of the sources: (channels, height, width) or (channels,).
    largest
        Largest magnitude of what a source sends.
    """

    def __init__(self, projection: ProgramProjection, shape: tuple[int, ...], largest: int) -> None:
        synapses, weight = projection.synapses, projection.weight
        most = int(synapses.sums(np.abs(weight.astype(np.int64))).max()) * largest
        self.kind: Any = np.float32 if most < EXACT else np.float64
        self.blocks = blocks_of(synapses, weight.astype(self.kind), shape)
        self.exponent, self.delay = projection.exponent, projection.delay
        own, weight = self.blocks.synapses, self.blocks.weight
        if isinstance(own, Conv2d):
            weight = packed(own, weight)
        elif own.shape[0] * own.shape[1] <= FULL:
            own, weight = Dense(*own.shape), own.dense(weight)
        self.synapses, self.weight = own, weight

    def __call__(self, sent: NDArray[Any]) -> NDArray[Any]:
        """Sums of weights over what sources sent, (samples, steps, pre), without the exponent.

        Of shape (samples, steps, channels, positions), or (samples, steps, 1, post).
        """
        synapses = self.synapses
        x = sent.reshape(-1, *self.blocks.shape)
        x = x.view(np.uint8) if x.dtype == np.bool_ else x.astype(self.kind, copy=False)
        if isinstance(synapses, Conv2d):
            received = convolve(self.blocks, synapses, self.weight, x)
        else:
            x = self._summed(x).reshape(len(x), -1)
            received = x @ self.weight.T if isinstance(synapses, Dense) else synapses.apply(self.weight, x)
            received = received[:, None]
        return received.reshape(*sent.shape[:2], *received.shape[1:])

    def _summed(self, images: NDArray[Any]) -> NDArray[Any]:
        if self.blocks.block == (1, 1):
            return images.astype(self.kind, copy=False)
        total = np.empty((len(images), *self.blocks.blocks), self.kind)
        sum_blocks(images, total, self.blocks.block)
        return total


def currents(bias: NDArray[np.int64], parts: Sequence[tuple[NDArray[Any], int]]) -> NDArray[np.int32]:
    """Input of a population: its bias, and sums with their exponents.

    Parameters
    ----------
    bias
        (neurons,).
    parts
        What `Sums` gives, with 1 step that holds for all or all time steps; and exponents.

    Returns
    -------
    array
        (samples, 1 or time steps, neurons); one where the input is the same in all steps.
    """
    steps = max(received.shape[1] for received, _ in parts)
    total = np.empty((len(parts[0][0]), steps, bias.size), np.int32)
    total[:] = bias
    for received, exponent in parts:
        _add(total.reshape(*total.shape[:2], *received.shape[2:]), received, exponent)
    return total


@compiled(parallel=True)
def _add(total, received, exponent):  # type: ignore[no-untyped-def]
    """Add sums, shifted by their exponent (rounded where it is negative)."""
    samples, steps, channels, places = total.shape
    left, right = max(0, exponent), max(0, -exponent)
    half = (1 << right) >> 1
    for job in numba.prange(samples * steps):
        b, n = job // steps, job % steps
        for c in range(channels):
            to, given = total[b, n, c], received[b, n % received.shape[1], c]
            for i in range(places):
                to[i] += ((np.int64(given[i]) << left) + half) >> right
