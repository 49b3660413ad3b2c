"""Figures of a training, as SVG documents: the learning curve, predictions over the truth, a confusion matrix."""

from collections.abc import Sequence

import numpy as np

from qif2hw import svg
from qif2hw.ir.arrays import FloatArray
from qif2hw.train.result import TrainResult

STYLE = (
    "text{font:11px sans-serif;fill:#444}.title,.name{font-weight:bold}.axis{stroke:#888}.grid{stroke:#eee}"
    ".zero{stroke:#999;stroke-dasharray:4 3}.dot{fill:#4c72b0;fill-opacity:.5}.first{fill:none;stroke:#4c72b0}"
    ".second{fill:none;stroke:#c44e52;stroke-width:1.6}.share{fill:#4c72b0}"
)
MOST_DOTS, MOST_QUANTITIES, MOST_CLASSES = 2000, 4, 30
_SIDE, _LEFT, _TOP, _FOOT = 320.0, 60.0, 40.0, 46.0


def learning_curve(rows: FloatArray | Sequence[tuple[int, float, float]], measured: str) -> str:
    """Training loss and what was ``measured`` beside it over the steps, on a logarithmic scale.

    ``rows`` are (looks, 3): step, loss, what was measured; a mark stands where that is least.
    """
    step, *both = np.asarray(rows, np.float64).T
    loss, error = (np.log10(np.maximum(values, 1e-300)) for values in both)
    width = 640.0
    across = svg.Scale(0.0, float(step[-1]), _LEFT, width - 14)
    up = svg.scale(np.concatenate([loss, error]), _TOP + 240, _TOP)
    best = int(np.argmin(error))
    parts = [
        svg.left_axis(up, _LEFT, f"log10 of the training loss (blue) and the {measured} (red)", right=across.stop),
        svg.path(across.many(step), up.many(loss), "first"),
        svg.path(across.many(step), up.many(error), "second"),
        svg.element("circle", cx=across(float(step[best])), cy=up(float(error[best])), r=4, class_="second"),
        svg.bottom_axis(across, _TOP + 240, f"step (least {measured} at {int(step[best])})"),
    ]
    return _document(width, _TOP + 240 + _FOOT, parts)


def predictions(result: TrainResult) -> str:
    """Predictions on the test set over the truth, for the first quantities; of classes the confusion matrix."""
    host = result.network.host
    if result.network.classes is not None:
        return _confusion(result, list(result.network.classes))
    names = list(result.errors)[:MOST_QUANTITIES]
    units = {} if host is None else {one.name: one.unit for one in host.outputs}
    every = -(-len(result.y) // MOST_DOTS)
    parts = []
    for k, name in enumerate(names):
        at = k * (_SIDE + _LEFT + 14)
        truth, y = result.truth[::every, k], result.y[::every, k]
        both = np.concatenate([truth, y])
        across, up = svg.scale(both, at + _LEFT, at + _LEFT + _SIDE), svg.scale(both, _TOP + _SIDE, _TOP)
        axes = svg.left_axis(up, at + _LEFT, "", right=across.stop)
        parts += [axes, svg.line(across.start, up.start, across.stop, up.stop, "zero")]
        dots = zip(across.many(truth), up.many(y), strict=True)
        parts += [svg.element("circle", cx=a, cy=b, r=2, class_="dot") for a, b in dots]
        unit = f" ({units[name]})" if units.get(name) else ""
        parts.append(svg.text(at + _LEFT, _TOP - 10, f"{name}{unit}: predicted over true, test set", css="title"))
        parts.append(svg.bottom_axis(across, _TOP + _SIDE, f"true {name}{unit}", count=4))
    return _document(len(names) * (_SIDE + _LEFT + 14), _TOP + _SIDE + _FOOT, parts)


def _confusion(result: TrainResult, classes: list[str]) -> str:
    count = min(len(classes), MOST_CLASSES)
    found = np.zeros((count, count))
    pairs = np.column_stack([result.truth[:, 0], result.y[:, 0]]).astype(np.int64)
    np.add.at(found, tuple(pairs[(pairs < count).all(axis=1)].T), 1)
    left, size = 130.0, min(48.0, 640.0 / count)
    parts = [svg.text(10, 18, "rows: true class, columns: predicted class, test set", css="title")]
    for row in range(count):
        y = _TOP + 20 + row * size
        parts.append(svg.text(left - 8, y + size / 2 + 4, classes[row], anchor="end"))
        parts.append(svg.text(left + (row + 0.5) * size, _TOP + 12, classes[row][:8], anchor="middle"))
        for column in range(count):
            share, x = found[row, column] / max(found[row].sum(), 1.0), left + column * size
            if found[row, column]:
                box = svg.element(
                    "rect", x=x, y=y, width=size - 1, height=size - 1, class_="share", fill_opacity=0.1 + 0.5 * share
                )
                parts += [box, svg.text(x + size / 2, y + size / 2 + 4, f"{found[row, column]:.0f}", anchor="middle")]
    return _document(left + count * size + 14, _TOP + 34 + count * size, parts)


def _document(width: float, height: float, parts: list[str]) -> str:
    return svg.document(width, height, [svg.element("style", STYLE), *parts])
