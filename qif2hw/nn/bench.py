"""Speed of the compiled layer: time per forward and backward pass, against this machine's ceiling and against peers.

Run ``python -m qif2hw.nn.bench`` for one JSON object.
"""

import importlib
import importlib.util
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch
from numba import njit
from torch import Tensor

from qif2hw.nn.network import QIFNetwork
from qif2hw.nn.vector import load, splat, store, width

FORWARD_FLOPS = 8
"""Of one update, a shear and a rotation: 5 multiplications, 3 additions."""

BACKWARD_FLOPS = 18
"""The same again, the change of length and the two sums."""

FORWARD_BYTES, BACKWARD_BYTES = 5, 9
"""Numbers read and written per update: x, y, weight, and backward also the gradient's weight and its sum."""

NETWORKS: tuple[tuple[tuple[int, ...], int, str], ...] = (
    ((1, 32, 32, 2), 100, "float64"),
    ((1, 64, 64, 64, 2), 100, "float64"),
    ((1, 64, 64, 64, 2), 100, "float32"),
    ((1, 64, 64, 64, 2), 1000, "float64"),
    ((784, 400, 400, 10), 256, "float32"),
)
"""Sizes, batch, element type."""


def bench(
    networks: Sequence[tuple[tuple[int, ...], int, str]] = NETWORKS, *, peers: bool = True, seconds: float = 2.0
) -> dict[str, Any]:
    """Measure all ``networks``; medians of runs that take ``seconds`` per number.

    Returns
    -------
    dict
        ``machine``: what was measured on, with its ceiling in floating-point operations per second.
        ``rows``: per network ``ms_forward``, ``ms_forward_backward``, updates (input spikes times neurons) per second
        both, operations and bytes of a pass, fraction of the ceiling, and ``speedup`` over each peer.
    """
    ceiling = {dtype: _ceiling(np.dtype(dtype)) for dtype in sorted({d for _, _, d in networks})}
    machine = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": numba.get_num_threads(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "numba": numba.__version__,
        "torch": torch.__version__,
        "ceiling_flops": ceiling,
    }
    return {"machine": machine, "rows": [_row(*n, ceiling[n[2]], peers, seconds) for n in networks]}


def _row(sizes: tuple[int, ...], batch: int, dtype: str, ceiling: float, peers: bool, seconds: float) -> dict[str, Any]:
    kind = getattr(torch, dtype)
    network = QIFNetwork(sizes, dtype=kind)
    x = torch.rand((batch, sizes[0]), generator=torch.Generator().manual_seed(0), dtype=kind)

    def both(oracle: bool = False) -> None:
        network.zero_grad(set_to_none=True)
        network.run(x, oracle=oracle).y.square().sum().backward()

    def forward() -> None:
        with torch.no_grad():
            network.run(x)

    updates = _updates(network, x)
    ms_forward, ms_both = _median(forward, seconds), _median(both, seconds)
    flops = updates * (2 * FORWARD_FLOPS + BACKWARD_FLOPS - FORWARD_FLOPS)
    speedup = {}
    if peers:
        for name, peer in _peers(sizes, batch, kind, lambda: both(oracle=True)).items():
            speedup[name] = _median(peer, seconds) / ms_both
    return {
        "network": "-".join(map(str, sizes)),
        "batch": batch,
        "dtype": dtype,
        "ms_forward": ms_forward,
        "ms_forward_backward": ms_both,
        "updates": updates,
        "updates_per_s_forward": updates / ms_forward * 1e3,
        "updates_per_s_forward_backward": updates / ms_both * 1e3,
        "flops": flops,
        "bytes": updates * (FORWARD_BYTES + BACKWARD_BYTES) * np.dtype(dtype).itemsize,
        "fraction_of_ceiling": flops / (ms_both / 1e3) / ceiling,
        "speedup": speedup,
    }


@torch.no_grad()
def _updates(network: QIFNetwork, x: Tensor) -> int:
    spikes = [x.numel(), *(int(out.number.sum()) for out in network.run(x).layers[:-1])]
    return sum(n * post for n, post in zip(spikes, network.sizes[1:], strict=True))


def _peers(
    sizes: tuple[int, ...], batch: int, dtype: torch.dtype, eager: Callable[[], None]
) -> dict[str, Callable[[], None]]:
    found: dict[str, Callable[[], None]] = {}
    if batch * sum(sizes) < 50_000:
        found["eager torch"] = eager
    if importlib.util.find_spec("snntorch") is not None:
        for steps in (32, 64, 128):
            found[f"snntorch LIF, {steps} steps"] = _snntorch(sizes, batch, dtype, steps)
    return found


def _snntorch(sizes: tuple[int, ...], batch: int, dtype: torch.dtype, steps: int) -> Callable[[], None]:
    snntorch = importlib.import_module("snntorch")
    linear = torch.nn.ModuleList(torch.nn.Linear(a, b, dtype=dtype) for a, b in pairwise(sizes))
    neurons = [snntorch.Leaky(beta=0.9) for _ in linear]
    x = torch.rand((batch, sizes[0]), generator=torch.Generator().manual_seed(0), dtype=dtype)

    def both() -> None:
        linear.zero_grad(set_to_none=True)
        states = [neuron.init_leaky() for neuron in neurons]
        result = torch.zeros((batch, sizes[-1]), dtype=dtype)
        for _ in range(steps):
            signal = x
            for k, (layer, neuron) in enumerate(zip(linear, neurons, strict=True)):
                signal, states[k] = neuron(layer(signal), states[k])
            result = result + states[-1]
        result.square().sum().backward()

    return both


def _median(call: Callable[[], None], seconds: float) -> float:
    """Median time of a call in milliseconds, after one call that may compile."""
    call()
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) < 3 or (time.perf_counter() - begin < seconds and len(times) < 1000):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


@njit
def _multiply_add(row, rounds):  # type: ignore[no-untyped-def]
    m, n = load(row, 0), splat(row, 1e-9)
    a, b, c, d, e, f, g, h = n, n, n, n, n, n, n, n
    i, j, k, l = n, n, n, n
    for _ in range(rounds):
        a, b, c, d = a * m + n, b * m + n, c * m + n, d * m + n
        e, f, g, h = e * m + n, f * m + n, g * m + n, h * m + n
        i, j, k, l = i * m + n, j * m + n, k * m + n, l * m + n
    store(row, 0, a + b + c + d + e + f + g + h + i + j + k + l)


@njit
def _lanes(array):  # type: ignore[no-untyped-def]
    return width(array)


def _ceiling(dtype: np.dtype[Any]) -> float:
    """Floating-point operations per second of multiply-adds on registers: of one thread, times the threads."""
    rounds = 1_000_000
    row = np.full(64, 0.5, dtype)
    _multiply_add(row, 1)
    times = []
    for _ in range(5):
        row[:] = 0.5
        start = time.thread_time()
        _multiply_add(row, rounds)
        times.append(time.thread_time() - start)
    return 2 * 12 * rounds * int(_lanes(row)) * numba.get_num_threads() / statistics.median(times)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    print(json.dumps(bench(), indent=1))
