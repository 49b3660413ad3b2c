"""Classes in the outcome of a parity check: accuracy, agreement with the reference, confusion matrix."""

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qif2hw.ir.arrays import IntArray
from qif2hw.parity import html
from qif2hw.parity.html import cell, row, section
from qif2hw.parity.outcome import Outcome

MOST_CLASSES = 30
"""Most classes of a confusion matrix in a report."""


class ClassOutcome(Outcome):
    """An outcome whose runs may have classes; ``labels`` are the true ones (samples,), or None."""

    labels: IntArray | None

    @property
    @abstractmethod
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes; None of a network without."""

    def changed_class(self, backend: str) -> NDArray[np.bool_]:
        """Whether each sample falls into another class than on the reference, (samples,)."""
        found: NDArray[np.bool_] = self.runs[backend].label != self.runs["reference"].label
        return found

    def accuracy(self, backend: str) -> float | None:
        """Share of the samples whose class is the true one, if that is known."""
        return None if self.labels is None else float(np.mean(self.runs[backend].label == self.labels))

    def confusion(self, backend: str) -> IntArray | None:
        """Number of samples by true class and by the class found, (classes, classes), if the true one is known."""
        if self.labels is None or self.class_names is None:
            return None
        return confusion(self.labels, self.runs[backend].label, len(self.class_names))

    def classes_to_dict(self) -> dict[str, Any] | None:
        """Accuracy, agreement and confusion matrices by backend, as plain values; None of a network without classes."""
        if self.class_names is None:
            return None
        known = self.labels is not None
        others = [name for name in self.runs if name != "reference"] if "reference" in self.runs else []
        matrices = {name: self.confusion(name) for name in self.runs}
        return {
            "names": list(self.class_names),
            "accuracy": {name: self.accuracy(name) for name in self.runs} if known else None,
            "class_agreement": {name: float(1 - self.changed_class(name).mean()) for name in others},
            "confusion": {name: None if m is None else m.tolist() for name, m in matrices.items()} if known else None,
        }


def confusion(labels: IntArray, found: IntArray, classes: int) -> IntArray:
    """Number of samples by true class and by the class found, (classes, classes), of classes (samples,)."""
    return np.bincount(labels * classes + found, minlength=classes**2).reshape(classes, classes)


def by_class(report: ClassOutcome, backend: str) -> str:
    """Accuracy by class and the confusion matrix, where labels are known."""
    names = report.class_names
    if report.labels is None or names is None or "reference" not in report.backends:
        return ""
    expected, actual = report.runs["reference"].label, report.runs[backend].label
    rows = []
    for one in np.unique(report.labels):
        here = report.labels == one
        right = [float(np.mean(label[here] == one)) for label in (expected, actual)]
        moved = int(np.sum(expected[here] != actual[here]))
        cells = [names[one], f"{int(here.sum()):,}", *(html.percent(share) for share in right), f"{moved:,}"]
        rows.append(row([cell(c) for c in cells]))
    head = ["class", "samples", "right, reference", f"right, {backend}", "in another class than on the reference"]
    matrix = _matrix(confusion(report.labels, actual, len(names)), names) if len(names) <= MOST_CLASSES else ""
    return section("Classes", html.table(head, rows), matrix)


def _matrix(counts: IntArray, names: tuple[str, ...]) -> str:
    """The confusion matrix as a table: a row for each true class, what it was taken for in the columns."""
    rows = []
    for k, name in enumerate(names):
        cells = [cell(f"{n:,}" if n else "", "hit" if k == m else "miss" if n else "") for m, n in enumerate(counts[k])]
        rows.append(row([cell(name), *cells]))
    return html.table(["is, taken for", *names], rows)
