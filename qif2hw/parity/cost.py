"""The section of a report about a chip: work of the cores, and the bracket of latency and energy."""

from html import escape

from qif2hw import svg
from qif2hw.estimate import COUNTERS, Estimate
from qif2hw.parity import html
from qif2hw.parity.html import cell, row

CORES_SHOWN = 24


def section(found: Estimate) -> str:
    """Counters by core, latency and energy with their three boundaries, and where the rates are from."""
    words = "; ".join(found.notes)
    parts = [html.table(["", "low", "high"], _bracket(found))] if found.bracket is not None else []
    parts.append(html.table(["core", "holds", *COUNTERS], _cores(found)))
    if found.rates is not None:
        rates = [
            row([cell(name), cell(f"{r.value:.4g} {r.unit}"), cell(r.status), cell(r.source, "words")])
            for name, r in found.rates.rates.items()
        ]
        parts.append(html.table(["rate", "value", "status", "source"], rates))
    counts = ", ".join(f"{name.replace('_', ' ')} {value:.6g}" for name, value in found.counts.per_sample().items())
    words += f". Mean of {found.counts.samples} samples, {found.counts.steps} steps: {counts}."
    return html.section(f"Estimate for {found.target}", *parts, words=escape(words[0].upper() + words[1:]))


def _bracket(found: Estimate) -> list[str]:
    assert found.bracket is not None
    rows = {
        "latency of a sample / ms": found.bracket.latency_s,
        "energy on the chip's rails / mJ": found.bracket.rails_j,
        "energy on the board / mJ": found.bracket.board_j,
        "dynamic part of the energy / mJ": found.bracket.dynamic_j,
    }
    return [row([cell(name), *(cell(svg.number(1e3 * value)) for value in ends)]) for name, ends in rows.items()]


def _cores(found: Estimate) -> list[str]:
    columns = [found.counts.by_core(name) for name in COUNTERS]
    rows = []
    for k, core in enumerate(found.counts.cores[:CORES_SHOWN]):
        numbers = [cell(f"{column[k]:,.6g}") for column in columns]
        rows.append(row([cell(str(k)), cell(f"{core.population} {core.first}-{core.stop - 1}"), *numbers]))
    left = len(found.counts.cores) - CORES_SHOWN
    return rows + [row([cell(""), cell(f"{left} more")])] * (left > 0)
