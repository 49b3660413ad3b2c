"""Speed of the layer: time per forward and backward pass, against this machine's ceiling and against peers.

An *update* is one input spike arriving at one neuron: a shear and a rotation of its vector.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numba
import numpy as np
import torch
from numba import njit
from torch import Tensor

from qif2hw.bench.peers import peers as find_peers
from qif2hw.bench.peers import versions
from qif2hw.bench.result import Figure
from qif2hw.bench.timing import measure, ratio
from qif2hw.errors import InputError
from qif2hw.host import machine
from qif2hw.nn.layer import QIFLayer
from qif2hw.nn.network import QIFNetwork
from qif2hw.simd import load, splat, store, width
from qif2hw.train.memory import keep_pages
from qif2hw.train.optim.adam import FlatAdam

FORWARD_FLOPS = 8
"""Of one update, a shear and a rotation: 5 multiplications, 3 additions."""

BACKWARD_FLOPS = 18
"""The same again, the change of length and the two sums."""

FORWARD_BYTES, BACKWARD_BYTES = 5, 9
"""Numbers read and written per update: x, y, weight, and backward also the gradient's weight and its sum."""


class Workload(NamedTuple):
    """A network to measure: sizes of its layers, samples, element type."""

    sizes: tuple[int, ...]
    batch: int = 100
    dtype: str = "float64"


WORKLOADS = (
    Workload((1, 32, 32, 2)),
    Workload((1, 64, 64, 64, 2)),
    Workload((1, 64, 64, 64, 2), dtype="float32"),
    Workload((1, 64, 64, 64, 2), batch=1000),
    Workload((784, 400, 400, 10), batch=256),
    Workload((784, 400, 400, 10), batch=256, dtype="float32"),
)


def workloads(networks: str | None = None, batch: int | None = None, dtype: str | None = None) -> tuple[Workload, ...]:
    """Workloads from text such as ``1-64-64-2,2-32-2``, or `WORKLOADS`, with this batch and element type if given."""
    chosen: tuple[Workload, ...] = WORKLOADS
    if networks is not None:
        chosen = tuple(Workload(_sizes(part.strip())) for part in networks.split(","))
    if batch is not None:
        chosen = tuple(w._replace(batch=batch) for w in chosen)
    if dtype is not None:
        chosen = tuple(w._replace(dtype=dtype) for w in chosen)
    return tuple(dict.fromkeys(chosen))


def _sizes(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split("-"))
    except ValueError:
        raise InputError(f"network {text!r}: sizes joined by dashes are needed, such as 1-64-64-2") from None


def bench(
    workloads: Sequence[Workload] = WORKLOADS,
    *,
    peers: bool = False,
    seconds: float = 2.0,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Measure all ``workloads``; medians of repetitions that take ``seconds`` per number.

    Returns
    -------
    dict
        ``machine``: what was measured on, its load, and its ceiling in floating-point operations per second.
        ``peers``: versions of those installed, and why the others are absent.
        ``rows``: per workload the milliseconds of a pass (medians, the least, and the quartiles), updates per second,
        operations and bytes of a forward and backward pass, its fraction of the ceiling, ``speedup`` over each peer.
    """
    keep_pages()
    ceiling = {dtype: _ceiling(np.dtype(dtype)) for dtype in sorted({w.dtype for w in workloads})}
    rows = []
    for done, workload in enumerate(workloads):
        if progress is not None:
            progress(done, len(workloads), name_of(workload))
        rows.append(_row(workload, ceiling[workload.dtype], peers, seconds))
    return {"machine": {**machine(), "ceiling_flops": ceiling}, "peers": versions() if peers else {}, "rows": rows}


def figures(result: dict[str, Any]) -> dict[str, Figure]:
    """Figures of a result of `bench`, for `qif2hw.bench.result`."""
    found = {}
    for row in result["rows"]:
        name = f"{row['network']}, batch {row['batch']}, {row['dtype']}"
        found[f"{name}, forward"] = Figure(row["ms_forward"], "ms")
        found[f"{name}, forward and backward"] = Figure(row["ms_forward_backward"], "ms")
        found[f"{name}, optimiser step"] = Figure(row["ms_optimiser_step"], "ms")
        for peer, speedup in row["speedup"].items():
            found[f"{name}, {peer} against ours"] = Figure(speedup, "ratio")
    return found


def name_of(workload: Workload) -> str:
    """A workload for people."""
    return f"{'-'.join(map(str, workload.sizes))}, batch {workload.batch}, {workload.dtype}"


def start(workload: Workload) -> tuple[QIFNetwork, Tensor]:
    """The network of a workload in the ordinary regime, and its inputs (batch, inputs); `InputError` without any."""
    kind = getattr(torch, workload.dtype)
    if workload.batch < 1:
        raise InputError(f"batch = {workload.batch}: at least one sample is needed")
    network = QIFNetwork(workload.sizes, dtype=kind)
    generator = torch.Generator().manual_seed(0)
    return network, torch.rand((workload.batch, workload.sizes[0]), generator=generator, dtype=kind)


def _row(workload: Workload, ceiling: float, peers: bool, seconds: float) -> dict[str, Any]:
    network, x = start(workload)
    optimizer = FlatAdam(network.parameter_groups())

    def forward() -> None:
        with torch.no_grad():
            network.run(x)

    def both() -> None:
        optimizer.zero_grad()
        network.run(x).y.square().sum().backward()

    def step() -> None:
        # A rate of zero: the network stays what is measured.
        both()
        optimizer.step((0.0, 0.0), 1.0)
        network.keep_inside()

    updates = count_updates(network, x)
    timings = {
        name: measure(call, seconds)
        for name, call in {"forward": forward, "forward_backward": both, "optimiser_step": step}.items()
    }
    once, twice, thrice = timings.values()
    flops = updates * (FORWARD_FLOPS + BACKWARD_FLOPS)
    speedup: dict[str, float] = {}
    absent: dict[str, str] = {}
    if peers:
        passes, steps, absent = find_peers(network, x, updates)
        for name, peer in passes.items():
            speedup[name] = ratio(peer, both, seconds)
        for name, peer in steps.items():
            speedup[name] = ratio(peer, step, seconds)
    return {
        "network": "-".join(map(str, workload.sizes)),
        "batch": workload.batch,
        "dtype": workload.dtype,
        "ms_forward": once.median,
        "ms_forward_backward": twice.median,
        "ms_optimiser_step": thrice.median,
        "ms_least": {name: timing.least for name, timing in timings.items()},
        "ms_quartiles": {name: list(timing.quartiles) for name, timing in timings.items()},
        "updates": updates,
        "updates_per_s_forward": updates / once.median * 1e3,
        "updates_per_s_forward_backward": updates / twice.median * 1e3,
        "flops": flops,
        "bytes": updates * (FORWARD_BYTES + BACKWARD_BYTES) * np.dtype(workload.dtype).itemsize,
        "fraction_of_ceiling": flops / (twice.median / 1e3) / ceiling,
        "speedup": speedup,
        "absent": absent,
    }


@torch.no_grad()
def count_updates(network: QIFNetwork, x: Tensor) -> int:
    """Input spikes times the neurons that they reach, over all layers and samples ``x`` (batch, inputs)."""
    spikes = [torch.ones_like(x, dtype=torch.int64), *(out.number for out in network.run(x).layers[:-1])]
    return sum(updates_of(layer, n) for layer, n in zip(network.layers, spikes, strict=True))


def updates_of(layer: QIFLayer, number: Tensor) -> int:
    """Updates of a layer whose inputs (batch, pre) send ``number`` spikes."""
    reached = np.bincount(layer.synapses.edges().pre, minlength=layer.synapses.shape[1])
    return int(number.sum(dim=0).numpy() @ reached)


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
        now = time.thread_time()
        _multiply_add(row, rounds)
        times.append(time.thread_time() - now)
    return 2 * 12 * rounds * int(_lanes(row)) * numba.get_num_threads() / statistics.median(times)
