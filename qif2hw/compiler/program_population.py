"""One population of a program, from the facts about it."""

from dataclasses import replace

from qif2hw.compiler.passes.ranges import Ranges
from qif2hw.compiler.passes.weights import Weights
from qif2hw.compiler.ptc_tables import start_vectors
from qif2hw.compiler.state import Phases, State
from qif2hw.ir import PTC, PlaneVector, Population, ProgramPopulation, TimeGrid


def program_population(state: State, population: Population, curve: PTC) -> ProgramPopulation:
    """A population with its phase transition curve; that of plane vectors holds the initial phases too."""
    name, grid = population.name, state[TimeGrid]
    depth, found = state.network.depth[name], state[Ranges].populations[name]
    phase0 = grid.phase0(state[Phases].phi0[name], depth)
    if isinstance(curve, PlaneVector):
        curve = replace(curve, start=start_vectors(grid, phase0, depth))
    return ProgramPopulation(
        name=name,
        depth=depth,
        neuron=population.neuron,
        phase0=phase0,
        unit=state[Weights].units[name],
        ptc=curve,
        flush_drop=found.flush_drop,
        packed_bits=found.packed_bits,
        one_message=found.one_message,
    )
