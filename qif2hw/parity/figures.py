"""The figures of a report about results and errors; `raster` has those about single spikes."""

from collections.abc import Callable

import numpy as np

from qif2hw import svg
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.spikes import Run
from qif2hw.parity.outcome import Outcome
from qif2hw.parity.results import ParityReport, PopulationParity

WIDTH = 980.0
_LEFT = 62.0


def curve(report: ParityReport, backend: str) -> str:
    """Result over input, of a network with one input and one output; below, the difference from `Outcome.base`."""
    order = np.argsort(report.x[:, 0], kind="stable")
    x = report.x[order, 0]
    base, base_name = report.base()
    base = base[:, 0]
    given, result = _axes(report)
    lines = [(css, name, run.y[order, 0]) for css, name, run in _lines(report, backend)]
    across = svg.Scale(float(x[0]), float(x[-1]) if x[-1] > x[0] else float(x[0]) + 1.0, _LEFT, WIDTH - 12)
    upper = svg.scale(np.concatenate([base, *(y for _, _, y in lines)]), 250.0, 26.0)
    residuals = [(css, y - base[order]) for css, name, y in lines if name != base_name]
    lower = svg.scale(np.concatenate([[0.0], *(d for _, d in residuals)]), 392.0, 306.0, 0.08)
    parts = [svg.left_axis(upper, _LEFT, result, right=across.stop)]
    parts.append(svg.path(across.many(x), upper.many(base[order]), "truth"))
    parts += [svg.path(across.many(x), upper.many(y), css) for css, name, y in lines if name != base_name]
    parts.append(svg.left_axis(lower, _LEFT, f"difference from {base_name}", right=across.stop))
    parts.append(svg.line(across.start, lower(0.0), across.stop, lower(0.0), "zero"))
    parts += [svg.path(across.many(x), lower.many(d), css) for css, d in residuals]
    parts.append(svg.bottom_axis(across, 392.0, given))
    return svg.figure(WIDTH, 430.0, f"Result of {backend} and {base_name} over the input", parts)


def _axes(report: ParityReport) -> tuple[str, str]:
    """What the first input and the first output are called, with their units."""
    host = report.program.host
    if host is None:
        return "input, scaled to [0, 1]", "result"
    one, other = host.inputs[0], host.outputs[0]
    return f"{one.name}{one.unit and f' ({one.unit})'}", f"{other.name}{other.unit and f' ({other.unit})'}"


def scatter(report: Outcome, backend: str, most: int = 3000) -> str:
    """Difference of the results from those of `Outcome.base` over them: a dot for each output, at most ``most``."""
    run = report.runs[backend]
    base, base_name = report.base()
    every = max(1, -(-base.size // most))
    expected, difference = base.ravel()[::every], (run.y - base).ravel()[::every]
    across = svg.scale(expected, _LEFT, WIDTH - 12)
    up = svg.scale(np.concatenate([[0.0], difference]), 210.0, 26.0, 0.08)
    parts = [svg.left_axis(up, _LEFT, f"{backend} minus {base_name}", right=across.stop)]
    parts.append(svg.line(across.start, up(0.0), across.stop, up(0.0), "zero"))
    dots = zip(across.many(expected), up.many(difference), strict=True)
    parts += [svg.element("circle", cx=a, cy=b, r=1.7, class_="cloud") for a, b in dots]
    parts.append(svg.bottom_axis(across, 214.0, f"result of {base_name}"))
    return svg.figure(WIDTH, 252.0, f"Difference of {backend} from {base_name}", parts)


def domain(report: Outcome, backend: str, most: int = 2000) -> str:
    """Largest difference of the results from those of `Outcome.base`, over the plane of two inputs."""
    base, base_name = report.base()
    off = np.abs(report.runs[backend].y - base).max(axis=1)
    # The largest are drawn last, on top.
    order = np.argsort(off, kind="stable")[-most:]
    top = max(float(off.max(initial=0.0)), 1e-300)
    side = 380.0
    across, up = svg.Scale(0.0, 1.0, _LEFT, _LEFT + side), svg.Scale(0.0, 1.0, side + 26, 26.0)
    parts = [svg.left_axis(up, _LEFT, "second input", right=across.stop)]
    for k in order:
        size = 1.0 + 6.0 * float(off[k]) / top
        tip = svg.element("title", f"sample {k}: {off[k]:.4g} from {base_name}")
        where = {"cx": across(float(report.x[k, 0])), "cy": up(float(report.x[k, 1]))}
        parts.append(svg.element("circle", tip, **where, r=size, class_="cloud"))
    parts.append(svg.bottom_axis(across, side + 30, "first input"))
    return svg.figure(WIDTH, side + 70, f"Difference of {backend} from {base_name} over the inputs", parts)


def histogram(row: PopulationParity, bound: float | None) -> str:
    """Timing errors of one population in steps Delta; dashed where an RMS bound lies."""
    error = row.error / row.delta
    width, left, right, foot = 320.0, 8.0, 312.0, 112.0
    reach = max(float(np.abs(error).max(initial=0.0)), 1.25 * (bound or 0.0), 1e-3) * 1.03
    across = svg.Scale(-reach, reach, left, right)
    count, edges = np.histogram(error, bins=61, range=(-reach, reach))
    top = max(int(count.max()), 1)
    parts = [svg.text(left, 14, row.population, css="name")]
    parts.append(svg.text(right, 14, f"RMS {svg.number(row.rms / row.delta, 2)} Δ, n = {row.matched:,}", anchor="end"))
    for n, a, b in zip(count, edges[:-1], edges[1:], strict=True):
        if n:
            # Square root: the few far out must be seen.
            height = max(84.0 * float(np.sqrt(n / top)), 1.0)
            tip = svg.element("title", f"{int(n):,} spikes between {a:.4f} and {b:.4f} Δ")
            parts.append(svg.rectangle(across(a), foot - height, across(b) - across(a) - 0.6, height, "fill", tip))
    if bound is not None:
        parts += [svg.line(across(side * bound), 26, across(side * bound), foot, "bound") for side in (-1, 1)]
    parts.append(svg.bottom_axis(across, foot, "timing error / Δ (late is positive)", count=5))
    return svg.figure(width, 150.0, f"Histogram of the timing errors of {row.population}", parts)


def spark(values: FloatArray, label: str, tip: Callable[[int, float], str]) -> str:
    """A small bar for each of ``values`` (bars,); ``tip`` says what it is."""
    size, top = len(values), float(np.nanmax(values, initial=0.0))
    if not top > 0:
        return ""
    step = min(150.0 / size, 12.0)
    parts = []
    for i, v in enumerate(values):
        if v > 0:
            height, words = 23 * v / top, svg.element("title", tip(i, float(v)))
            parts.append(svg.rectangle(i * step, 24 - height, step * (0.8 if step > 2 else 1.0), height, "fill", words))
    return svg.figure(150.0, 24.0, label, parts).replace("<svg ", '<svg class="spark" ', 1)


def bar(share: float) -> str:
    """A horizontal bar, ``share`` in [0, 1] of the full width."""
    return svg.figure(320.0, 12.0, f"{share:.0%}", [svg.rectangle(0, 1, max(320 * share, 1.5), 10, "fill-pale")])


def _lines(report: ParityReport, backend: str) -> list[tuple[str, str, Run]]:
    return [
        (css, name, report.runs[name])
        for css, name in (("float", "float"), ("machine", backend))
        if name in report.runs
    ]
