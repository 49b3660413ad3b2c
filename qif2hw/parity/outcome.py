"""What the outcome of a parity check has, whatever the clock: runs, errors of results, verdicts."""

import json
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from qif2hw.ir.arrays import FloatArray

IDENTITY = "difference"
"""Unit of the verdicts that compare exact backends bit for bit."""


def rms(error: FloatArray) -> float:
    """Root mean square of an array of any shape, NaN of nothing."""
    return float(np.sqrt(np.mean(error**2))) if error.size else math.nan


def largest(error: FloatArray) -> float:
    """Largest magnitude in an array of any shape, NaN of nothing."""
    return float(np.abs(error).max()) if error.size else math.nan


@dataclass(frozen=True)
class ResultError:
    """How far the results of ``backend`` are from those of ``against``.

    ``relative`` is the L2 norm of the difference over that of ``against`` (all samples and outputs together), infinite
    if the latter is zero; ``largest`` is the largest magnitude of the difference.
    """

    backend: str
    against: str
    relative: float
    largest: float

    @classmethod
    def of(cls, backend: str, y: FloatArray, against: str, base: FloatArray) -> "ResultError":
        """Compare results (samples, outputs)."""
        difference, norm = float(np.linalg.norm(y - base)), float(np.linalg.norm(base))
        relative = difference / norm if norm > 0 else (0.0 if difference == 0 else math.inf)
        return cls(backend, against, relative, largest(y - base))


@dataclass(frozen=True)
class Verdict:
    """One bound and what was measured.

    Parameters
    ----------
    backend, quantity
        What was measured, where.
    measured, bound, unit
        It holds if ``measured <= bound``.
    ok
        Whether it holds.
    note
        Where it is broken, if that is known.
    """

    backend: str
    quantity: str
    measured: float
    bound: float
    unit: str
    ok: bool
    note: str = ""


@dataclass(frozen=True, eq=False)
class Outcome(ABC):
    """Outcome of `qif2hw.parity.check`.

    Parameters
    ----------
    x
        The inputs.
    titles
        What each backend is, by name, in the order of the runs.
    exact
        Names of the exact backends among them.
    runs
        Their runs.
    results
        Errors of the decoded results.
    verdicts
        Every bound that was checked.
    """

    x: FloatArray
    titles: dict[str, str]
    exact: tuple[str, ...]
    runs: dict[str, Any]
    results: tuple[ResultError, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def backends(self) -> tuple[str, ...]:
        """Names of the backends, in order."""
        return tuple(self.titles)

    @property
    def ok(self) -> bool:
        """Whether every bound holds."""
        return all(v.ok for v in self.verdicts)

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.x)

    @property
    def identical(self) -> tuple[str, ...]:
        """Exact backends that agree bit for bit with the first of them."""
        return tuple(v.backend for v in self.verdicts if v.unit == IDENTITY and v.ok)

    def result(self, backend: str, against: str) -> ResultError | None:
        """Error of one backend's results against another's, if it was computed."""
        return next((r for r in self.results if (r.backend, r.against) == (backend, against)), None)

    @abstractmethod
    def base(self) -> tuple[FloatArray, str]:
        """Results (samples, outputs) that the others are compared with in figures, and whose they are."""

    def to_json(self) -> str:
        """All numbers as JSON; what is not a finite number is null."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def to_dict(self) -> dict[str, Any]:
        """What `to_json` writes."""
        return {
            "ok": self.ok,
            "samples": self.samples,
            "backends": list(self.backends),
            "seconds": {name: run.seconds for name, run in self.runs.items()},
            "verdicts": [plain(vars(v)) for v in self.verdicts],
            "results": [plain(vars(r)) for r in self.results],
        }


def plain(value: Any) -> Any:
    """As JSON has it: arrays are lists, numbers that are not finite null."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return [plain(v) for v in value.tolist()]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
