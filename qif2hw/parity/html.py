"""Pieces of HTML that the sections of a report share.  Arguments are text; what comes back is markup."""

import math
from collections.abc import Sequence
from html import escape

from qif2hw import svg

DASH = "–"


def section(title: str, *content: str, words: str = "") -> str:
    """A heading, a paragraph of ``words`` (markup), and what follows."""
    return "\n".join([f"<h2>{escape(title)}</h2>", *([f"<p>{words}</p>"] if words else []), *content])


def cell(text: str, css: str = "") -> str:
    """A cell of a table."""
    return raw_cell(escape(text), css)


def raw_cell(markup: str, css: str = "") -> str:
    """A cell that holds markup."""
    return f'<td class="{css}">{markup}</td>' if css else f"<td>{markup}</td>"


def table(head: Sequence[str], rows: Sequence[str]) -> str:
    """A table of rows that are markup."""
    top = f"<thead><tr>{''.join(f'<th>{escape(h)}</th>' for h in head)}</tr></thead>" if head else ""
    return f'<div class="scroll"><table>{top}<tbody>{"".join(rows)}</tbody></table></div>'


def row(cells: Sequence[str], css: str = "") -> str:
    """A row of cells that are markup."""
    return f'<tr class="{css}">{"".join(cells)}</tr>' if css else f"<tr>{''.join(cells)}</tr>"


def figure(drawing: str, caption: str = "") -> str:
    """A drawing with a caption below it."""
    return f"<figure>{drawing}{f'<figcaption>{escape(caption)}</figcaption>' if caption else ''}</figure>"


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """Names, and the class of the mark each stands for."""
    shapes = {
        "expected": svg.line(15, 1, 15, 13, "expected"),
        "dot": svg.element("circle", cx=15, cy=7, r=3, class_="dot"),
        "pseudo": svg.element("circle", cx=15, cy=7, r=3.2, class_="pseudo"),
    }
    items = []
    for name, css in entries:
        shape = shapes.get(css) or svg.line(3, 7, 27, 7, css)
        mark = svg.element("svg", shape, viewBox="0 0 30 14", aria_hidden="true")
        items.append(f"<span>{mark}{escape(name)}</span>")
    return f'<div class="legend">{"".join(items)}</div>'


def percent(value: float) -> str:
    """A fraction as a percentage."""
    return DASH if not math.isfinite(value) else f"{svg.number(100 * value)} %"


def seconds(value: float) -> str:
    """A duration."""
    if not math.isfinite(value):
        return DASH
    return f"{value * 1e3:.0f} ms" if value < 1 else f"{value:.1f} s"
