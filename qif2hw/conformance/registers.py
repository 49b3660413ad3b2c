"""The register map: what a neuron keeps, what its core holds for all, and the constants."""

from typing import Any

import numpy as np

from qif2hw.compiler.passes.ranges import range_of
from qif2hw.compiler.proof import prove
from qif2hw.engine import spec
from qif2hw.ir import PlaneVector, Program, ProgramPopulation
from qif2hw.ir.ptc import ACCUMULATOR_BITS, STATE_BITS, second_moment

FORMS = {"CotangentTables": "cotangent", "PhaseWeightTable": "grid", "PlaneVector": "plane"}


def register_map(program: Program) -> list[dict[str, Any]]:
    """By population, in the program's order: plain values."""
    return [_of(program, population) for population in program.populations]


def _of(program: Program, population: ProgramPopulation) -> dict[str, Any]:
    curve, start = population.ptc, spec.start(population, program.grid)
    names = ("x", "y") if isinstance(curve, PlaneVector) else ("phase",)
    received = ["total"] if population.packed_bits else ["a0", "total" if population.one_message else "a1"]
    if second_moment(curve) is not None:
        received.append("a2")
    proven = prove(population, program.grid, range_of(program, population.name))
    constants = {name: value for name, value in vars(curve).items() if isinstance(value, int)}
    if isinstance(curve, PlaneVector):
        constants |= {"trig_bits": curve.trig_bits, "shear_drop": curve.shear_drop}
    second = second_moment(curve)
    if second is not None:
        constants |= {f"second.{name}": value for name, value in vars(second).items()}
    return {
        "population": population.name,
        "form": FORMS[type(curve).__name__],
        "neurons": population.size,
        "depth": population.depth,
        "neuron_registers": [
            {"name": name, "bits": STATE_BITS, "start": np.asarray(values).tolist()}
            for name, values in zip(names, start, strict=True)
        ],
        "accumulators": [{"name": name, "bits": ACCUMULATOR_BITS} for name in received],
        "message_bits": population.message_bits,
        "flush_drop": population.flush_drop,
        "constants": dict(sorted(constants.items())),
        "tables_bytes": curve.bytes,
        "proven": {
            name: {"low": r.low, "high": r.high, "bits": r.bits, "of": r.width} for name, r in sorted(proven.items())
        },
    }
