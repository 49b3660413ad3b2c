"""Pass: where the error comes from."""

from dataclasses import dataclass, replace

import numpy as np

from qif2hw import engine, reference
from qif2hw.compiler.draft import Draft
from qif2hw.compiler.lower import Lower
from qif2hw.compiler.tables import MakeTables
from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray

MOST_UPDATES = 20_000_000
"""Samples times synapses that the measurement may cost."""
FINE_TABLES = 11
FINE_PAYLOAD = 12


@dataclass(frozen=True)
class MeasureBudget:
    """Split the engine's error on the calibration inputs into its causes.

    Each cause is the difference between two machines that are alike but for it: the engine and one with finer payloads;
    that one and one with finer tables as well; that one and the exact run with the rounded weights (the time grid);
    this run and the float network (the weights, rounded and saturated; how many saturate is counted).  The differences
    add up to the total error sample by sample; their squares do where they are independent.
    """

    name: str = "budget"

    def run(self, draft: Draft) -> Draft:
        """Add the budget to the report: relative root-mean-square errors of the result."""
        if draft.program is None:
            raise InputError(f"passes: '{self.name}' needs 'lower' before it")
        x = measured_inputs(draft)
        bits = min(max(draft.time.lateness_bits, FINE_PAYLOAD), draft.time.phase_bits - 1)
        results = [
            reference.run(draft.network, x).y,
            reference.run(draft.program.network(), x).y,
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
        facts = {
            "samples": len(x),
            "terms": terms,
            "saturated_weights": _saturated(draft),
            "sum": float(np.sqrt(sum(t**2 for t in terms.values()))),
            "total": float(np.sqrt(np.mean((results[-1] - results[0]) ** 2)) / size),
        }
        return draft.with_report(self.name, facts)


def measured_inputs(draft: Draft) -> FloatArray:
    """As many calibration inputs as may be run."""
    synapses = sum(p.weight.size for p in draft.network.projections)
    return draft.calibration[: max(8, MOST_UPDATES // synapses)]


def _saturated(draft: Draft) -> int:
    """Number of weights beyond the outermost grid point by more than rounding explains."""
    count = 0
    for exact, p in zip(draft.network.projections, draft.projections, strict=True):
        unit = draft.units[p.post] * 2.0**p.exponent
        count += int(np.sum(np.abs(exact.weight) > (np.abs(p.weight).max(initial=0) + 1) * unit))
    return count


def _machine(draft: Draft, x: FloatArray, lateness_bits: int, table_bits: int) -> FloatArray:
    """Results of the same machine with other payloads; with other table bits, its curves are cotangent tables."""
    other = draft.changed(grid=replace(draft.time, lateness_bits=lateness_bits))
    make = MakeTables(table_bits).make
    ptc = {}
    for population in draft.network.populations:
        own = draft.report["tables"]["populations"][population.name]["form"]
        ptc[population.name] = make(other, population, own if table_bits == draft.table_bits else "cotangent")
    program = Lower().run(other.changed(ptc=ptc)).program
    if program is None:
        raise RuntimeError("lowering made no program")
    return engine.run(program, x).y
