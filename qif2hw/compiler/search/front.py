"""The Pareto front, and a picture of it."""

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

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
    panels = [_panel(every, front, k, names) for k in range(1, len(names))]
    width, height = GAP + len(panels) * (SIDE + GAP), SIDE + 2 * GAP
    body = "".join(
        f'<g transform="translate({GAP + k * (SIDE + GAP)} {GAP // 2})">{panel}</g>\n' for k, panel in enumerate(panels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="11" fill="#444">\n'
        f'<rect width="{width}" height="{height}" fill="#fff"/>\n{body}</svg>\n'
    )


def _panel(every: Sequence[tuple[float, ...]], front: Sequence[tuple[float, ...]], k: int, names: Sequence[str]) -> str:
    across, up = _scale([v[k] for v in every]), _scale([v[0] for v in every])

    def dots(points: Sequence[tuple[float, ...]], style: str) -> str:
        return "".join(
            f'<circle cx="{SIDE * across(v[k]):.1f}" cy="{SIDE * (1 - up(v[0])):.1f}" r="3" {style}/>' for v in points
        )

    low, high = min(v[k] for v in every), max(v[k] for v in every)
    least, most = min(v[0] for v in every), max(v[0] for v in every)
    return (
        f'<rect width="{SIDE}" height="{SIDE}" fill="none" stroke="#bbb"/>'
        + dots([v for v in every if v not in front], 'fill="none" stroke="#aaa"')
        + dots(front, 'fill="#1668a8"')
        + f'<text x="{SIDE / 2}" y="{SIDE + 32}" text-anchor="middle">{names[k]}</text>'
        + f'<text x="0" y="{SIDE + 16}">{low:.4g}</text>'
        + f'<text x="{SIDE}" y="{SIDE + 16}" text-anchor="end">{high:.4g}</text>'
        + f'<text x="-4" y="{SIDE}" text-anchor="end">{least:.2g}</text>'
        + f'<text x="-4" y="10" text-anchor="end">{most:.2g}</text>'
        + f'<text transform="translate(-36 {SIDE / 2}) rotate(-90)" text-anchor="middle">{names[0]}</text>'
    )


def _scale(values: Sequence[float]) -> Callable[[float], float]:
    """Logarithmic position in [0.03, 0.97]."""
    logs = [math.log(max(v, 1e-12)) for v in values]
    low, span = min(logs), max(max(logs) - min(logs), 1e-12)
    return lambda value: 0.03 + 0.94 * (math.log(max(value, 1e-12)) - low) / span
