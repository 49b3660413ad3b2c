"""Run a compiled network on several backends and compare the differences with their bounds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike

from qif2hw import backends as registry
from qif2hw.backends import Backend
from qif2hw.bundle import Bundle, SteppedBundle
from qif2hw.errors import InputError
from qif2hw.ir.network import Network
from qif2hw.ir.program import Program
from qif2hw.ir.readout.classes import check_labels
from qif2hw.ir.spikes import solved
from qif2hw.ir.stepped_program import SteppedProgram
from qif2hw.parity import stepped, trial
from qif2hw.parity.results import ParityReport
from qif2hw.parity.stepped import SteppedBounds, SteppedReport
from qif2hw.parity.trial import Bounds


@overload
def check(
    compiled: Program | Bundle,
    x: ArrayLike,
    *,
    backends: Sequence[str | Backend] = ...,
    source: Network | None = ...,
    bounds: Bounds | None = ...,
    truth: ArrayLike | None = ...,
    progress: Callable[[int, int], None] | None = ...,
    **options: Any,
) -> ParityReport: ...
@overload
def check(
    compiled: SteppedBundle,
    x: ArrayLike,
    *,
    backends: Sequence[str | Backend] = ...,
    bounds: SteppedBounds | None = ...,
    truth: ArrayLike | None = ...,
    progress: Callable[[int, int], None] | None = ...,
    **options: Any,
) -> SteppedReport: ...
def check(
    compiled: Program | Bundle | SteppedBundle,
    x: ArrayLike,
    *,
    backends: Sequence[str | Backend] = ("reference", "engine"),
    source: Network | None = None,
    bounds: Bounds | SteppedBounds | None = None,
    truth: ArrayLike | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> ParityReport | SteppedReport:
    """Run on several backends and compare: exact backends bit for bit, each with the reference within bounds.

    Of an event-driven network the reference runs ``program.network()``: the rounded weights and initial phases that the
    machine has.  Its difference from ``source`` is what rounding costs, and is reported apart from what the machine
    costs.  Spikes are paired by `qif2hw.parity.matching.match`.  Two nearly simultaneous inputs may swap: spike times
    are continuous there.  What is not continuous is a spike that crosses the trial's end, hence the rule in
    `Bounds.tolerance`.

    Of a network with a stepped clock the reference runs the float network itself; spikes are compared at every sample,
    step and neuron, results by their classes too.

    Parameters
    ----------
    compiled
        A program, or a bundle.
    x
        Inputs (samples, columns), in the user's units; with a stepped clock as `SteppedNetwork.check_inputs` takes
        them.
    backends
        What to compare: names from `qif2hw.backends.names`, or backends.
    source
        The event-driven network before rounding; a bundle brings its own.
    bounds
        Limits of the differences: `Bounds`, or with a stepped clock `SteppedBounds`.
    truth
        The true solution (samples, outputs); of a classifier of either clock the true classes, (samples,).  Errors
        against them are reported, not bounded.
    progress, **options
        For the backends: each is passed those that it takes.

    Raises
    ------
    InputError
        If the inputs are wrong, a backend is unknown or cannot run here, no backend takes an option, fewer than two
        are to be compared, or a run lacks what a comparison needs.  All but the last before anything runs.
    """
    program = compiled if isinstance(compiled, Program) else compiled.program
    chosen = _choose(backends, options, program)
    if isinstance(compiled, SteppedBundle):
        if source is not None or isinstance(bounds, Bounds):
            raise InputError("parity of a network with a stepped clock has SteppedBounds, and its source in the bundle")
        inputs = compiled.network.check_inputs(x)
        labels = None if truth is None else check_labels(truth, len(inputs), tuple(map(str, range(program.results))))
        return stepped.compare(compiled, inputs, chosen, bounds or SteppedBounds(), labels, options, progress)
    if isinstance(program, SteppedProgram) or isinstance(bounds, SteppedBounds):
        raise InputError("parity of an event-driven network has Bounds")
    source = source if source is not None or isinstance(compiled, Program) else compiled.network
    if source is not None and source.host != program.host:
        source = replace(source, host=program.host)
    inputs = program.check_inputs(x)
    target, labels = None, None
    if truth is not None and program.classes is not None and np.ndim(truth) == 1:
        labels = check_labels(truth, len(inputs), program.classes)
    elif truth is not None:
        target = trial.check_truth(truth, (len(inputs), program.solutions))
    given = options if progress is None else options | {"progress": progress}
    subjects = {"program": program, "network": program.network()}
    runs = {
        name: backend.execute(subjects[backend.runs], inputs, **registry.options_for(backend.execution(program), given))
        for name, backend in chosen.items()
    }
    runs = {name: solved(program, inputs, run) for name, run in runs.items()}
    unrounded = None
    if source is not None:
        exact = chosen.get("reference", registry.get("reference"))
        unrounded = solved(program, inputs, exact.execute(source, inputs))
    return trial.compare(program, unrounded, inputs, chosen, runs, bounds or Bounds(), target, labels)


def _choose(
    wanted: Sequence[str | Backend], options: Mapping[str, Any], program: Program | SteppedProgram
) -> dict[str, Backend]:
    """Backends by name, all of them able to run here, each option taken by one of them."""
    backends = [registry.get(one) if isinstance(one, str) else one for one in wanted]
    chosen = {backend.name: backend for backend in backends}
    if len(chosen) < 2:
        raise InputError(f"parity compares at least two backends: {len(chosen)} given")
    taken = {option for backend in backends for option in backend.execution(program).options}
    for option in options:
        if option not in taken:
            raise InputError(f"none of the backends {', '.join(chosen)} has an option '{option}'")
    for backend in backends:
        backend.check(program=program)
    return chosen
