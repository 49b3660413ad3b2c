"""Cost of jets against the plain step, and of sparse projections against their number of synapses."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from qif2hw.bench.result import Figure
from qif2hw.bench.timing import medians
from qif2hw.neuron import QIF
from qif2hw.nn.functional import dense, sparse
from qif2hw.nn.functional.jets import Jets, jets
from qif2hw.nn.network import QIFNetwork


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
    """Forward and backward of ``size`` neurons with ``size`` inputs: milliseconds by share of synapses, and dense."""
    rng = np.random.default_rng(0)
    times = torch.from_numpy(rng.uniform(0.05, 1.95, (batch, size, 1)))
    phi0 = torch.from_numpy(rng.uniform(2.0, 5.0, size)).requires_grad_()
    none, neuron = times.new_zeros((batch, size)), QIF()
    full = torch.from_numpy(rng.uniform(-0.9, 0.9, (size, size)) / size**0.5).requires_grad_()

    def all_to_all() -> None:
        out = dense.layer(times, none, full, phi0, neuron=neuron, trial=6.5)
        out.first().sum().backward()

    def way(density: float) -> tuple[int, Callable[[], None]]:
        pattern = sparse.Pattern.of(rng.random((size, size)) < density)
        count = pattern.indices.size
        data = torch.from_numpy(rng.uniform(-0.9, 0.9, count) / max(1.0, count / size) ** 0.5).requires_grad_()

        def run() -> None:
            out = sparse.layer(times, None, data, phi0, pattern=pattern, neuron=neuron, trial=6.5)
            out.first().sum().backward()

        return count, run

    found = [way(density) for density in densities]
    ms = medians({"dense": all_to_all, **{str(count): run for count, run in found}}, repeats)
    return {
        "neurons": size,
        "batch": batch,
        "dense_ms": ms["dense"],
        "rows": [
            {"synapses": n, "ms": ms[str(n)], "ns_per_synapse": ms[str(n)] * 1e6 / (batch * max(n, 1))}
            for n, _ in found
        ],
    }


def figures(jets: dict[str, Any], sparse: dict[str, Any]) -> dict[str, Figure]:
    """Figures of `bench_jets` and `bench_sparse`, for `qif2hw.bench.result`."""
    network = f"{jets['network']}, batch {jets['batch']}"
    found = {f"{network}, jets, {name}": Figure(value, "ms") for name, value in jets["ms"].items()}
    layer = f"{sparse['neurons']} neurons, batch {sparse['batch']}"
    found[f"{layer}, dense"] = Figure(sparse["dense_ms"], "ms")
    for row in sparse["rows"]:
        found[f"{layer}, {row['synapses']} synapses"] = Figure(row["ms"], "ms")
    return found
