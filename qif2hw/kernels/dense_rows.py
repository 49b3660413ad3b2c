"""Jacobians of a chain of layers: the backward pass of one sample at a time, each written to a row of its own."""

import numpy as np
from numba import prange

from qif2hw.kernels.buffers import PAD, PARAMETERS, SIZE, START, A, Gradients
from qif2hw.kernels.dense_chain import backward_share
from qif2hw.machinecode import compiled, for_one_thread_and_all
from qif2hw.simd import aligned, view

BLOCK = 16
"""Rows that share scratch arrays."""


def _rows(chain, samples, to_y, to_first, jacobian):  # type: ignore[no-untyped-def]
    """Write to each row of ``jacobian`` the gradient of a number that depends on one sample alone.

    Row ``i`` is that of ``sum(to_y[i] * y) + sum(to_first[i] * first)``, with ``y`` and ``first`` of the sample
    ``samples[i]``, with respect to the parameters as `qif2hw.kernels.buffers.PARAMETERS` orders them.  The rows
    may be of another element type than the chain.
    """
    blocks = -(-samples.size // BLOCK)
    for block in prange(blocks):
        _block(block * BLOCK, min(samples.size, (block + 1) * BLOCK), chain, samples, to_y, to_first, jacobian)


rows, rows_parallel = for_one_thread_and_all(_rows)


@compiled
def _block(low, high, chain, samples, to_y, to_first, jacobian):  # type: ignore[no-untyped-def]
    weights, phases = aligned(chain.a.size, chain.a), np.empty(chain.start.size, chain.a.dtype)
    none = np.empty(0, chain.a.dtype)
    given = np.zeros(3, np.int64)
    for i in range(low, high):
        b = samples[i]
        # The backward pass looks for all of these in row b of arrays that nothing but that row is there of.
        given[0] = to_y.ctypes.data + (i - b) * to_y.shape[1] * to_y.itemsize
        given[1] = to_first.ctypes.data + (i - b) * to_first.shape[1] * to_first.itemsize
        to = Gradients(view(none, 0, b + 1, 0), view(none, 0, b + 1, 0), given, none)
        backward_share(b, b + 1, chain, to, weights, phases)
        _write(chain, weights, phases, jacobian[i])


@compiled
def _write(chain, weights, phases, row):  # type: ignore[no-untyped-def]
    """The gradients of a sample in the order, with the signs and factors of `qif2hw.kernels.dense_chain.backward`."""
    table = chain.table
    factor = -1.0 / (chain.r * chain.omega)
    for level in range(1, table.shape[0]):
        pre, post, pad = table[level - 1, SIZE], table[level, SIZE], table[level, PAD]
        at, here, start = table[level, A], table[level, PARAMETERS], table[level, START]
        for n in range(post):
            for j in range(pre):
                row[here + n * pre + j] = weights[at + j * pad + n] * factor
        here += post * pre
        for n in range(post):
            row[here + n] = -phases[start + n]
