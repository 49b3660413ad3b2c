"""Random programs, quickly: tables are made once for a structure and a setting, weights and phases are drawn anew."""

from dataclasses import replace
from functools import cache
from unittest.mock import patch

import networks
import numpy as np
from oracles.nets import random_layers

from qif2hw.compiler import CompileOptions, compile_network, passes_for, print_passes
from qif2hw.compiler.passes import tables
from qif2hw.compiler.ptc_tables import CurveError, start_vectors
from qif2hw.ir import Network, PlaneVector, Program

STEPS = (32, 64, 128, 256, 512)
PAYLOADS = (0, 2, 4, 8)
ARITHMETICS = (("cotangent", 1), ("cotangent", 2), ("plane", 1), ("plane", 2), ("grid", 1))
STRUCTURES = 8


def structure(number: int) -> Network:
    """Chains, graphs, listed synapses; pseudospikes alone, one spike per neuron, many."""
    return (
        networks.published((2, 9, 4), 1),
        networks.published((3, 6, 7, 2), 2),
        random_layers((2, 10, 2), 3),
        random_layers((1, 6, 8, 4), 4, gain=2.5, trial=14.0),
        random_layers((3, 7, 5, 6, 2), 5, gain=1.5, trial=9.0),
        networks.branched(6),
        networks.listed(networks.thinned(networks.ordinary((3, 9, 9, 2), 7, 2.5), 0.5, 7)),
        random_layers((2, 8, 2), 8, gain=6.0, trial=20.0),
    )[number]


@cache
def base(number: int, arithmetic: int, steps: int, payload_bits: int) -> Program:
    form, moments = ARITHMETICS[arithmetic]
    options = CompileOptions(
        rounding="nearest", steps=steps, payload_bits=payload_bits, form=form,
        lateness_moments=moments if payload_bits else 1,
    )  # fmt: skip
    needed = [one for one in passes_for(options) if one.name in ("time-grid", "weights", "ranges", "tables", "lower")]
    # Measuring the tables takes most of the time, and nothing here asks for it.
    with patch.object(tables, "_measure", lambda state, population, ptc: CurveError(ptc.bytes, 0.0, 0.0, True)):
        return compile_network(structure(number), CompileOptions(passes=print_passes(needed))).program


def random_program(seed: int) -> Program:
    """The seed chooses structure, arithmetic, steps and payload bits, and draws all weights and initial phases."""
    rng = np.random.default_rng(seed)
    program = base(
        int(rng.integers(STRUCTURES)), int(rng.integers(len(ARITHMETICS))), int(rng.choice(STEPS)),
        int(rng.choice(PAYLOADS)),
    )  # fmt: skip
    grid, size = program.grid, float(rng.choice([0.3, 1.0]))
    populations = []
    for p in program.populations:
        phase0 = grid.phase0(rng.uniform(0, 0.999, p.size) * grid.period, p.depth)
        ptc = p.ptc
        if isinstance(ptc, PlaneVector):
            ptc = replace(ptc, start=start_vectors(grid, phase0, p.depth))
        populations.append(replace(p, phase0=phase0, ptc=ptc))
    projections = tuple(
        replace(p, weight=(2 * np.rint(size * rng.integers(-127, 128, p.weight.shape))).astype(np.int16))
        for p in program.projections
    )
    return replace(program, populations=tuple(populations), projections=projections)
