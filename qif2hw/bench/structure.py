"""Cost of jets against the plain step, and of sparse projections against their number of synapses."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from qif2hw.bench.result import Figure
from qif2hw.bench.timing import medians
from qif2hw.bench.training import updates_of
from qif2hw.nn.functional.jets import Jets, jets
from qif2hw.nn.layer import QIFLayer
from qif2hw.nn.network import QIFNetwork
from qif2hw.nn.synapses import random_synapses


def bench_jets(sizes: tuple[int, ...] = (2, 64, 64, 64, 2), batch: int = 100, *, repeats: int = 20) -> dict[str, Any]:
    """Forward and backward of a network and of its jets, in turn: medians in milliseconds, and ratios to the former."""
    network = QIFNetwork(sizes)
    x = torch.rand((batch, sizes[0]), generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def plain() -> None:
        network.zero_grad(set_to_none=True)
        network.run(x).y.square().sum().backward()

    def step(out: Jets) -> None:
        network.zero_grad(set_to_none=True)
        (out.value.square().sum() + out.gradient.square().sum() + out.second.square().sum()).backward()

    ways: dict[str, Callable[[], None]] = {
        "plain": plain,
        "gradient": lambda: step(jets(network, x, order=1)),
        "pure seconds": lambda: step(jets(network, x, second="pure")),
        "all seconds": lambda: step(jets(network, x, second="all")),
    }
    ms = medians(ways, repeats)
    ratio = {name: value / ms["plain"] for name, value in ms.items()}
    return {"network": "-".join(map(str, sizes)), "batch": batch, "ms": ms, "ratio": ratio}


def bench_sparse(
    size: int = 1000, batch: int = 16, *, densities: Sequence[float] = (0.001, 0.01, 0.1, 1.0), repeats: int = 5
) -> dict[str, Any]:
    """Forward and backward of ``size`` neurons with ``size`` inputs, by share of synapses, and all to all.

    Returns
    -------
    dict
        ``dense_ms`` and a row for each share: its ``synapses``, milliseconds, nanoseconds per synapse and sample, and
        ``share_of_updates``, its updates over those of the layer with all synapses.
    """
    generator = torch.Generator().manual_seed(0)
    times = 0.05 + 1.9 * torch.rand((batch, size, 1), generator=generator, dtype=torch.float64)
    listed = [random_synapses(size, size, density, generator=generator) for density in densities]
    full = QIFLayer(size, size, trial=6.5, generator=generator)
    layers = [QIFLayer(trial=6.5, synapses=synapses, generator=generator) for synapses in listed]

    def way(layer: QIFLayer) -> Callable[[], None]:
        def run() -> None:
            layer.zero_grad(set_to_none=True)
            layer(times).first().sum().backward()

        return run

    spikes = torch.isfinite(times).sum(dim=2)
    ms = medians({"dense": way(full), **{f"{k}": way(layer) for k, layer in enumerate(layers)}}, repeats)
    rows = [
        {
            "synapses": layer.synapses.count,
            "share_of_updates": updates_of(layer, spikes) / updates_of(full, spikes),
            "ms": ms[f"{k}"],
            "ns_per_synapse": ms[f"{k}"] * 1e6 / (batch * layer.synapses.count),
        }
        for k, layer in enumerate(layers)
    ]
    return {"neurons": size, "batch": batch, "dense_ms": ms["dense"], "rows": rows}


def figures(jets: dict[str, Any], sparse: dict[str, Any]) -> dict[str, Figure]:
    """Figures of `bench_jets` and `bench_sparse`, for `qif2hw.bench.result`."""
    network = f"{jets['network']}, batch {jets['batch']}"
    found = {f"{network}, jets, {name}": Figure(value, "ms") for name, value in jets["ms"].items()}
    layer = f"{sparse['neurons']} neurons, batch {sparse['batch']}"
    found[f"{layer}, dense"] = Figure(sparse["dense_ms"], "ms")
    for row in sparse["rows"]:
        found[f"{layer}, {row['synapses']} synapses"] = Figure(row["ms"], "ms")
        found[f"{layer}, {row['synapses']} synapses, share of updates"] = Figure(row["share_of_updates"], "ratio")
    return found
