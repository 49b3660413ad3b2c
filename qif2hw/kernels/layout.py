"""Where the levels and layers of a chain lie in its flat arrays."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qif2hw.kernels.simd import padded
from qif2hw.kernels.steps import most_steps

SIZE, DEPTH, PAD, MOST, SPIKES, ENDS, STEPS, A, GROWTH, START, PARAMETERS = range(11)
"""Columns of a table: neurons of a level and spikes of each; padded neurons and most steps of the layer that makes it;
where its (batch, size * depth), (batch, size) and (batch, most steps) numbers, what that layer's parameters become, and
its parameters (weights, then initial phases) begin."""

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
def layout(batch: int, sizes: tuple[int, ...], depths: tuple[int, ...], angle: float, dtype: Any) -> Layout:
    """The layout of a chain through levels of so many neurons and spikes per neuron, that turn by ``angle`` in all."""
    rows = [(batch * sizes[0] * depths[0], batch * sizes[0], 0, 0, 0, 0, 0)]
    pads, most = [0], [0]
    work = 0
    for pre, depth, post, room in zip(sizes, depths, sizes[1:], depths[1:], strict=False):
        pad = padded(post, dtype)
        most.append(most_steps(pre * depth, angle))
        cells = (pre + 1) * pad
        rows.append((batch * post * room, batch * post, batch * most[-1], cells, pre + 1, 2 * pad, (pre + 1) * post))
        pads.append(pad)
        work += batch * (pre * depth * (pad + EVENT_COST) + 4 * post)
    ends = np.cumsum(np.array(rows, np.int64), axis=0)
    table = np.column_stack([sizes, depths, pads, most, ends - np.array(rows, np.int64)])
    cells = max(row[A - SPIKES] for row in rows)
    return Layout(table, table.tolist(), depths, (0, 0, 0, 0, *ends[-1].tolist()), cells, work)
