"""Benchmark results as files: figures with units, and the machine and versions that they belong to.

``qif2hw bench ... --json`` prints one; docs/releases/ keeps one for each release; `compare` gives the ratios of two.
"""

import importlib.metadata
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qif2hw.errors import InputError
from qif2hw.files import read_bytes
from qif2hw.host import machine

FORMAT = "qif2hw-bench"
MOST_BYTES = 2**24
SCHEMA = 1
"""Raised when the meaning of an entry changes."""

MACHINE = ("processor", "cores", "threads", "load", "python", "numba", "torch")
"""Entries that name a machine, its load at the time, and the versions that speed depends on."""


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Parameters
    ----------
    value
        A positive number.
    unit
        ``ms``, ``ns``, ``1/s``, ``bytes`` or ``ratio``.
    """

    value: float
    unit: str


@dataclass(frozen=True)
class BenchResult:
    """Figures by name, with the machine (`MACHINE`) and the version of qif2hw that gave them.

    ``detail`` holds everything that a benchmark measured, by benchmark.
    """

    version: str
    machine: Mapping[str, Any]
    figures: Mapping[str, Figure]
    detail: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {
            "format": FORMAT,
            "schema": SCHEMA,
            "qif2hw": self.version,
            "machine": dict(self.machine),
            "figures": {name: {"value": f.value, "unit": f.unit} for name, f in self.figures.items()},
            "detail": dict(self.detail),
        }

    @property
    def about(self) -> str:
        """Version, machine, load and versions of the packages, in one line."""
        m = self.machine
        versions = ", ".join(f"{name} {m[name]}" for name in ("python", "numba", "torch") if m[name])
        beside = "" if m.get("others") is None else f", {m['others']:.2f} cores taken by other programs"
        return (
            f"qif2hw {self.version}: {m['processor']}, {m['threads']} threads, load {m['load']:.2f}{beside}; {versions}"
        )


def collect(measured: Mapping[str, tuple[Mapping[str, Figure], Any]], others: float | None = None) -> BenchResult:
    """Join what several benchmarks measured on this machine: by benchmark, its figures and its detail.

    ``others`` is what other programs took meanwhile, in cores; ``None`` where it is not known.
    """
    figures = {f"{name}: {key}": figure for name, (found, _) in measured.items() for key, figure in found.items()}
    detail = {name: more for name, (_, more) in measured.items()}
    return BenchResult(importlib.metadata.version("qif2hw"), {**machine(), "others": others}, figures, detail)


def read(path: str | os.PathLike[str]) -> BenchResult:
    """Read a result that ``qif2hw bench ... --json`` has printed.

    Raises
    ------
    InputError
        If the file cannot be read or is not such a result.
    """
    text = read_bytes(path, MOST_BYTES)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError(f"{path}: not a benchmark result (not JSON); 'qif2hw bench ... --json' prints one") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise InputError(f"{path}: not a benchmark result; 'qif2hw bench ... --json' prints one")
    if data.get("schema") != SCHEMA:
        raise InputError(f"{path}: a benchmark result of schema {data.get('schema')}; this qif2hw reads {SCHEMA}")
    try:
        return _parse(data)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: a damaged benchmark result ({error!r})") from None


def _parse(data: dict[str, Any]) -> BenchResult:
    about = {name: data["machine"][name] for name in MACHINE}
    if (others := data["machine"].get("others")) is not None:
        about["others"] = float(others)
    if not isinstance(about["load"], int | float):
        raise TypeError("the load is a number")
    figures = {name: Figure(float(entry["value"]), str(entry["unit"])) for name, entry in data["figures"].items()}
    for name, figure in figures.items():
        if not (math.isfinite(figure.value) and figure.value > 0):
            raise ValueError(f"{name} = {figure.value}")
    return BenchResult(str(data["qif2hw"]), about, figures, data["detail"])


@dataclass(frozen=True)
class Change:
    """One figure in two results; ``ratio`` is new over old."""

    name: str
    unit: str
    old: float
    new: float

    @property
    def ratio(self) -> float:
        """New value over old value."""
        return self.new / self.old


def compare(old: BenchResult, new: BenchResult) -> list[Change]:
    """Figures that both results have, in the order of the new one.

    Raises
    ------
    InputError
        If there are none.
    """
    changes = [
        Change(name, figure.unit, old.figures[name].value, figure.value)
        for name, figure in new.figures.items()
        if name in old.figures and old.figures[name].unit == figure.unit
    ]
    if not changes:
        raise InputError("the two benchmark results have no figure in common: run the same benchmarks")
    return changes
