"""The Pareto front, and a picture of it."""

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import TypeVar

from qif2hw import svg

A = TypeVar("A")

SIDE, GAP = 240, 64


def pareto(items: Sequence[A], values: Callable[[A], tuple[float, ...]]) -> list[A]:
    """Those that no other beats or equals everywhere and beats somewhere; of equals the first."""
    front: list[A] = []
    seen: set[tuple[float, ...]] = set()
    for item in items:
        own = values(item)
        if own in seen:
            continue
        seen.add(own)
        if not any(
            other != own and all(o <= v for o, v in zip(other, own, strict=True)) for other in map(values, items)
        ):
            front.append(item)
    return front


def picture(every: Sequence[tuple[float, ...]], front: Sequence[tuple[float, ...]], names: Sequence[str]) -> str:
    """An SVG: the first objective against each other one, both logarithmic; the front is filled."""
    panels = [
        svg.element("g", *_panel(every, front, k, names), transform=f"translate({GAP + i * (SIDE + GAP)} {GAP // 2})")
        for i, k in enumerate(range(1, len(names)))
    ]
    width, height = GAP + len(panels) * (SIDE + GAP), SIDE + 2 * GAP
    return svg.document(width, height, panels, font_family="sans-serif", font_size=11, fill="#444")


def _panel(
    every: Sequence[tuple[float, ...]], front: Sequence[tuple[float, ...]], k: int, names: Sequence[str]
) -> list[str]:
    across, up = _scale([v[k] for v in every]), _scale([v[0] for v in every])

    def dots(points: Sequence[tuple[float, ...]], **style: str) -> list[str]:
        return [svg.element("circle", cx=SIDE * across(v[k]), cy=SIDE * (1 - up(v[0])), r=3, **style) for v in points]

    low, high = min(v[k] for v in every), max(v[k] for v in every)
    least, most = min(v[0] for v in every), max(v[0] for v in every)
    rotated = f"translate(-36 {SIDE / 2}) rotate(-90)"
    return [
        svg.element("rect", width=SIDE, height=SIDE, fill="none", stroke="#bbb"),
        *dots([v for v in every if v not in front], fill="none", stroke="#aaa"),
        *dots(front, fill="#1668a8"),
        svg.text(SIDE / 2, SIDE + 32, names[k], anchor="middle"),
        svg.text(0, SIDE + 16, f"{low:.4g}"),
        svg.text(SIDE, SIDE + 16, f"{high:.4g}", anchor="end"),
        svg.text(-4, SIDE, f"{least:.2g}", anchor="end"),
        svg.text(-4, 10, f"{most:.2g}", anchor="end"),
        svg.element("text", escape(names[0]), transform=rotated, text_anchor="middle"),
    ]


def _scale(values: Sequence[float]) -> Callable[[float], float]:
    """Logarithmic position in [0.03, 0.97]."""
    logs = [math.log(max(v, 1e-12)) for v in values]
    low, span = min(logs), max(max(logs) - min(logs), 1e-12)
    return lambda value: 0.03 + 0.94 * (math.log(max(value, 1e-12)) - low) / span
