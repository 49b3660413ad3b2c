"""SVG for figures: elements, linear scales, axes.

Colours are classes, which a style sheet fills in for a light and for a dark background.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from qif2hw.ir.arrays import FloatArray


def element(tag: str, *content: str, **attributes: str | float) -> str:
    """One element; attribute names lose a trailing underscore, and ``_`` becomes ``-``.

    ``content`` is markup; numbers are written with two decimals.
    """
    written = "".join(f' {_name(k)}="{escape(_text(v))}"' for k, v in attributes.items())
    inside = "".join(content)
    return f"<{tag}{written}>{inside}</{tag}>" if inside else f"<{tag}{written}/>"


def text(x: float, y: float, content: str, *, css: str = "label", anchor: str = "start") -> str:
    """A line of text; ``content`` is escaped."""
    return element("text", escape(content), x=x, y=y, class_=css, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=css)


def rectangle(x: float, y: float, width: float, height: float, css: str, *content: str) -> str:
    """A rectangle."""
    return element("rect", *content, x=x, y=y, width=max(width, 0.0), height=max(height, 0.0), class_=css)


def path(x: Sequence[float] | FloatArray, y: Sequence[float] | FloatArray, css: str) -> str:
    """An open polyline through points ``x``, ``y`` (points,), in pixels."""
    points = " ".join(f"{_text(a)},{_text(b)}" for a, b in zip(x, y, strict=True))
    return element("polyline", points=points, class_=css)


def figure(width: float, height: float, label: str, parts: Iterable[str]) -> str:
    """An SVG that scales with the page; ``label`` is what a screen reader says."""
    box = f"0 0 {_text(width)} {_text(height)}"
    return element("svg", *parts, viewBox=box, role="img", aria_label=label, preserveAspectRatio="xMidYMid meet")


def document(width: float, height: float, parts: Iterable[str], **attributes: str | float) -> str:
    """An SVG for a file of its own, on a white background."""
    box = f"0 0 {_text(width)} {_text(height)}"
    background = element("rect", width=width, height=height, fill="#fff")
    size: dict[str, str | float] = {"viewBox": box, "width": width, "height": height, **attributes}
    return element("svg", background, *parts, xmlns="http://www.w3.org/2000/svg", **size) + "\n"


@dataclass(frozen=True)
class Scale:
    """Linear map of ``[low, high]`` to pixels ``[start, stop]``."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        """Pixel of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)

    def many(self, values: FloatArray) -> FloatArray:
        """Pixels of many values; element by element."""
        return self.start + (values - self.low) / (self.high - self.low) * (self.stop - self.start)

    def ticks(self, count: int = 6) -> list[float]:
        """Round numbers inside the range, about ``count``."""
        raw = (self.high - self.low) / max(count, 1)
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= raw * (1 - 1e-9))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [k * step for k in range(first, last + 1)]


def scale(values: FloatArray, start: float, stop: float, margin: float = 0.04) -> Scale:
    """A scale that holds all values, of any shape, with a margin on both sides; never empty."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    room = (high - low) * margin or max(abs(low), 1.0) * 1e-3
    return Scale(low - room, high + room, start, stop)


def number(value: float, digits: int = 3) -> str:
    """A number for people, ``digits`` significant digits; a dash for what is not finite."""
    if not math.isfinite(value):
        return "–"
    shown = f"{value:.{digits}g}"
    mantissa, _, exponent = shown.partition("e")
    if exponent:
        return f"{mantissa}·10{str(int(exponent)).translate(_SUPERSCRIPT)}".replace("-", "−")
    return shown.replace("-", "−")


def bottom_axis(scale_: Scale, y: float, title: str, *, top: float | None = None, count: int = 6) -> str:
    """Ticks and numbers below, the title under their middle; grid lines up to ``top``."""
    parts = [line(scale_.start, y, scale_.stop, y, "axis")]
    for tick in scale_.ticks(count):
        x = scale_(tick)
        if top is not None:
            parts.append(line(x, top, x, y, "grid"))
        parts += [line(x, y, x, y + 4, "axis"), text(x, y + 17, number(tick, 6), anchor="middle")]
    parts.append(text((scale_.start + scale_.stop) / 2, y + 35, title, css="title", anchor="middle"))
    return "".join(parts)


def left_axis(scale_: Scale, x: float, title: str, *, right: float | None = None, count: int = 4) -> str:
    """Ticks and numbers on the left, the title above them; grid lines to ``right``."""
    parts = []
    for tick in scale_.ticks(count):
        y = scale_(tick)
        if right is not None:
            parts.append(line(x, y, right, y, "grid"))
        parts.append(text(x - 7, y + 4, number(tick, 4), anchor="end"))
    parts.append(text(0, min(scale_.start, scale_.stop) - 9, title, css="title"))
    return "".join(parts)


_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _name(attribute: str) -> str:
    return attribute.rstrip("_").replace("_", "-")


def _text(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.2f}".rstrip("0").rstrip(".")
