"""The outcome of a parity check, as numbers: timing errors, errors of results, verdicts."""

import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.program import Program
from qif2hw.ir.spikes import Run
from qif2hw.parity.matching import Matching

IDENTITY = "difference"
"""Unit of the verdicts that compare exact backends bit for bit."""


def rms(error: FloatArray) -> float:
    """Root mean square of ``error``, of any shape; NaN of nothing."""
    return float(np.sqrt(np.mean(error**2))) if error.size else math.nan


def largest(error: FloatArray) -> float:
    """Largest magnitude of ``error``, of any shape; NaN of nothing."""
    return float(np.abs(error).max()) if error.size else math.nan


@dataclass(frozen=True, eq=False)
class NeuronParity:
    """One entry per neuron, summed or averaged over the samples; shape (neurons,).

    ``spikes`` (expected ones), ``missing`` and ``extra`` count; ``rms`` and ``largest`` are timing errors of the
    matched spikes in time units, NaN where there is none.
    """

    spikes: IntArray
    missing: IntArray
    extra: IntArray
    rms: FloatArray
    largest: FloatArray


@dataclass(frozen=True, eq=False)
class PopulationParity:
    """The ordinary spikes of one population on one backend against the reference.

    Parameters
    ----------
    population
        Name.
    spikes
        Number of spikes of the reference.
    matched, missing, extra
        Pairs; spikes the reference alone has; spikes the backend alone has.
    at_end
        Spikes without a partner that lie within the tolerance of the trial's end: the other side may rightly have them
        as pseudospikes.  They are not in ``missing`` and ``extra``.
    error
        Backend minus reference time of each pair, in time units.
    delta
        Length of a step, in time units.
    neurons
        The same by neuron.
    """

    population: str
    spikes: int
    matched: int
    missing: int
    extra: int
    at_end: int
    error: FloatArray
    delta: float
    neurons: NeuronParity

    @cached_property
    def rms(self) -> float:
        """Root mean square of the timing error, time units."""
        return rms(self.error)

    @cached_property
    def largest(self) -> float:
        """Largest timing error, time units."""
        return largest(self.error)

    @property
    def mean(self) -> float:
        """Mean timing error, time units; positive where the backend is late."""
        return float(self.error.mean()) if self.error.size else math.nan


@dataclass(frozen=True, eq=False)
class BackendParity:
    """One backend against the reference.

    ``first_error`` is the error of the output neurons' first spikes, pseudospikes included, in time units,
    (samples, output neurons).
    """

    backend: str
    populations: tuple[PopulationParity, ...]
    first_error: FloatArray


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
        """Compare results ``y`` with ``base``, both (samples, outputs)."""
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
class ParityReport:
    """Outcome of `qif2hw.parity.check`.

    Parameters
    ----------
    program
        What ran.
    x
        The inputs (samples, inputs).
    titles
        What each backend is, by name, in the order of the runs.
    exact
        Names of the exact backends among them.
    runs
        Their runs; also ``float``, the source network with unrounded weights, if it was given.
    truth
        The true results (samples, outputs), or None.
    timing
        Backends against the reference.
    results
        Errors of the decoded results.
    verdicts
        Every bound that was checked.
    """

    program: Program
    x: FloatArray
    titles: dict[str, str]
    exact: tuple[str, ...]
    runs: dict[str, Run]
    truth: FloatArray | None
    timing: tuple[BackendParity, ...]
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
    def delta(self) -> float:
        """Length of a step, in time units."""
        return self.program.grid.delta

    @property
    def trial(self) -> float:
        """Length of a trial, in time units."""
        return self.program.grid.trial

    @property
    def steps(self) -> int:
        """Machine steps of a trial."""
        return self.program.steps

    @property
    def identical(self) -> tuple[str, ...]:
        """Exact backends that agree bit for bit with the first of them."""
        return tuple(v.backend for v in self.verdicts if v.unit == IDENTITY and v.ok)

    def result(self, backend: str, against: str) -> ResultError | None:
        """Error of one backend's results against another's, if it was computed."""
        return next((r for r in self.results if (r.backend, r.against) == (backend, against)), None)

    def to_json(self) -> str:
        """All numbers as JSON, per neuron too; what is not a finite number is null."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def to_dict(self) -> dict[str, Any]:
        """What `to_json` writes."""
        return {
            "ok": self.ok,
            "samples": self.samples,
            "steps": self.steps,
            "delta": self.delta,
            "trial": self.trial,
            "backends": list(self.backends),
            "seconds": {name: run.seconds for name, run in self.runs.items()},
            "verdicts": [_plain(vars(v)) for v in self.verdicts],
            "results": [_plain(vars(r)) for r in self.results],
            "timing": [
                {
                    "backend": t.backend,
                    "first_spikes": _plain({"rms": rms(t.first_error), "largest": largest(t.first_error)}),
                    "populations": [self._population(p) for p in t.populations],
                }
                for t in self.timing
            ],
        }

    def _population(self, row: PopulationParity) -> dict[str, Any]:
        counts = {
            name: getattr(row, name) for name in ("population", "spikes", "matched", "missing", "extra", "at_end")
        }
        errors = {"mean": row.mean, "rms": row.rms, "largest": row.largest}
        in_delta = {f"{name}_delta": value / self.delta for name, value in errors.items()}
        return _plain({**counts, **errors, **in_delta, "neurons": vars(row.neurons)})


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return [_plain(v) for v in value.tolist()]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def summarise(population: str, matching: Matching, trial: float, tolerance: float, delta: float) -> PopulationParity:
    """Count and average a matching.

    A spike without a partner counts as missing or extra only when it lies further than ``tolerance`` from the trial's
    end.
    """
    size = matching.shape[1]
    expected, actual = matching.expected, matching.actual
    missing = matching.missing[expected.time[matching.missing] < trial - tolerance]
    extra = matching.extra[actual.time[matching.extra] < trial - tolerance]
    owner = expected.neuron[matching.paired]
    count = np.bincount(owner, minlength=size)
    square = np.bincount(owner, weights=matching.error**2, minlength=size)
    most = np.full(size, -np.inf)
    np.maximum.at(most, owner, np.abs(matching.error))
    neurons = NeuronParity(
        spikes=np.bincount(expected.neuron, minlength=size),
        missing=np.bincount(expected.neuron[missing], minlength=size),
        extra=np.bincount(actual.neuron[extra], minlength=size),
        rms=np.where(count > 0, np.sqrt(square / np.maximum(count, 1)), np.nan),
        largest=np.where(count > 0, most, np.nan),
    )
    unmatched = len(matching.missing) + len(matching.extra)
    return PopulationParity(
        population=population,
        spikes=len(expected),
        matched=len(matching.paired),
        missing=len(missing),
        extra=len(extra),
        at_end=unmatched - len(missing) - len(extra),
        error=matching.error,
        delta=delta,
        neurons=neurons,
    )
