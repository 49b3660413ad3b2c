"""Pass: assemble the program, which verifies itself."""

from dataclasses import dataclass
from typing import ClassVar

from qif2hw.compiler.passes.ranges import Ranges
from qif2hw.compiler.passes.tables import Curves
from qif2hw.compiler.passes.weights import Weights
from qif2hw.compiler.program_population import program_population
from qif2hw.compiler.state import Phases, Section, State
from qif2hw.ir import Program, TimeGrid

NEEDED: tuple[type, ...] = (TimeGrid, Weights, Phases, Ranges, Curves)
"""Facts that make a program."""


def lower(state: State) -> Program:
    """Put grid, weights and curves together; initial phases absorb the delay of one step per layer."""
    network, curves = state.network, state[Curves]
    populations = tuple(program_population(state, p, curves.ptc[p.name]) for p in network.order)
    return Program(state[TimeGrid], network.encoders, populations, state[Weights].projections, network.outputs)


@dataclass(frozen=True)
class Lower:
    """Make the `qif2hw.ir.Program`."""

    name: ClassVar[str] = "lower"
    reads: ClassVar[tuple[type, ...]] = NEEDED
    writes: ClassVar[tuple[type, ...]] = (Program,)

    def run(self, state: State) -> State:
        """See `lower`."""
        return state.having(lower(state))

    def report(self, state: State) -> Section:
        """Sizes."""
        program = state[Program]
        return {
            "populations": {p.name: {"neurons": p.size, "depth": p.depth} for p in program.populations},
            "synapses": program.synapse_count,
        }
