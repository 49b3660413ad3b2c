"""Parity of networks with a stepped clock: every spike, and the classes, against the float network."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from qif2hw import backends as registry
from qif2hw.backends import Backend
from qif2hw.bundle import SteppedBundle
from qif2hw.compiler.stepped.budget import SteppedBudget, measure
from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.changes import SpikeChanges, spike_changes, together
from qif2hw.ir.spikes import power_of_two
from qif2hw.ir.stepped import SteppedRun, joined
from qif2hw.ir.stepped_program import SteppedProgram
from qif2hw.parity.classes import ClassOutcome
from qif2hw.parity.identical import Difference, first_stepped_difference, identity_verdict
from qif2hw.parity.outcome import ResultError, Verdict, plain

ENTRIES = 1 << 28
"""Spikes of all neurons and steps that a run holds at a time: what bounds the memory."""


@dataclass(frozen=True)
class SteppedBounds:
    """Limits of the differences between a backend and the reference.

    Parameters
    ----------
    classes
        Largest share of the samples that fall into another class.
    spikes
        Most changed spikes, missing and extra ones of all populations together, over those of the reference.
    result
        Largest relative L2 error of the results; None for no bound.
    """

    classes: float = 0.02
    spikes: float = 0.05
    result: float | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise InputError(f"bound {field.name} = {value}: a number of at least 0 is needed")


@dataclass(frozen=True, eq=False)
class SteppedReport(ClassOutcome):
    """Outcome for a network with a stepped clock; its runs keep how often each neuron spiked.

    Parameters
    ----------
    program
        What ran.
    labels
        The true classes (samples,), or None.
    changes
        Spikes of each backend against the reference's, by backend and population.
    budget
        What changes by cause on the first samples; None if the reference was not asked for.
    """

    program: SteppedProgram
    labels: IntArray | None
    changes: dict[str, dict[str, SpikeChanges]]
    budget: SteppedBudget | None

    def base(self) -> tuple[FloatArray, str]:
        """The reference's scores, or the first backend's."""
        name = "reference" if "reference" in self.runs else self.backends[0]
        y: FloatArray = self.runs[name].y
        return y, name

    @property
    def class_names(self) -> tuple[str, ...]:
        """The numbers of the classes."""
        return tuple(map(str, range(self.program.results)))

    def to_dict(self) -> dict[str, Any]:
        """What `to_json` writes."""
        return super().to_dict() | {
            "time_steps": self.program.clock.count,
            "accuracy": {name: self.accuracy(name) for name in self.backends},
            "classes": self.classes_to_dict(),
            "spikes_per_sample": {name: run.spikes_per_sample for name, run in self.runs.items()},
            "changes": [
                {
                    "backend": name,
                    "samples_in_another_class": int(self.changed_class(name).sum()),
                    "class_agreement": float(1 - self.changed_class(name).mean()),
                    "populations": [_row(population, found) for population, found in changes.items()],
                    "all_populations": _row("", together(changes)),
                }
                for name, changes in self.changes.items()
            ],
            "budget": None if self.budget is None else asdict(self.budget),
        }


def _row(population: str, found: SpikeChanges) -> dict[str, Any]:
    by_step = {name: getattr(found, name) for name in ("spikes", "missing", "extra")}
    totals = {name: int(values.sum()) for name, values in by_step.items()}
    row: dict[str, Any] = plain({"population": population, **totals, "share": found.share, "by_time_step": by_step})
    return row


def compare(
    bundle: SteppedBundle,
    x: FloatArray,
    chosen: Mapping[str, Backend],
    bounds: SteppedBounds,
    labels: IntArray | None,
    options: dict[str, Any],
    progress: Callable[[int, int], None] | None,
) -> SteppedReport:
    """Run all backends, as many samples at a time as memory allows, and compare; see `qif2hw.parity.check`.

    Inputs ``x`` (samples, 1 or time steps, inputs) and ``labels`` (samples,) are checked already.
    """
    program = bundle.program
    exact = tuple(name for name, backend in chosen.items() if backend.exact)
    parts: dict[str, list[SteppedRun]] = {name: [] for name in chosen}
    changes: dict[str, dict[str, SpikeChanges]] = {}
    differences: dict[str, Difference | None] = dict.fromkeys(exact[1:])
    for first, runs in _blocks(bundle, x, chosen, options, progress):
        for name in exact[1:]:
            if differences[name] is None:
                differences[name] = first_stepped_difference(program, runs[exact[0]], runs[name], first)
        for name in chosen if "reference" in chosen else ():
            if name != "reference":
                found = spike_changes(runs["reference"], runs[name])
                changes[name] = {p: changes[name][p] + c for p, c in found.items()} if name in changes else found
        for name, run in runs.items():
            parts[name].append(joined(run.backend, [run], "counts"))
    whole = {name: joined(name, found, "counts") for name, found in parts.items()}
    names = tuple(chosen)
    results = tuple(
        ResultError.of(name, whole[name].y, other, whole[other].y)
        for k, name in enumerate(names)
        for other in names[:k]
    )
    report = SteppedReport(
        x=x,
        titles={name: backend.title for name, backend in chosen.items()},
        exact=exact,
        runs=whole,
        results=results,
        verdicts=(),
        program=program,
        labels=labels,
        changes=changes,
        budget=measure(bundle.network, program, x, labels) if "reference" in chosen else None,
    )
    what = "every spike and result"
    same = [identity_verdict(name, exact[0], what, difference) for name, difference in differences.items()]
    return _judged(report, same, bounds)


def _blocks(
    bundle: SteppedBundle,
    x: FloatArray,
    chosen: Mapping[str, Backend],
    options: dict[str, Any],
    progress: Callable[[int, int], None] | None,
) -> Iterator[tuple[int, dict[str, SteppedRun]]]:
    """First sample, and runs of all backends by name, of one block of samples after the other."""
    program = bundle.program
    subjects: dict[str, Any] = {"program": program, "network": bundle.network}
    block = power_of_two(ENTRIES // (program.clock.count * sum(p.size for p in program.populations)))
    for low in range(0, len(x), block):
        part = x[low : low + block]
        runs: dict[str, SteppedRun] = {}
        for name, backend in chosen.items():
            how = backend.execution(program)
            given = registry.options_for(how, options if progress is None else options | {"progress": progress})
            run = how.execute(subjects[backend.runs], part, **given)
            runs[name] = _check_run(program, name, run, len(part))
        yield low, runs


def _check_run(program: SteppedProgram, name: str, run: Any, samples: int) -> SteppedRun:
    assert isinstance(run, SteppedRun)
    wanted = (samples, program.results)
    if run.y.shape != wanted:
        raise InputError(f"the run on {name} has y of shape {run.y.shape}: {wanted} is needed")
    for p in program.populations:
        if not p.spiking:
            continue
        if p.name not in run.spikes:
            raise InputError(f"the run on {name} has no spikes of {p.name}: it cannot be compared")
        shape = (samples, program.clock.count, p.size)
        if run.spikes[p.name].shape != shape:
            got = run.spikes[p.name].shape
            raise InputError(f"the run on {name} has spikes of {p.name} of shape {got}: {shape} is needed")
    return run


def _judged(report: SteppedReport, same: list[Verdict], bounds: SteppedBounds) -> SteppedReport:
    """With its verdicts."""
    verdicts = list(same)
    for name, changes in report.changes.items():

        def hold(quantity: str, measured: float, bound: float, unit: str, note: str, backend: str = name) -> None:
            ok = measured <= bound
            verdicts.append(Verdict(backend, quantity, measured, bound, unit, ok, "" if ok else note))

        moved = np.flatnonzero(report.changed_class(name))
        where = f"{len(moved)} of {report.samples} samples, the first is {moved[0]}" if moved.size else ""
        hold("samples in another class", len(moved) / report.samples, bounds.classes, "of the samples", where)
        every = together(changes)
        worst = max(changes, key=lambda population: changes[population].share)
        split = f"most in '{worst}': {changes[worst].share:.3g} of its spikes"
        hold("changed spikes, all populations", every.share, bounds.spikes, "of the spikes", split)
        if bounds.result is not None:
            result = ResultError.of(name, report.runs[name].y, "reference", report.runs["reference"].y)
            hold("result, relative L2 error", result.relative, bounds.result, "of the reference", "")
    return replace(report, verdicts=tuple(verdicts))
