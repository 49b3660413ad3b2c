"""Jacobians of a chain of layers: the backward pass of one sample at a time, few of them summed in each row."""

import numpy as np
from numba import prange

from qif2hw.kernels.buffers import PAD, PARAMETERS, SIZE, START, A, Gradients
from qif2hw.kernels.dense_chain import backward_share
from qif2hw.machinecode import compiled, for_one_thread_and_all
from qif2hw.simd import aligned, view

BLOCK = 16
"""Rows that share scratch arrays."""


def _rows(chain, samples, to_y, to_first, jacobian):  # type: ignore[no-untyped-def]
    """Write to each row of ``jacobian`` the gradient of a number that depends on a few samples alone.

    Row ``i`` is the sum over ``k`` of those of ``sum(to_y[i, k] * y) + sum(to_first[i, k] * first)``, with ``y`` and
    ``first`` of the sample ``samples[i, k]``, with respect to the parameters as
    `qif2hw.kernels.buffers.PARAMETERS` orders them.  The rows may be of another element type than the chain.
    """
    rows = samples.shape[0]
    blocks = -(-rows // BLOCK)
    for block in prange(blocks):
        _block(block * BLOCK, min(rows, (block + 1) * BLOCK), chain, samples, to_y, to_first, jacobian)


rows, rows_parallel = for_one_thread_and_all(_rows)


@compiled
def _block(low, high, chain, samples, to_y, to_first, jacobian):  # type: ignore[no-untyped-def]
    weights, phases = aligned(chain.a.size, chain.a), np.empty(chain.start.size, chain.a.dtype)
    weight_sums, phase_sums = np.empty_like(weights), np.empty_like(phases)
    none = np.empty(0, chain.a.dtype)
    given = np.zeros(3, np.int64)
    terms = samples.shape[1]
    for i in range(low, high):
        weight_sums[:] = 0.0
        phase_sums[:] = 0.0
        for k in range(terms):
            if not (to_y[i, k].any() or to_first[i, k].any()):
                continue
            b = samples[i, k]
            # The backward pass looks for all of these in row b of arrays that nothing but that row is there of.
            row = i * terms + k - b
            given[0] = to_y.ctypes.data + row * to_y.shape[2] * to_y.itemsize
            given[1] = to_first.ctypes.data + row * to_first.shape[2] * to_first.itemsize
            to = Gradients(view(none, 0, b + 1, 0), view(none, 0, b + 1, 0), given, none)
            backward_share(b, b + 1, chain, to, weights, phases)
            for n in range(weights.size):
                weight_sums[n] += weights[n]
            for n in range(phases.size):
                phase_sums[n] += phases[n]
        _write(chain, weight_sums, phase_sums, jacobian[i])


@compiled
def _write(chain, weights, phases, row):  # type: ignore[no-untyped-def]
    """Gradients in the order, with the signs and factors of `qif2hw.kernels.dense_chain.backward`."""
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
