"""Rows for training, validation and test."""

import numpy as np

from qif2hw.ir.arrays import IntArray

VALIDATION, TEST = 0.15, 0.15
"""Shares of the rows; that for validation is of those that the test leaves."""


def split(rows: IntArray, share: float, seed: int, classes: IntArray | None = None) -> tuple[IntArray, IntArray]:
    """Two sets of ``rows`` (rows,), sorted, each (part,); the second has about this share of them.

    With the ``classes`` of all rows there are the share is that of every class.  Both sets hold a row at least.
    """
    order = np.random.default_rng([seed, len(rows)]).permutation(rows)
    second = order[: max(1, round(share * len(rows)))]
    if classes is not None:
        parts = [order[classes[order] == k] for k in np.unique(classes)]
        each = np.concatenate([part[: round(share * len(part))] for part in parts])
        second = each if each.size else second
    return np.setdiff1d(rows, second), np.sort(second)
