"""Pass: assemble the program, which verifies itself."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from qif2hw.compiler.state import Currents, Section, SteppedState
from qif2hw.compiler.stepped.arithmetic import Arithmetics
from qif2hw.compiler.stepped.inputs import InputUnits
from qif2hw.compiler.stepped.scales import Scales
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.stepped_program import SteppedProgram, SteppedProgramPopulation

NEEDED: tuple[type, ...] = (InputUnits, Scales, Arithmetics, Currents)
"""Facts that make a program."""


def lower(state: SteppedState) -> SteppedProgram:
    """Put inputs, weights, arithmetics and currents together."""
    network, scales, arithmetics, currents = state.network, state[Scales], state[Arithmetics], state[Currents]
    populations = tuple(
        SteppedProgramPopulation(
            p.name,
            p.shape,
            arithmetics.populations[p.name],
            current_counts(currents.bias[p.name], scales.units[p.name]),
            scales.units[p.name],
        )
        for p in network.order
    )
    return SteppedProgram(network.clock, state[InputUnits].frames, populations, scales.projections, network.outputs)


def current_counts(bias: FloatArray, unit: FloatArray) -> NDArray[np.int32]:
    """A current, (channels,) or (channels, height, width), in whole units (channels,)."""
    return np.rint(bias / unit.reshape((-1,) + (1,) * (bias.ndim - 1))).astype(np.int32)


@dataclass(frozen=True)
class LowerStepped:
    """Make the `qif2hw.ir.stepped_program.SteppedProgram`."""

    name: ClassVar[str] = "lower"
    reads: ClassVar[tuple[type, ...]] = NEEDED
    writes: ClassVar[tuple[type, ...]] = (SteppedProgram,)

    def run(self, state: SteppedState) -> SteppedState:
        """See `lower`."""
        return state.having(lower(state))

    def report(self, state: SteppedState) -> Section:
        """Sizes."""
        program = state[SteppedProgram]
        return {
            "populations": {
                p.name: {"shape": list(p.shape), "depth": program.depth[p.name]} for p in program.populations
            },
            "synapses": program.synapse_count,
            "weights": sum(p.weight.size for p in program.projections),
        }
