"""One page of HTML that shows a parity check: no script, nothing to load, light and dark."""

import os
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path

from qif2hw.errors import InputError
from qif2hw.estimate import Estimate
from qif2hw.files import write_text
from qif2hw.parity import cost, sections, stepped_sections
from qif2hw.parity.outcome import Outcome
from qif2hw.parity.results import ParityReport
from qif2hw.parity.stepped import SteppedReport


def write(path: str | os.PathLike[str], page: str) -> Path:
    """Write a page: complete, or not at all."""
    return write_text(path, page)


def render(
    report: Outcome,
    *,
    title: str = "Parity",
    stages: Mapping[str, float] | None = None,
    facts: Mapping[str, str] | None = None,
    sample: int | None = None,
    estimate: Estimate | None = None,
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
        The sample that is drawn; by default the one whose results are furthest off.

    estimate
        What a sample costs on a chip: counts, latency and energy within the published figures.

    Raises
    ------
    InputError
        If there is no such sample.
    """
    if sample is not None and not 0 <= sample < report.samples:
        raise InputError(f"sample {sample} cannot be drawn: there are {report.samples}")
    if isinstance(report, SteppedReport):
        lead, tiles = stepped_sections.lead(report), stepped_sections.tiles(report)
        own, foot = stepped_sections.page(report, sample), stepped_sections.foot(report)
    else:
        assert isinstance(report, ParityReport)
        lead, tiles = sections.lead(report), sections.tiles(report)
        own, foot = sections.page(report, sample), sections.foot(report)
    parts = [
        _head(report, title, [*lead, *(f"{name} {value}" for name, value in (facts or {}).items())]),
        _tiles(tiles),
        *own,
        sections.times(report, stages or {}),
        "" if estimate is None else cost.section(estimate),
        f"<footer>{foot}</footer>",
    ]
    style = resources.files("qif2hw.parity").joinpath("report.css").read_text("utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def _head(report: Outcome, title: str, lead: Sequence[str]) -> str:
    state = (
        '<span class="state good">parity holds</span>'
        if report.ok
        else '<span class="state bad">parity is broken</span>'
    )
    return f'<h1>{escape(title)}</h1>\n<p class="lead">{state}&ensp;{escape(" · ".join(lead))}</p>'


def _tiles(tiles: Sequence[tuple[str, str]]) -> str:
    shown = "".join(f'<div class="tile"><b>{a}</b><span>{escape(b)}</span></div>' for a, b in tiles)
    return f'<div class="tiles">{shown}</div>'
