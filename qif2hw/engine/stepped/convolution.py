"""Convolutions of many samples, exact on whole numbers: in floating point, sixteen neighbours of a line at once."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from qif2hw.engine.stepped.blocks import Blocks
from qif2hw.ir.synapses import Conv2d
from qif2hw.machinecode import compiled
from qif2hw.simd import lanes_of, load, splat, store, width

TOGETHER = 8
"""Output channels that are computed together."""


def packed(synapses: Conv2d, weight: NDArray[Any]) -> NDArray[Any]:
    """Weights in the order in which they are used: (groups, parts of `TOGETHER` channels, taps, `TOGETHER`)."""
    own = synapses.out_channels // synapses.groups
    full = np.zeros((synapses.groups, -(-own // TOGETHER) * TOGETHER, weight[0].size), weight.dtype)
    full[:, :own] = weight.reshape(synapses.groups, own, -1)
    parts = full.reshape(synapses.groups, -1, TOGETHER, weight[0].size)
    return np.ascontiguousarray(parts.transpose(0, 1, 3, 2))


def convolve(blocks: Blocks, synapses: Conv2d, weight: NDArray[Any], sent: NDArray[Any]) -> NDArray[Any]:
    """What neurons receive.

    Parameters
    ----------
    blocks
        How sources are added up before.
    synapses
        From the sums.
    weight
        Of `packed`.
    sent
        Of the sources, (rows, channels, height, width); not of type bool.

    Returns
    -------
    array
        (rows, channels, positions).
    """
    channels, *out = synapses.out_shape
    places = out[0] * out[1]
    total = np.empty((len(sent), channels, places + lanes_of(weight.dtype)), weight.dtype)
    _convolve(
        sent, total, weight, blocks.block, synapses.kernel, (out[0], out[1]), synapses.stride, synapses.padding,
        synapses.dilation,
    )  # fmt: skip
    return total[..., :places]


@compiled(parallel=True)
def sum_blocks(sent, total, block):  # type: ignore[no-untyped-def]
    """Add up the sources of each block: (rows, channels, height, width) to (rows, channels, blocks down, across)."""
    rows, channels, _, across = total.shape
    for r in numba.prange(rows):
        for c in range(channels):
            plane = total[r, c].reshape(-1)
            plane[:] = 0
            _lay_out(sent[r, c], plane, block, 0, 0, 1, across, across)


@compiled(inline="always")
def _lay_out(image, lines, block, above, before, across, line, length):  # type: ignore[no-untyped-def]
    """Add the sources of a plane to the lines of their blocks.

    Lines are padded, and split into ``across`` parts, the stride: what the neighbours of an output line read lies side
    by side.
    """
    height, sources = image.shape
    for y in range(height):
        row, start = image[y], (y // block[0] + above) * line
        if block[1] == 1 and across == 1:
            for x in range(sources):
                lines[start + before + x] += row[x]
        elif block[1] == 2 and across == 1:
            for x in range(sources // 2):
                lines[start + before + x] += row[2 * x] + row[2 * x + 1]
            if sources % 2:
                lines[start + before + sources // 2] += row[sources - 1]
        elif block[1] == 1:
            for part in range(across):
                first = (part - before) % across
                to = start + part * length + (first + before) // across
                for x in range(first, sources, across):
                    lines[to] += row[x]
                    to += 1
        else:
            for x in range(sources):
                at = x // block[1] + before
                lines[start + at % across * length + at // across] += row[x]


@compiled(parallel=True)
def _convolve(sent, total, weight, block, kernel, out, stride, padding, dilation):  # type: ignore[no-untyped-def]
    rows, channels, height, sources = sent.shape
    groups, parts, taps, _ = weight.shape
    own, per, lanes = total.shape[1] // groups, channels // groups, width(total)
    (down, across), (above, before) = stride, padding
    length = max(
        out[1] + (kernel[1] - 1) * dilation[1] // across, (-(-sources // block[1]) - 1 + before) // across + 1
    ) + lanes  # fmt: skip
    line = across * length
    plane = (-(-height // block[0]) + 2 * above) * line
    # Where the taps of a group read, seen from its first output.
    where = np.empty(taps, np.int64)
    for t in range(taps):
        c, k, m = t // (kernel[0] * kernel[1]), t // kernel[1] % kernel[0], t % kernel[1] * dilation[1]
        where[t] = c * plane + k * dilation[0] * line + m % across * length + m // across
    for r in numba.prange(rows):
        lines = np.zeros(channels * plane, total.dtype)
        for c in range(channels):
            _lay_out(sent[r, c], lines[c * plane :], block, above, before, across, line, length)
        for g in range(groups):
            for part in range(parts):
                w, to = weight[g, part].reshape(-1), total[r, g * own + part * TOGETHER :]
                many = min(TOGETHER, own - part * TOGETHER)
                for i in range(out[0]):
                    for j in range(0, out[1], lanes):
                        at = g * per * plane + i * down * line + j
                        a0 = splat(w, w.dtype.type(0))
                        a1, a2, a3, a4, a5, a6, a7 = a0, a0, a0, a0, a0, a0, a0
                        for t in range(taps):
                            x, k = load(lines, at + where[t]), t * TOGETHER
                            a0 = a0 + splat(w, w[k]) * x
                            a1 = a1 + splat(w, w[k + 1]) * x
                            a2 = a2 + splat(w, w[k + 2]) * x
                            a3 = a3 + splat(w, w[k + 3]) * x
                            a4 = a4 + splat(w, w[k + 4]) * x
                            a5 = a5 + splat(w, w[k + 5]) * x
                            a6 = a6 + splat(w, w[k + 6]) * x
                            a7 = a7 + splat(w, w[k + 7]) * x
                        # What is too much at the end of a line is written over by the next one.
                        first = i * out[1] + j
                        store(to[0], first, a0)
                        if many > 1:
                            store(to[1], first, a1)
                        if many > 2:
                            store(to[2], first, a2)
                        if many > 3:
                            store(to[3], first, a3)
                        if many > 4:
                            store(to[4], first, a4)
                        if many > 5:
                            store(to[5], first, a5)
                        if many > 6:
                            store(to[6], first, a6)
                        if many > 7:
                            store(to[7], first, a7)
