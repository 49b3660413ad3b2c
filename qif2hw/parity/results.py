"""The outcome of a parity check of an event-driven network, as numbers: timing errors beside what every outcome has."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.program import Program
from qif2hw.parity.certificates.certified import CertifiedRun
from qif2hw.parity.classes import ClassOutcome
from qif2hw.parity.matching import Matching
from qif2hw.parity.outcome import largest, plain, rms


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


@dataclass(frozen=True, eq=False)
class ParityReport(ClassOutcome):
    """Outcome for an event-driven network.

    Parameters
    ----------
    program
        What ran.
    truth
        The true results (samples, outputs), or None.
    timing
        Backends against the reference.
    certified
        Certificates of the engine's spikes against the reference; None where there are none.
    labels
        Of a classifier: the true classes (samples,), or None.

    Notes
    -----
    ``runs`` holds ``float`` too, the source network with unrounded weights, if it was given.
    """

    program: Program
    truth: FloatArray | None
    timing: tuple[BackendParity, ...]
    certified: CertifiedRun | None = None
    labels: IntArray | None = None

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes; None of a network without."""
        return self.program.classes

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

    def base(self) -> tuple[FloatArray, str]:
        """The truth if known, else the source's results, else the reference's."""
        if self.truth is not None:
            return self.truth, "the truth"
        name = "float" if "float" in self.runs else "reference" if "reference" in self.runs else self.backends[0]
        y: FloatArray = self.runs[name].y
        return y, name

    def to_dict(self) -> dict[str, Any]:
        """What `to_json` writes."""
        return super().to_dict() | {
            "steps": self.steps,
            "delta": self.delta,
            "trial": self.trial,
            "classes": self.classes_to_dict(),
            "certificates": None if self.certified is None else self.certified.to_dict(self.delta),
            "timing": [
                {
                    "backend": t.backend,
                    "first_spikes": plain({"rms": rms(t.first_error), "largest": largest(t.first_error)}),
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
        found: dict[str, Any] = plain({**counts, **errors, **in_delta, "neurons": vars(row.neurons)})
        return found


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
