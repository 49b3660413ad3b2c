"""How the cost of a layer grows: time with updates, memory with samples; as numbers, a table and a figure."""

import gc
import math
import tracemalloc
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from qif2hw.bench.result import Figure
from qif2hw.bench.timing import measure
from qif2hw.host import machine
from qif2hw.neuron import QIF
from qif2hw.nn.functional import dense
from qif2hw.train.memory import keep_pages

TRIAL = 6.5

BY_BATCH = tuple((64, batch) for batch in (3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000, 250_000))
"""Layers of 64 neurons with 64 input spikes: neurons, samples."""

BY_WIDTH = tuple((width, 100) for width in (16, 32, 64, 128, 256, 512, 1024))
"""A hundred samples of layers with as many neurons as input spikes."""

MEASURED_FROM = 1e5
"""Updates from which on the exponent is fitted: below, the fixed cost of a call shows."""


class Point(NamedTuple):
    """One layer: neurons (and input spikes), samples, updates, milliseconds forward and forward with backward, memory.

    ``bytes`` is the most that was allocated during both passes, beyond inputs and parameters.
    """

    series: str
    width: int
    batch: int
    updates: int
    ms_forward: float
    ms_forward_backward: float
    bytes: int


def scaling(
    *,
    most: float = 1.1e9,
    seconds: float = 1.0,
    dtype: torch.dtype = torch.float64,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Measure layers of up to ``most`` updates: the least time of repetitions that take ``seconds`` per number.

    The least, not the median: what other programs take from this machine must not pass for a law of growth.

    Returns
    -------
    dict
        ``machine``; ``points``; ``exponent`` of the time's growth with updates (1 is linear), and
        ``bytes_per_sample`` of the largest layers, by series.
    """
    keep_pages()
    todo = [
        (name, width, batch)
        for name, sizes in (("samples", BY_BATCH), ("width", BY_WIDTH))
        for width, batch in sizes
        if width * width * batch <= most
    ]
    points = []
    for done, (name, width, batch) in enumerate(todo):
        if progress is not None:
            progress(done, len(todo), f"{width} x {width}, batch {batch}")
        points.append(_point(name, width, batch, seconds, dtype))
    by_batch = [p for p in points if p.series == "samples"]
    return {
        "machine": machine(),
        "dtype": str(dtype).removeprefix("torch."),
        "points": [p._asdict() for p in points],
        "exponent": {name: _exponent([p for p in points if p.series == name]) for name in ("samples", "width")},
        "bytes_per_sample": {str(p.batch): p.bytes / p.batch for p in by_batch},
    }


def _point(name: str, width: int, batch: int, seconds: float, dtype: torch.dtype) -> Point:
    g = torch.Generator().manual_seed(0)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=g, dtype=dtype)

    times = uniform(0.05, TRIAL - 0.1, batch, width, 1).requires_grad_()
    psi = torch.zeros((batch, width), dtype=dtype)
    weight = (uniform(-0.9, 0.9, width, width) / math.sqrt(width)).requires_grad_()
    phi0 = uniform(2.0, 5.0, width).requires_grad_()

    def both() -> None:
        out = dense.layer(times, psi, weight, phi0, neuron=QIF(), trial=TRIAL)
        torch.autograd.grad(out.next.sum(), (times, weight, phi0))

    def forward() -> None:
        with torch.no_grad():
            dense.layer(times, psi, weight, phi0, neuron=QIF(), trial=TRIAL)

    once, twice = measure(forward, seconds), measure(both, seconds)
    gc.collect()
    tracemalloc.start()
    both()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return Point(name, width, batch, width * width * batch, once.least, twice.least, peak)


def _exponent(points: list[Point]) -> float | None:
    chosen = [p for p in points if p.updates >= MEASURED_FROM]
    if len(chosen) < 2:
        return None
    x, y = np.log([p.updates for p in chosen]), np.log([p.ms_forward_backward for p in chosen])
    return float(np.polyfit(x, y, 1)[0])


def figures(result: dict[str, Any]) -> dict[str, Figure]:
    """Figures of a result of `scaling`, for `qif2hw.bench.result`."""
    found = {}
    for p in result["points"]:
        name = f"{p['width']} neurons, batch {p['batch']}, {result['dtype']}"
        found[f"{name}, forward and backward"] = Figure(p["ms_forward_backward"], "ms")
        found[f"{name}, memory"] = Figure(p["bytes"], "bytes")
    return found


def table(result: dict[str, Any]) -> str:
    """The numbers in Markdown."""
    host = result["machine"]
    head = "| neurons = input spikes | samples | updates | forward, ms | forward + backward, ms | ns per update | MB |"
    lines = [
        f"{host['processor']}, {host['threads']} threads, load {host['load']:.1f} when measured; {result['dtype']}, "
        f"numba {host['numba']}, torch {host['torch']}. The least of several repetitions.",
        "",
        head,
        "|---:" * 7 + "|",
    ]
    for p in result["points"]:
        per_update = 1e6 * p["ms_forward_backward"] / p["updates"]
        lines.append(
            f"| {p['width']} | {p['batch']} | {p['updates']:.2e} | {p['ms_forward']:.3g} | "
            f"{p['ms_forward_backward']:.3g} | {per_update:.2f} | {p['bytes'] / 1e6:.3g} |"
        )
    for name, exponent in result["exponent"].items():
        if exponent is not None:
            lines += ["", f"Time grows as updates to the power {exponent:.2f} (more {name}, from 1e5 updates on)."]
    return "\n".join(lines) + "\n"


_STYLE = """
.frame { stroke: #64748b; fill: none; } .grid { stroke: #cbd5e1; stroke-width: .7; }
text { fill: #334155; font: 13px system-ui, sans-serif; }
.samples { stroke: #2563eb; fill: #2563eb; } .width { stroke: #c2410c; fill: #c2410c; } .line { fill: none; }
.ideal { stroke: #64748b; stroke-dasharray: 5 4; fill: none; }
@media (prefers-color-scheme: dark) {
.grid { stroke: #334155; } text { fill: #cbd5e1; } .frame, .ideal { stroke: #94a3b8; }
.samples { stroke: #60a5fa; fill: #60a5fa; } .width { stroke: #fb923c; fill: #fb923c; } }
"""

_LABELS = {"samples": "64 x 64, more samples", "width": "100 samples, wider layers"}


def figure(result: dict[str, Any]) -> str:
    """Time of a forward and backward pass against updates, as an SVG that reads on light and dark pages."""
    points = result["points"]
    updates = [math.log10(p["updates"]) for p in points]
    times = [math.log10(p["ms_forward_backward"]) for p in points]
    left, right = math.floor(min(updates)), math.ceil(max(updates) - 0.1)
    low, high = math.floor(min(times)), math.ceil(max(times))

    def at(u: float, t: float) -> tuple[float, float]:
        return 80 + 560 * (u - left) / (right - left), 370 - 340 * (t - low) / max(1, high - low)

    parts = [f"<style>{_STYLE}</style>"]
    for u in range(left, right + 1):
        x, _ = at(u, low)
        parts.append(
            f'<path class="grid" d="M{x:.1f} 30V370"/><text x="{x:.1f}" y="390" text-anchor="middle">1e{u}</text>'
        )
    for t in range(low, high + 1):
        _, y = at(left, t)
        parts.append(
            f'<path class="grid" d="M80 {y:.1f}H640"/><text x="72" y="{y + 4:.1f}" text-anchor="end">1e{t}</text>'
        )
    parts.append('<rect class="frame" x="80" y="30" width="560" height="340"/>')
    last = max(zip(updates, times, strict=True))
    reach = min(last[0] - left, last[1] - low)
    (x1, y1), (x2, y2) = at(last[0] - reach, last[1] - reach), at(*last)
    parts.append(f'<path class="ideal" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>')
    for row, (name, label) in enumerate(_LABELS.items()):
        places = [at(u, t) for p, u, t in zip(points, updates, times, strict=True) if p["series"] == name]
        line = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in places)
        parts.append(f'<g class="{name}"><path class="line" d="M{line}"/>{dots}</g>')
        parts.append(f'<circle class="{name}" cx="102" cy="{52 + 20 * row}" r="4"/>')
        parts.append(f'<text x="114" y="{56 + 20 * row}">{label}</text>')
    parts.append('<path class="ideal" d="M94 92H110"/><text x="114" y="96">linear</text>')
    parts.append('<text x="360" y="412" text-anchor="middle">updates (input spikes x neurons x samples)</text>')
    parts.append(
        '<text transform="translate(24 200) rotate(-90)" text-anchor="middle">forward + backward, milliseconds</text>'
    )
    title = "<title>Time of a layer's forward and backward pass against its updates</title>"
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 660 424" role="img">{title}{"".join(parts)}</svg>\n'
