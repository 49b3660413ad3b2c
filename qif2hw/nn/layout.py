"""Where the levels and layers of a chain lie in its flat arrays."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qif2hw.nn.vector import padded

SIZE, DEPTH, PAD, SPIKES, ENDS, A, GROWTH, START, WEIGHT, PHI0 = range(10)
"""Columns of a table: neurons of a level and spikes of each; padded neurons of the layer that makes it; where its
(batch, size * depth) and (batch, size) numbers and the parameters of that layer begin."""

EVENT_COST = 64
"""What an input spike costs besides its updates (its place in the order, its angle), in updates."""


class Layout(NamedTuple):
    """A chain's table, a row for each level, and what follows from it.

    Parameters
    ----------
    table, rows, depths
        See the columns above; three times the same.
    totals
        Sizes of the flat arrays, by column.
    cells
        Largest number of padded weights of a layer.
    work
        Upper bound of the updates of a pass (input spikes times neurons), with what input spikes cost besides.
    """

    table: NDArray[np.int64]
    rows: list[list[int]]
    depths: tuple[int, ...]
    totals: tuple[int, ...]
    cells: int
    work: int


@lru_cache(maxsize=128)
def layout(batch: int, sizes: tuple[int, ...], depths: tuple[int, ...], dtype: Any) -> Layout:
    """The layout of a chain through levels of so many neurons and spikes per neuron."""
    rows = [(batch * sizes[0] * depths[0], batch * sizes[0], 0, 0, 0, 0, 0)]
    pads = [0]
    work = 0
    for pre, depth, post, room in zip(sizes, depths, sizes[1:], depths[1:], strict=False):
        pad = padded(post, dtype)
        rows.append((batch * post * room, batch * post, (pre + 1) * pad, pre + 1, 2 * pad, pre * post, post))
        pads.append(pad)
        work += batch * (pre * depth * (pad + EVENT_COST) + 4 * post)
    ends = np.cumsum(np.array(rows, np.int64), axis=0)
    table = np.column_stack([sizes, depths, pads, ends - np.array(rows, np.int64)])
    return Layout(
        table, table.tolist(), depths, (0, 0, 0, *ends[-1].tolist()), max(row[A - SPIKES] for row in rows), work
    )
