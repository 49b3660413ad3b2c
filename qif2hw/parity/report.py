"""One page of HTML that shows a parity check: no script, nothing to load, light and dark."""

import os
from collections.abc import Mapping
from html import escape
from importlib import resources
from pathlib import Path

from qif2hw import svg
from qif2hw.errors import InputError
from qif2hw.files import write_text
from qif2hw.parity import html, sections
from qif2hw.parity.results import IDENTITY, ParityReport, rms


def write(path: str | os.PathLike[str], page: str) -> Path:
    """Write a page: complete, or not at all."""
    return write_text(path, page)


def render(
    report: ParityReport,
    *,
    title: str = "Parity",
    stages: Mapping[str, float] | None = None,
    facts: Mapping[str, str] | None = None,
    sample: int | None = None,
) -> str:
    """Render a check as one self-contained page.

    Parameters
    ----------
    report
        What `qif2hw.parity.check` found.
    title
        Heading of the page.
    stages
        Seconds that each stage took (training, compiling ...), in order.
    facts
        What else to say on top, by name: task, target, weight bits ...
    sample
        The sample whose spikes are drawn; by default the one whose output spikes are furthest off.

    Raises
    ------
    InputError
        If there is no such sample.
    """
    if sample is not None and not 0 <= sample < report.samples:
        raise InputError(f"sample {sample} cannot be drawn: there are {report.samples}")
    parts = [
        _head(report, title, facts or {}),
        _tiles(report),
        sections.summary(report),
        sections.bounds(report),
        sections.results(report),
        sections.populations(report),
        sections.errors(report),
        sections.one_sample(report, sample),
        sections.times(report, stages or {}),
        _foot(report),
    ]
    style = resources.files("qif2hw.parity").joinpath("report.css").read_text("utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def _head(report: ParityReport, title: str, facts: Mapping[str, str]) -> str:
    program = report.program
    by_depth: dict[int, int] = {0: program.inputs}
    for population in program.populations:
        by_depth[population.depth] = by_depth.get(population.depth, 0) + population.size
    lead = [
        "–".join(str(size) for size in by_depth.values()),
        f"{report.samples:,} samples",
        f"{report.steps} steps of Δ = {report.delta:.5g}",
        *(f"{name} {value}" for name, value in facts.items()),
    ]
    state = (
        '<span class="state good">parity holds</span>'
        if report.ok
        else '<span class="state bad">parity is broken</span>'
    )
    return f'<h1>{escape(title)}</h1>\n<p class="lead">{state}&ensp;{escape(" · ".join(lead))}</p>'


def _tiles(report: ParityReport) -> str:
    tiles = []
    against = "truth" if report.truth is not None else "float"
    for name in ("float", *(b for b in report.backends if b != "reference")):
        result = report.result(name, against)
        if result is not None:
            tiles.append((html.percent(result.relative), f"error of {name} against {against}"))
    same = [v for v in report.verdicts if v.unit == IDENTITY]
    if same:
        words = f"{', '.join(v.backend for v in same)}: every spike's step and lateness"
        tiles.append(("identical" if all(v.ok for v in same) else "different", words))
    if report.timing:
        timing = report.timing[0]
        spikes, matched = (sum(getattr(p, what) for p in timing.populations) for what in ("spikes", "matched"))
        tiles.append((f"{matched:,}", f"of {spikes:,} spikes matched"))
        tiles.append(
            (f"{svg.number(rms(timing.first_error) / report.delta, 2)} Δ", "RMS timing error of output spikes")
        )
    shown = "".join(f'<div class="tile"><b>{a}</b><span>{escape(b)}</span></div>' for a, b in tiles)
    return f'<div class="tiles">{shown}</div>'


def _foot(report: ParityReport) -> str:
    grid = report.program.grid
    return (
        f"<footer>Δ = Θ / {grid.period_steps} = {grid.delta:.6g}; a tick, the unit of lateness, is Δ / {grid.ticks}. "
        f"Trial T = {grid.trial:g}, Θ = {grid.period:g}. RMS: root mean square. All times in the unit of τ.</footer>"
    )
