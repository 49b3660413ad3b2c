"""Parity of event-driven networks: spike times within bounds of the exact reference."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike

from qif2hw.backends import Backend
from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.program import Program
from qif2hw.ir.spikes import Run
from qif2hw.parity.certificates.certificate import certify
from qif2hw.parity.certificates.certified import CertifiedRun, certificate_verdicts, compare_certificate
from qif2hw.parity.identical import first_difference, identity_verdict
from qif2hw.parity.matching import match
from qif2hw.parity.outcome import ResultError, Verdict, largest, rms
from qif2hw.parity.results import BackendParity, ParityReport, summarise


@dataclass(frozen=True)
class Bounds:
    """Limits of the differences between a backend and the reference.

    Parameters
    ----------
    rms
        Largest root-mean-square timing error of output neurons, in steps Delta; for their first spikes (pseudospikes
        included) and for all their matched ordinary spikes.
    unmatched
        Most missing and extra spikes of output neurons, together.
    tolerance
        In steps Delta: how far apart two spikes may be and still be the same one where the numbers of spikes differ;
        and how near to the trial's end a spike may be missing or extra without counting.  There the same spike may be
        ordinary on one side and a pseudospike on the other; its time, which `rms` bounds, is continuous, its being
        ordinary is not.
    result
        Largest relative L2 error of the results against the reference; None for no bound.
    certified
        In steps Delta: the check fails if an output neuron's first spike is proven to be further off, or if a
        certificate (`qif2hw.parity.certify`) is wrong.  Spikes of which neither is proven are judged by ``rms`` alone.
        None: no certificates.
    classes
        Of a classifier: largest share of the samples that fall into another class than on the reference; None for no
        bound.
    """

    rms: float = 0.1
    unmatched: int = 0
    tolerance: float = 1.0
    result: float | None = None
    certified: float | None = 0.5
    classes: float | None = 0.02

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise InputError(f"bound {field.name} = {value}: a number of at least 0 is needed")


def compare(
    program: Program,
    unrounded: Run | None,
    x: FloatArray,
    chosen: Mapping[str, Backend],
    runs: dict[str, Run],
    bounds: Bounds,
    truth: FloatArray | None,
    labels: IntArray | None = None,
) -> ParityReport:
    """The outcome, from the runs of all backends on ``x`` (samples, inputs); see `qif2hw.parity.check`.

    ``unrounded`` is the run of the network before rounding; ``truth`` (samples, outputs) and the true classes
    ``labels`` (samples,) are checked already.
    """
    for name, backend in chosen.items():
        _check_run(program, backend, runs[name], len(x))
    timing = tuple(
        _compare(program, name, runs["reference"], runs[name], bounds)
        for name in chosen
        if name != "reference" and "reference" in chosen
    )
    if unrounded is not None:
        runs = {**runs, "float": unrounded}
    results = tuple(_result_errors(tuple(chosen), runs, truth))
    exact = tuple(name for name, backend in chosen.items() if backend.exact)
    certified = _certified(program, x, exact, runs, bounds)
    what = "step and lateness of every spike"
    verdicts = (
        *(
            identity_verdict(name, exact[0], what, first_difference(program, runs[exact[0]], runs[name]))
            for name in exact[1:]
        ),
        *_bound_verdicts(program, timing, results, bounds),
        *_class_verdicts(program, [one.backend for one in timing], runs, bounds),
        *(() if certified is None else certificate_verdicts(certified, program.grid.delta, bounds.certified or 0.0)),
    )
    return ParityReport(
        x=x,
        titles={name: backend.title for name, backend in chosen.items()},
        exact=exact,
        runs=runs,
        results=results,
        verdicts=verdicts,
        program=program,
        truth=truth,
        timing=timing,
        certified=certified,
        labels=labels,
    )


def _certified(
    program: Program, x: FloatArray, exact: tuple[str, ...], runs: Mapping[str, Run], bounds: Bounds
) -> CertifiedRun | None:
    """Certificates of the first exact backend, if it has the spikes of the engine, which they are about."""
    if bounds.certified is None or "reference" not in runs or not exact:
        return None
    certificate, run = certify(program, x), runs[exact[0]]
    if run.machine != certificate.run.machine or run.step_spikes != certificate.run.step_spikes:
        return None
    return compare_certificate(program, certificate, exact[0], runs["reference"])


def _check_run(program: Program, backend: Backend, run: Run, samples: int) -> None:
    name = backend.name
    columns = sum(program.population(p).size for p in program.output_populations)
    for what, got, wanted in (
        ("y", run.y.shape, (samples, program.solutions)),
        ("spike_time", run.spike_time.shape, (samples, columns)),
    ):
        if got != wanted:
            raise InputError(f"the run on {name} has {what} of shape {got}: {wanted} is needed")
    lacking = [p.name for p in program.populations if p.name not in run.spikes]
    if lacking:
        raise InputError(f"the run on {name} has no spikes of {', '.join(lacking)}: it cannot be compared")
    if backend.exact and run.machine is None:
        raise InputError(f"the run on {name} has no machine output: an exact backend must have one")


def check_truth(truth: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """True results as float64; `InputError` unless they have this shape and are finite."""
    target = np.asarray(truth, np.float64)
    if target.shape != shape:
        raise InputError(f"the true results have shape {target.shape}: {shape} is needed")
    if not np.isfinite(target).all():
        raise InputError("the true results hold values that are not finite")
    return target


def _compare(program: Program, name: str, expected: Run, actual: Run, bounds: Bounds) -> BackendParity:
    grid, samples = program.grid, len(expected.y)
    tolerance = bounds.tolerance * grid.delta
    rows = []
    for population in program.populations:
        matching = match(
            expected.spikes[population.name], actual.spikes[population.name], (samples, population.size), tolerance
        )
        rows.append(summarise(population.name, matching, grid.trial, tolerance, grid.delta))
    return BackendParity(name, tuple(rows), actual.spike_time - expected.spike_time)


def _result_errors(names: Sequence[str], runs: Mapping[str, Run], truth: FloatArray | None) -> list[ResultError]:
    """Every backend against those before it, all against the source network, and everything against the truth."""
    errors = []
    for k, name in enumerate(names):
        errors += [ResultError.of(name, runs[name].y, other, runs[other].y) for other in names[:k]]
        if "float" in runs:
            errors.append(ResultError.of(name, runs[name].y, "float", runs["float"].y))
    if truth is not None:
        errors += [ResultError.of(name, run.y, "truth", truth) for name, run in runs.items()]
    return errors


def _bound_verdicts(
    program: Program, timing: Sequence[BackendParity], results: Sequence[ResultError], bounds: Bounds
) -> list[Verdict]:
    delta, verdicts = program.grid.delta, []
    for one in timing:
        outputs = [row for row in one.populations if row.population in program.output_populations]

        def hold(
            quantity: str, measured: float, bound: float, unit: str, note: str = "", backend: str = one.backend
        ) -> None:
            ok = measured <= bound
            verdicts.append(Verdict(backend, quantity, measured, bound, unit, ok, "" if ok else note))

        error = one.first_error / delta
        worst = np.unravel_index(np.argmax(np.abs(error)), error.shape)
        where = f"largest {largest(error):.3g} Delta in sample {worst[0]}, output neuron {worst[1]}"
        hold("first spikes of the output neurons, RMS error", rms(error), bounds.rms, "Delta", where)
        paired = np.concatenate([row.error for row in outputs])
        if paired.size:
            hold("all spikes of the output neurons, RMS error", rms(paired) / delta, bounds.rms, "Delta")
        unmatched = sum(row.missing + row.extra for row in outputs)
        split = f"{sum(row.missing for row in outputs)} missing, {sum(row.extra for row in outputs)} extra"
        hold("missing or extra spikes of the output neurons", unmatched, bounds.unmatched, "spikes", split)
        if bounds.result is not None:
            result = next(r for r in results if (r.backend, r.against) == (one.backend, "reference"))
            hold("result, relative L2 error", result.relative, bounds.result, "of the reference")
    return verdicts


def _class_verdicts(
    program: Program, names: Sequence[str], runs: Mapping[str, Run], bounds: Bounds
) -> Iterator[Verdict]:
    """Of a classifier: samples in another class than on the reference."""
    if program.classes is None or bounds.classes is None:
        return
    for name in names:
        moved = np.flatnonzero(runs[name].label != runs["reference"].label)
        share, samples = len(moved) / len(runs[name].y), len(runs[name].y)
        ok = share <= bounds.classes
        where = "" if ok else f"{len(moved)} of {samples} samples, the first is {moved[0]}"
        yield Verdict(name, "samples in another class", share, bounds.classes, "of the samples", ok, where)
