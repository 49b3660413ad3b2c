"""Steps and payload bits from an error target: the cheapest setting whose result is close enough."""

from dataclasses import dataclass, replace

import numpy as np

from qif2hw import engine, reference
from qif2hw.compiler.passes.budget import measured_inputs
from qif2hw.compiler.passes.lower import Lower
from qif2hw.compiler.passes.ranges import ProveRanges
from qif2hw.compiler.passes.tables import MakeTables
from qif2hw.compiler.passes.time_grid import ChooseTimeGrid
from qif2hw.compiler.state import Draft, Facts, Pass
from qif2hw.errors import InputError

STEPS = tuple(sorted({scale << power for scale in (2, 3) for power in range(4, 15)}))
"""Numbers of steps that are tried: powers of two and halfway between."""


@dataclass(frozen=True)
class Goal:
    """What was asked for, tried and chosen.

    Parameters
    ----------
    steps, lateness_bits
        The cheapest setting that meets the target: fewest steps, then fewest payload bits.
    facts
        The target, and every setting tried with its error, in order.
    """

    steps: int
    lateness_bits: int
    facts: Facts


def meet(draft: Draft, passes: tuple[Pass, ...], max_error: float) -> Goal:
    """Find the cheapest setting for which the engine's result is close enough to the float network's.

    The error is that of the budget: relative root mean square, on the calibration inputs.  Weights are rounded once:
    they do not depend on the time grid.

    Parameters
    ----------
    draft
        The network as given.
    passes
        The passes that will compile it; steps and payload bits of its time grid are the most that may be chosen.
    max_error
        The target.

    Raises
    ------
    InputError
        If no setting meets it; the message names the best reached.
    """
    most = next(p for p in passes if isinstance(p, ChooseTimeGrid))
    tables = next(p for p in passes if isinstance(p, MakeTables))
    before = passes[: next(k for k, p in enumerate(passes) if isinstance(p, ProveRanges))]
    # The time grid is only chosen to have one: no pass before the ranges looks at it.
    for one in before:
        draft = one.run(draft)
    x = measured_inputs(draft)
    goal = reference.run(draft.network, x).y
    size = float(np.sqrt(np.mean(goal**2)))
    tried: list[Facts] = []
    forms: dict[str, str] = {}

    def make_tables(other: Draft, measured: bool) -> Draft:
        """Choosing the neurons' arithmetic takes long: it is done once, and checked for the setting that is taken."""
        if measured or not forms:
            other = tables.run(other)
            forms.update({name: found["form"] for name, found in other.report["tables"]["populations"].items()})
            return other
        ptc = {p.name: tables.make(other, p, forms[p.name]) for p in draft.network.populations}
        return other.with_report(tables.name, {}, ptc=ptc, table_bits=tables.table_bits)

    def error(steps: int, bits: int, measured: bool = False) -> float:
        """Relative error; infinite, with the reason noted, for a setting that the machine cannot have."""
        entry: Facts = {"steps": steps, "payload_bits": bits}
        if not measured:
            tried.append(entry)
        try:
            other = ProveRanges().run(ChooseTimeGrid(steps, bits).run(draft))
            other = Lower().run(make_tables(other, measured))
        except InputError as refused:
            entry["refused"] = str(refused)
            return float("inf")
        assert other.program is not None
        entry["error"] = float(np.sqrt(np.mean((engine.run(other.program, x).y - goal) ** 2)) / size)
        return float(entry["error"])

    def widest(steps: int) -> int | None:
        """The most payload bits that the machine can have with so many steps, if they are enough."""
        for bits in range(most.lateness_bits, -1, -1):
            if np.isfinite(found := error(steps, bits)):
                return bits if found <= max_error else None
        return None

    for steps in [s for s in STEPS if s < most.steps] + [most.steps]:
        enough = widest(steps)
        if enough is not None:
            bits = next((b for b in range(enough) if error(steps, b) <= max_error), enough)
            if error(steps, bits, measured=True) > max_error:
                continue
            return Goal(steps, bits, {"target": max_error, "samples": len(x), "tried": tried})
    best = min((t for t in tried if "error" in t), key=lambda t: float(t["error"]), default=None)
    if best is None:
        raise InputError(f"no setting of at most {most.steps} steps can be compiled: {tried[-1]['refused']}")
    raise InputError(
        f"no setting reaches an error of {max_error:g}: the best of at most {most.steps} steps and "
        f"{most.lateness_bits} payload bits is {best['error']:.3g}, with {best['steps']} steps and "
        f"{best['payload_bits']} payload bits"
    )


def with_goal(passes: tuple[Pass, ...], goal: Goal) -> tuple[Pass, ...]:
    """The passes with the chosen setting."""
    return tuple(
        replace(p, steps=goal.steps, lateness_bits=goal.lateness_bits) if isinstance(p, ChooseTimeGrid) else p
        for p in passes
    )
