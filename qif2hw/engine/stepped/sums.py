"""What a population receives, layer by layer: matrix products of whole numbers in floating point, which are exact."""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from qif2hw.engine.stepped.blocks import blocks_of
from qif2hw.ir import ProgramProjection
from qif2hw.ir.synapses import Conv2d, Dense
from qif2hw.machinecode import compiled

EXACT = 1 << 24
"""Whole numbers below this are exact in float32, and so are their sums in any order."""
COLUMNS = 1 << 20
"""Entries of unfolded images that are worked on at a time."""
LANES = 16
"""Entries that are copied together."""


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
        self.exponent = projection.exponent
        self.columns = np.empty(0, self.kind)

    def __call__(self, sent: NDArray[Any]) -> NDArray[Any]:
        """Sums of weights over what sources sent, (samples, steps, pre) to (samples, steps, post), not shifted yet."""
        x, synapses, weight = self._summed(sent.reshape(-1, sent.shape[2])), self.blocks.synapses, self.blocks.weight
        if isinstance(synapses, Conv2d):
            received = self._convolve(synapses, x)
        else:
            received = x @ weight.T if isinstance(synapses, Dense) else synapses.apply(weight, x)
        return received.reshape(*sent.shape[:2], -1)

    def _summed(self, sent: NDArray[Any]) -> NDArray[Any]:
        """The sums over blocks of sources."""
        if self.blocks.block == (1, 1):
            return sent.astype(self.kind, copy=False)
        total = np.empty((len(sent), *self.blocks.blocks), self.kind)
        _sum_blocks(sent.reshape(len(sent), *self.blocks.shape), total, *self.blocks.block)
        return total.reshape(len(sent), -1)

    def _convolve(self, synapses: Conv2d, x: NDArray[Any]) -> NDArray[Any]:
        out = synapses.out_shape[1:]
        channels, per, *sides = synapses.weight_shape
        groups, size, places = synapses.groups, per * sides[0] * sides[1], out[0] * out[1]
        weight = self.blocks.weight.reshape(groups, channels // groups, size)
        images = x.reshape(len(x), *synapses.in_shape)
        total = np.empty((len(x), groups, channels // groups, places), self.kind)
        if self.columns.size == 0:
            rows = min(len(x), max(1, COLUMNS // (groups * size * places)))
            self.columns = np.empty((rows, groups * size * places + LANES), self.kind)
        rows = len(self.columns)
        for low in range(0, len(x), rows):
            some = images[low : low + rows]
            columns = self.columns[: len(some)]
            _unfold(some, columns, synapses.kernel, out, synapses.stride, synapses.padding, synapses.dilation)
            windows = columns[:, :-LANES].reshape(len(some), groups, size, places)
            np.matmul(weight, windows, out=total[low : low + rows])
        return total


def currents(bias: NDArray[np.int64], parts: Sequence[tuple[NDArray[Any], int]]) -> NDArray[np.int32]:
    """Input of a population: its bias, and sums with their exponents.

    Parameters
    ----------
    bias
        (neurons,).
    parts
        Sums (samples, 1 or time steps, neurons), which hold for all steps where there is one, and their exponents.

    Returns
    -------
    array
        (samples, 1 or time steps, neurons); one where the input is the same in all steps.
    """
    steps = max(received.shape[1] for received, _ in parts)
    total = np.empty((len(parts[0][0]), steps, bias.size), np.int32)
    total[:] = bias
    for received, exponent in parts:
        _add(total, received, exponent)
    return total


@compiled(parallel=True)
def _sum_blocks(sent, total, down, across):  # type: ignore[no-untyped-def]
    rows, channels, height, width = sent.shape
    for r in numba.prange(rows):
        for c in range(channels):
            for y in range(total.shape[2]):
                line = total[r, c, y]
                line[:] = 0
                for k in range(y * down, min(height, (y + 1) * down)):
                    for x in range(width // across):
                        for j in range(across):
                            line[x] += sent[r, c, k, x * across + j]
                    for i in range(width // across * across, width):
                        line[line.size - 1] += sent[r, c, k, i]


@compiled(parallel=True)
def _unfold(images, columns, kernel, out, stride, padding, dilation):  # type: ignore[no-untyped-def]
    """What each output position reads: (rows, channels, height, width) to (rows, channels kernel positions + LANES).

    Lines of the image are padded and split into `stride` parts, so that what the neighbours of an output line read lies
    side by side.  They are copied in whole vectors; what is too much is written over by the line that follows.
    """
    rows, channels, height, width = images.shape
    (down, across), (above, before) = stride, padding
    length = max(out[1] + (kernel[1] - 1) * dilation[1] // across, (width - 1 + before) // across + 1) + LANES
    for r in numba.prange(rows):
        # The last line is outside of the image.
        lines = np.zeros((height + 1, across, length), images.dtype)
        to, place = columns[r], 0
        for c in range(channels):
            for y in range(height):
                for part in range(across):
                    x = (part - before) % across
                    first = (x + before) // across
                    for j in range((width - x + across - 1) // across):
                        lines[y, part, first + j] = images[r, c, y, x + j * across]
            for k in range(kernel[0]):
                for m in range(kernel[1]):
                    first, part = divmod(m * dilation[1], across)
                    for i in range(out[0]):
                        y = i * down + k * dilation[0] - above
                        line = lines[y if 0 <= y < height else height, part]
                        for low in range(0, out[1], LANES):
                            for j in range(low, low + LANES):
                                to[place + j] = line[first + j]
                        place += out[1]


@compiled(parallel=True)
def _add(total, received, exponent):  # type: ignore[no-untyped-def]
    """Add sums, shifted by their exponent (rounded where it is negative)."""
    samples, steps, neurons = total.shape
    left, right = max(0, exponent), max(0, -exponent)
    half = (1 << right) >> 1
    for job in numba.prange(samples * steps):
        b, n = job // steps, job % steps
        to, given = total[b, n], received[b, n % received.shape[1]]
        for i in range(neurons):
            to[i] += ((np.int64(given[i]) << left) + half) >> right
