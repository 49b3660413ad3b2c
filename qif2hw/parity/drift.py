"""What changed between two versions of a bundle: their programs, and what they give for the same inputs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from qif2hw.bundle import AnyBundle
from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.program import Program
from qif2hw.parity.outcome import ResultError, plain, rms


@dataclass(frozen=True)
class Drift:
    """Two bundles compared, old and new.

    Parameters
    ----------
    same_network, same_program
        Whether the float networks and the programs are equal.
    options
        Compiler options that differ: (old, new).
    weights, phases
        Numbers of weights by projection ``pre->post``, and of initial phases by population, that differ; -1 where
        their shapes do. Empty with a stepped clock.
    result
        The new results against the old ones.
    outputs
        Largest difference of each output, (outputs,).
    first_rms
        Root mean square of the difference of the outputs' first spikes, in units of time; None with a stepped clock.
    spikes
        Ordinary spikes by population, (old, new): of all samples, or with a stepped clock per sample.
    """

    same_network: bool
    same_program: bool
    options: dict[str, tuple[Any, Any]]
    weights: dict[str, int]
    phases: dict[str, int]
    result: ResultError
    outputs: FloatArray
    first_rms: float | None
    spikes: dict[str, tuple[float, float]]

    def within(self, bound: float) -> bool:
        """Whether the results differ by at most ``bound``, a relative L2 error."""
        return self.result.relative <= bound

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        found: dict[str, Any] = plain(
            {k: list(v) if isinstance(v, tuple) else v for k, v in vars(self).items() if k != "result"}
        )
        return found | {"result": plain(vars(self.result))}


def drift(old: AnyBundle, new: AnyBundle, x: ArrayLike | None = None) -> Drift:
    """Run two bundles on the engine and compare them.

    Parameters
    ----------
    old, new
        Of one clock, with equal numbers of inputs and results.
    x
        Inputs (samples, ...); the old bundle's golden inputs where there are none.

    Raises
    ------
    InputError
        If the bundles cannot be compared, or on wrong inputs.
    """
    if type(old.program) is not type(new.program):
        raise InputError("the two bundles have different clocks: they cannot be compared")
    for what in ("inputs", "results"):
        sizes = getattr(old.program, what), getattr(new.program, what)
        if sizes[0] != sizes[1]:
            raise InputError(f"the two bundles have {sizes[0]} and {sizes[1]} {what}: they cannot be compared")
    inputs = old.golden.x if x is None else old.network.check_inputs(x)
    runs: list[Any] = [bundle.run(inputs) for bundle in (old, new)]
    weights, phases, first = {}, {}, None
    a, b = old.program, new.program
    if isinstance(a, Program) and isinstance(b, Program):
        weights, phases = _weights(a, b), _phases(a, b)
        first = rms(runs[1].spike_time - runs[0].spike_time) if _columns(a) == _columns(b) else None
    counts = [_counts(run) for run in runs]
    names = sorted({*old.options, *new.options})
    return Drift(
        old.network == new.network,
        old.program == new.program,
        {n: (old.options.get(n), new.options.get(n)) for n in names if old.options.get(n) != new.options.get(n)},
        weights,
        phases,
        ResultError.of("new", runs[1].y, "old", runs[0].y),
        np.abs(runs[1].y - runs[0].y).max(axis=0, initial=0.0),
        first,
        {n: (counts[0].get(n, 0), counts[1].get(n, 0)) for n in dict.fromkeys([*counts[0], *counts[1]])},
    )


def _columns(program: Program) -> int:
    return sum(program.population(name).size for name in program.output_populations)


def _weights(old: Program, new: Program) -> dict[str, int]:
    """Changed weights, in their real size, by projection."""
    found: dict[str, int] = {}
    pairs = [{f"{p.pre}->{p.post}": (p, n.population(p.post).unit) for p in n.projections} for n in (old, new)]
    for name in dict.fromkeys([*pairs[0], *pairs[1]]):
        if name not in pairs[0] or name not in pairs[1]:
            found[name] = -1
            continue
        (p, unit), (q, other) = pairs[0][name], pairs[1][name]
        if p.weight.shape != q.weight.shape or p.synapses != q.synapses:
            found[name] = -1
            continue
        changed = p.weight * (unit * 2.0**p.exponent) != q.weight * (other * 2.0**q.exponent)
        found[name] = int(changed.sum())
    return {name: count for name, count in found.items() if count}


def _phases(old: Program, new: Program) -> dict[str, int]:
    """Changed initial phases by population."""
    found: dict[str, int] = {}
    for name in dict.fromkeys(p.name for p in (*old.populations, *new.populations)):
        sides = []
        for program in (old, new):
            one = next((p for p in program.populations if p.name == name), None)
            sides.append(None if one is None else program.grid.phi0(one.phase0, one.depth))
        a, b = sides
        found[name] = -1 if a is None or b is None or a.shape != b.shape else int((a != b).sum())
    return {name: count for name, count in found.items() if count}


def _counts(run: Any) -> dict[str, float]:
    """Spikes by population."""
    per_sample = getattr(run, "spikes_per_sample", None)
    if per_sample is not None:
        return {name: float(count) for name, count in per_sample.items()}
    return {name: int(np.sum(count)) for name, count in run.counts.items()}
