"""Speed of the layer: time per forward and backward pass, against this machine's ceiling and against peers.

An *update* is one input spike arriving at one neuron: a shear and a rotation of its vector.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from qif2hw.bench.peers import peers as find_peers
from qif2hw.bench.peers import versions
from qif2hw.bench.result import Figure
from qif2hw.bench.roofline import Roofs, kernels, roofs
from qif2hw.bench.timing import measure, ratio
from qif2hw.errors import InputError
from qif2hw.host import machine
from qif2hw.nn.layer import QIFLayer
from qif2hw.nn.network import QIFNetwork
from qif2hw.train.memory import keep_pages
from qif2hw.train.optim.adam import FlatAdam


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
        ``machine``: what was measured on, its load, and its ceilings: floating-point operations per second, and bytes
        of the first cache.
        ``peers``: versions of those installed, and why the others are absent.
        ``rows``: per workload the milliseconds of a pass (medians, the least, and the quartiles), updates per second,
        operations of a forward and backward pass, its fraction of the ceiling, `qif2hw.bench.roofline.kernels`,
        ``speedup`` over each peer.
    """
    keep_pages()
    roof = {dtype: roofs(np.dtype(dtype)) for dtype in sorted({w.dtype for w in workloads})}
    rows = []
    for done, workload in enumerate(workloads):
        if progress is not None:
            progress(done, len(workloads), name_of(workload))
        rows.append(_row(workload, roof[workload.dtype], peers, seconds))
    ceiling = {
        "ceiling_flops": {k: r.flops for k, r in roof.items()},
        "bytes_per_s": {k: r.bytes for k, r in roof.items()},
    }
    return {"machine": {**machine(), **ceiling}, "peers": versions() if peers else {}, "rows": rows}


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


def _row(workload: Workload, roof: Roofs, peers: bool, seconds: float) -> dict[str, Any]:
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

    by_layer = updates_by_layer(network, x)
    updates = sum(by_layer)
    timings = {
        name: measure(call, seconds)
        for name, call in {"forward": forward, "forward_backward": both, "optimiser_step": step}.items()
    }
    once, twice, thrice = timings.values()
    under = kernels(network, x, by_layer, roof, seconds / 2)
    flops = sum(kernel["flops"] for kernel in under)
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
        "fraction_of_ceiling": flops / (twice.median / 1e3) / roof.flops,
        "kernels": under,
        "speedup": speedup,
        "absent": absent,
    }


def count_updates(network: QIFNetwork, x: Tensor) -> int:
    """Input spikes times the neurons that they reach, over all layers and samples ``x`` (batch, inputs)."""
    return sum(updates_by_layer(network, x))


@torch.no_grad()
def updates_by_layer(network: QIFNetwork, x: Tensor) -> list[int]:
    """The same, layer by layer, of samples ``x`` (batch, inputs)."""
    spikes = [torch.ones_like(network.channels(x), dtype=torch.int64)]
    spikes += [out.number for out in network.run(x).layers[:-1]]
    return [updates_of(layer, n) for layer, n in zip(network.layers, spikes, strict=True)]


def updates_of(layer: QIFLayer, number: Tensor) -> int:
    """Updates of a layer whose inputs (batch, pre) send ``number`` spikes."""
    reached = np.bincount(layer.synapses.edges().pre, minlength=layer.synapses.shape[1])
    return int(number.sum(dim=0).numpy() @ reached)
