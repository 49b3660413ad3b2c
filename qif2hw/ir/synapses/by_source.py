"""Weights in the order in which spikes ask for them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qif2hw.ir.arrays import IntArray


class BySource(NamedTuple):
    """Weights in the order in which spikes ask for them, as compiled loops take them.

    Parameters
    ----------
    rows
        All to all: (pre, post), the weights of source ``j`` in row ``j``.  Of shape (0, 0) where synapses are listed.
    begin, post, weight
        Listed: source ``j`` reaches neurons ``post[begin[j]:begin[j + 1]]`` with ``weight`` at the same places; empty
        where ``rows`` is not.
    """

    rows: NDArray[Any]
    begin: IntArray
    post: NDArray[np.int32]
    weight: NDArray[Any]

    def add(self, sent: NDArray[Any], total: NDArray[Any]) -> None:
        """Add the weights of what sources ``sent``, (samples, pre), to the ``total`` of the neurons, (samples, post).

        The cost is that of the synapses of sources that sent something.  Integer sums are exact below 2^53.
        """
        active = np.flatnonzero(sent.any(axis=0))
        if self.rows.size:
            if active.size:
                total += (sent[:, active] @ self.rows[active].astype(np.float64)).astype(total.dtype)
            return
        for j in active:
            part = slice(self.begin[j], self.begin[j + 1])
            total[:, self.post[part]] += sent[:, j, None].astype(total.dtype) * self.weight[part].astype(total.dtype)


def join(parts: Sequence[BySource]) -> BySource:
    """Synapses from several groups onto one population, whose sources are numbered through."""
    if len(parts) == 1:
        return parts[0]
    if all(part.rows.size for part in parts):
        return parts[0]._replace(rows=np.concatenate([part.rows for part in parts]))
    listed = [_listed(part) for part in parts]
    ends = np.cumsum([0, *(part.weight.size for part in listed)])
    begin = [part.begin[:-1] + end for part, end in zip(listed, ends, strict=False)]
    return BySource(
        listed[0].rows,
        np.concatenate([*begin, ends[-1:]]),
        np.concatenate([part.post for part in listed]),
        np.concatenate([part.weight for part in listed]),
    )


def _listed(part: BySource) -> BySource:
    if not part.rows.size:
        return part
    pre, post = part.rows.shape
    neurons = np.tile(np.arange(post, dtype=np.int32), pre)
    return BySource(np.zeros((0, 0), part.rows.dtype), np.arange(pre + 1) * post, neurons, part.rows.ravel())
