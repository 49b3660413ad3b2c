"""Pass: where the error comes from."""

from dataclasses import dataclass, replace

import numpy as np

from qif2hw import engine, reference
from qif2hw.compiler.passes.lower import Lower
from qif2hw.compiler.passes.tables import MakeTables
from qif2hw.compiler.passes.weights import bits_of, parse_bits
from qif2hw.compiler.state import Draft
from qif2hw.errors import InputError
from qif2hw.ir import Network, Projection
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.weight_grid import largest_weight, weight_step

MOST_UPDATES = 20_000_000
"""Samples times synapses that the measurement may cost."""
FINE_TABLES = 11
FINE_PAYLOAD = 12


@dataclass(frozen=True)
class MeasureBudget:
    """Split the engine's error on the calibration inputs into its causes.

    Each cause is the difference between two machines that are alike but for it: the engine and one with finer payloads;
    that one and one with finer tables as well; that one and the exact run with the rounded weights (the time grid);
    this run and the float network (weights and saturation).  The differences add up to the total error sample by
    sample; their squares do where they are independent.

    Saturation is what the float network changes by when weights beyond the grid are put on its outermost point, weights
    what changes from there.  Adaptive rounding plays them off against each other: the mean square of both together is
    therefore split in proportion to their own.
    """

    name: str = "budget"

    def run(self, draft: Draft) -> Draft:
        """Add the budget to the report: relative root-mean-square errors of the result."""
        if draft.program is None:
            raise InputError(f"passes: '{self.name}' needs 'lower' before it")
        x = measured_inputs(draft)
        bits = min(max(draft.time.lateness_bits, FINE_PAYLOAD), draft.time.phase_bits - 1)
        inside, saturated = within_grid(draft)
        exact, rounded = reference.run(draft.network, x).y, reference.run(draft.program.network(), x).y
        results = [
            exact,
            rounded,
            _machine(draft, x, bits, FINE_TABLES),
            _machine(draft, x, bits, draft.table_bits),
            engine.run(draft.program, x).y,
        ]
        names = ("weights", "time_grid", "tables", "payload")
        size = np.sqrt(np.mean(results[0] ** 2))
        terms = {
            name: float(np.sqrt(np.mean((after - before) ** 2)) / size)
            for name, before, after in zip(names, results[:-1], results[1:], strict=True)
        }
        share = 0.0
        if saturated:
            clipped = reference.run(inside, x).y
            alone, others = np.sum((clipped - exact) ** 2), np.sum((rounded - clipped) ** 2)
            share = float(alone / (alone + others))
        terms = {
            "saturation": float(np.sqrt(share) * terms["weights"]),
            **terms,
            "weights": float(np.sqrt(1 - share) * terms["weights"]),
        }
        facts = {
            "samples": len(x),
            "terms": terms,
            "saturated_weights": saturated,
            "sum": float(np.sqrt(sum(t**2 for t in terms.values()))),
            "total": float(np.sqrt(np.mean((results[-1] - results[0]) ** 2)) / size),
        }
        return draft.with_report(self.name, facts)


def measured_inputs(draft: Draft) -> FloatArray:
    """As many calibration inputs as may be run."""
    synapses = sum(p.weight.size for p in draft.network.projections)
    return draft.calibration[: max(8, MOST_UPDATES // synapses)]


def within_grid(draft: Draft) -> tuple[Network, int]:
    """The float network with weights beyond the outermost grid point put there, and the number of those.

    Rounding to the nearest explains half a step; what lies further out is saturated.
    """
    bits = bits_of(parse_bits(str(draft.report["weights"]["bits"])), draft.network)
    projections, count = [], 0
    for p, rounded in zip(draft.network.projections, draft.projections, strict=True):
        unit = draft.units[p.post] * 2.0**rounded.exponent
        own = bits[p.pre, p.post]
        most, step = largest_weight(own) * unit, weight_step(own) * unit
        beyond = np.abs(p.weight) > most + 0.5 * step * (1 + 1e-9)
        count += int(beyond.sum())
        projections.append(Projection(p.pre, p.post, np.where(beyond, np.sign(p.weight) * most, p.weight)))
    return replace(draft.network, projections=tuple(projections)), count


def _machine(draft: Draft, x: FloatArray, lateness_bits: int, table_bits: int) -> FloatArray:
    """Results of the same machine with other payloads; with other table bits, its curves are cotangent tables."""
    other = draft.changed(grid=replace(draft.time, lateness_bits=lateness_bits))
    make = MakeTables(table_bits, moments=draft.report["tables"]["lateness_moments"]).make
    ptc = {}
    for population in draft.network.populations:
        own = draft.report["tables"]["populations"][population.name]["form"]
        ptc[population.name] = make(other, population, own if table_bits == draft.table_bits else "cotangent")
    program = Lower().run(other.changed(ptc=ptc)).program
    if program is None:
        raise RuntimeError("lowering made no program")
    return engine.run(program, x).y
