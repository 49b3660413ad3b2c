"""Where the kernels of a chain of layers stand under this machine's roofs: arithmetic and first-cache traffic.

Operations and bytes are those that the recurrence needs: what sorting, output spikes and the trial's end take beside it
lowers the fraction of the roof that a kernel reaches.
"""

import statistics
import time
from typing import Any, NamedTuple

import numba
import numpy as np
import torch
from torch import Tensor

from qif2hw.bench.timing import measure
from qif2hw.kernels import dense_chain
from qif2hw.machinecode import compiled
from qif2hw.nn.functional.dense import ChainPass
from qif2hw.nn.network import QIFNetwork
from qif2hw.simd import load, splat, store, width

FORWARD_FLOPS = 8
"""Of one update, a shear and a rotation: 5 multiplications, 3 additions."""

REPLAY_FLOPS, CHANGE_FLOPS = 11, 6
"""Backward: the same and the sum of a weight's gradient; and where gradients to times are asked for, those."""

FORWARD_NUMBERS, REPLAY_NUMBERS, CHANGE_NUMBERS = 5, 3, 0.5
"""Numbers read and written per update: x, y and weight; backward weight and gradient, of four vectors one change."""


class Roofs(NamedTuple):
    """Of one thread, times the threads: floating-point operations and bytes of the first cache, per second."""

    flops: float
    bytes: float


def roofs(dtype: np.dtype[Any]) -> Roofs:
    """Measure multiply-adds on registers, and vectors read, added and written within 24 kB."""
    row = np.full(64, 0.5, dtype)
    flops = 2 * 12 * ROUNDS * int(_lanes(row)) / _seconds(_multiply_add, row, ROUNDS)
    size = 8192 // dtype.itemsize
    rows = np.full(3 * size, 0.5, dtype)
    sweeps = ROUNDS // 100
    traffic = 3 * size * dtype.itemsize * sweeps / _seconds(_add_rows, rows, sweeps)
    return Roofs(flops * numba.get_num_threads(), traffic * numba.get_num_threads())


ROUNDS = 1_000_000


def kernels(network: QIFNetwork, x: Tensor, updates: list[int], roof: Roofs, seconds: float) -> list[dict[str, Any]]:
    """Both kernels alone, without torch and Python.

    Parameters
    ----------
    network, x
        All-to-all layers, and inputs (batch, inputs).
    updates
        Input spikes times the neurons that they reach, of each layer.
    roof
        Of its element type.
    seconds
        For each kernel.

    Returns
    -------
    list
        Per kernel its ``ms`` (median), ``flops``, ``bytes``, ``roof`` (operations per second that these allow, the
        lower of the two) and the ``fraction`` of it.
    """
    run = network.run(x)
    made = getattr(run.y.grad_fn, "kernel", None)
    assert isinstance(made, ChainPass)
    largest = np.empty(len(made.sizes), np.int64)
    threads = numba.get_num_threads() if made.parallel else 1
    to = made.gradients((False, False), torch.ones_like(run.y), None, None)
    forward = dense_chain.forward_parallel if made.parallel else dense_chain.forward
    backward = dense_chain.backward_parallel if made.parallel else dense_chain.backward
    every, later = sum(updates), sum(updates[1:])
    calls = {
        "forward": (
            lambda: forward(made.chain, made.chunks, largest), every * FORWARD_FLOPS, every * FORWARD_NUMBERS
        ),
        "backward": (
            lambda: backward(made.chain, made.chunks, threads, to),
            every * REPLAY_FLOPS + later * CHANGE_FLOPS,
            every * REPLAY_NUMBERS + later * CHANGE_NUMBERS,
        ),
    }  # fmt: skip
    found = []
    for name, (call, flops, numbers) in calls.items():
        timing = measure(call, seconds)
        size = numbers * made.chain.a.itemsize
        roof_here = min(roof.flops, roof.bytes * flops / size) * threads / numba.get_num_threads()
        found.append({
            "kernel": name, "ms": timing.median, "ms_least": timing.least, "flops": flops, "bytes": size,
            "threads": threads, "roof": roof_here, "fraction": flops / (timing.median / 1e3) / roof_here,
        })  # fmt: skip
    return found


def _seconds(call: Any, row: Any, rounds: int) -> float:
    """Median time of one thread."""
    call(row, 1)
    times = []
    for _ in range(5):
        row[:] = 0.5
        now = time.thread_time()
        call(row, rounds)
        times.append(time.thread_time() - now)
    return statistics.median(times)


@compiled
def _multiply_add(row, rounds):  # type: ignore[no-untyped-def]
    m, n = load(row, 0), splat(row, 1e-9)
    a, b, c, d, e, f, g, h = n, n, n, n, n, n, n, n
    i, j, k, l = n, n, n, n
    for _ in range(rounds):
        a, b, c, d = a * m + n, b * m + n, c * m + n, d * m + n
        e, f, g, h = e * m + n, f * m + n, g * m + n, h * m + n
        i, j, k, l = i * m + n, j * m + n, k * m + n, l * m + n
    store(row, 0, a + b + c + d + e + f + g + h + i + j + k + l)


@compiled
def _add_rows(rows, rounds):  # type: ignore[no-untyped-def]
    """Two thirds of the array read, one third written, ``rounds`` times."""
    size = rows.size // 3
    for k in range(rounds):
        by = splat(rows, 1e-9 * k)
        for v in range(0, size, width(rows)):
            store(rows, v, load(rows, size + v) + by * load(rows, 2 * size + v))


@compiled
def _lanes(array):  # type: ignore[no-untyped-def]
    return width(array)
