"""Whether certificates hold, and what they say about a run: counts for verdicts, tables and reports."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.program import Program
from qif2hw.ir.spikes import Run, Spikes
from qif2hw.parity.certificates.certificate import Certificate
from qif2hw.parity.certificates.spike_errors import CAUSES, CERTIFIED, STATUS, SpikeErrors
from qif2hw.parity.outcome import Verdict, plain, rms

SLACK = 2.0**-36
"""What the float64 reference may itself be off, in time units per unit of time of the trial."""
FIRST = "output, first"
"""Name of the row about them; the other rows are populations."""


@dataclass(frozen=True, eq=False)
class CertifiedSpikes:
    """Certificates of some spikes, against the reference.

    Parameters
    ----------
    name
        Population, or `FIRST`.
    errors
        The certificates.
    violated
        Which of them the reference contradicts, same shape.
    """

    name: str
    errors: SpikeErrors
    violated: IntArray

    def within(self, tolerance: float) -> int:
        """Number of spikes that are proven to be at most this far off, in time units."""
        return int((self.errors.bound <= tolerance).sum())

    def beyond(self, tolerance: float) -> int:
        """Number of spikes that are proven to be further off."""
        return int((np.abs(self.errors.estimate) - self.errors.radius > tolerance).sum())

    def to_dict(self, delta: float) -> dict[str, Any]:
        """Numbers for JSON, in steps."""
        known = self.errors.status == CERTIFIED
        bound, radius = self.errors.bound[known] / delta, self.errors.radius[known] / delta
        causes = self.errors.error[known] / delta
        return plain(
            {
                "name": self.name,
                "spikes": int(self.errors.status.size),
                "status": {word: int((self.errors.status == code).sum()) for code, word in STATUS.items()},
                "violated": int(self.violated.sum()),
                "bound_delta": {"median": _median(bound), "largest": float(bound.max(initial=0.0))},
                "remainder_delta": {"median": _median(radius), "largest": float(radius.max(initial=0.0))},
                "causes_rms_delta": {name: rms(causes[:, k]) for k, name in enumerate(CAUSES)},
            }
        )


def _median(values: FloatArray) -> float:
    return float(np.median(values)) if values.size else 0.0


@dataclass(frozen=True, eq=False)
class CertifiedRun:
    """Certificates of a run against the reference.

    Parameters
    ----------
    backend
        The exact backend that they are about, with those that are equal to it.
    certificate
        The certificates.
    first, populations
        First spikes of the output neurons, and all ordinary spikes.
    results_violated
        Results that lie outside of their bounds.
    """

    backend: str
    certificate: Certificate
    first: CertifiedSpikes
    populations: tuple[CertifiedSpikes, ...]
    results_violated: int

    @property
    def violated(self) -> int:
        """All certificates that the reference contradicts."""
        return sum(int(row.violated.sum()) for row in (self.first, *self.populations)) + self.results_violated

    def to_dict(self, delta: float) -> dict[str, Any]:
        """Numbers for JSON."""
        result = self.certificate.result
        known = np.isfinite(result.radius)
        bound = result.bound[known]
        return {
            "backend": self.backend,
            "first": self.first.to_dict(delta),
            "populations": [row.to_dict(delta) for row in self.populations],
            "result": plain(
                {
                    "certified": int(known.sum()),
                    "bound_median": _median(bound),
                    "bound_largest": float(bound.max(initial=0.0)),
                    "violated": self.results_violated,
                }
            ),
        }


def compare_certificate(program: Program, certificate: Certificate, backend: str, reference: Run) -> CertifiedRun:
    """Check every certificate against the reference's run."""
    slack = SLACK * program.grid.trial
    rows = []
    for population in program.populations:
        name, errors = population.name, certificate.spikes[population.name]
        found, own = reference.spikes[name], certificate.run.spikes[name]
        place, exists = _same_spike(own, found, population.size)
        exact = np.full(len(own), np.nan)
        exact[exists] = found.time[place[exists]]
        rows.append(CertifiedSpikes(name, errors, _violated(errors, own.time - exact, slack)))
    first = _violated(certificate.first, certificate.run.spike_time - reference.spike_time, slack)
    # A result is a difference of times, scaled.
    results = _violated(certificate.result, certificate.run.raw - reference.raw, SLACK * (1.0 + np.abs(reference.raw)))
    return CertifiedRun(
        backend, certificate, CertifiedSpikes(FIRST, certificate.first, first), tuple(rows), int(results.sum())
    )


def _violated(errors: SpikeErrors, error: FloatArray, slack: FloatArray | float) -> IntArray:
    """Which certificates an error contradicts; one that is not a number contradicts them, it is of no spike."""
    held = np.abs(error - errors.estimate) <= errors.radius + slack
    return (np.isfinite(errors.radius) & ~held).astype(np.int64)


def _same_spike(one: Spikes, other: Spikes, size: int) -> tuple[IntArray, NDArray[np.bool_]]:
    """For the k-th spike of each sample and neuron the place of the other run's k-th, and whether there is one."""
    key, wanted = (_numbered(spikes, size) for spikes in (other, one))
    place: IntArray = np.searchsorted(key, wanted).astype(np.int64)
    exists = place < key.size
    exists[exists] = key[place[exists]] == wanted[exists]
    return place, exists


def _numbered(spikes: Spikes, size: int) -> IntArray:
    """Sample, neuron and number of each spike as one number."""
    group = spikes.sample.astype(np.int64) * size + spikes.neuron
    first = np.flatnonzero(np.diff(group, prepend=-1))
    return (group << 24) + np.arange(group.size) - np.repeat(first, np.diff(first, append=group.size))


def certificate_verdicts(found: CertifiedRun, delta: float, tolerance: float) -> list[Verdict]:
    """That no certificate is violated, and no output spike proven to be beyond the tolerance (in steps)."""
    worst = next((row for row in (found.first, *found.populations) if row.violated.any()), None)
    note = "" if worst is None else f"{worst.name}: a defect of the certificate or of the reference"
    beyond = found.first.beyond(tolerance * delta)
    spikes = found.first.errors.status.size
    proven = f"{found.first.within(tolerance * delta):,} of {spikes:,} proven within {tolerance:g} Delta"
    return [
        Verdict(
            found.backend, "certificates that the reference contradicts", found.violated, 0, "spikes",
            not found.violated, note,
        ),
        Verdict(
            found.backend, f"first spikes of the output neurons proven more than {tolerance:g} Delta off ({proven})",
            beyond, 0, "spikes", not beyond,
        ),
    ]  # fmt: skip
