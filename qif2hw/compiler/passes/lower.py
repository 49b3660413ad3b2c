"""Pass: assemble the program, which verifies itself."""

from dataclasses import dataclass, replace

from qif2hw.compiler.ptc_tables import start_vectors
from qif2hw.compiler.state import Draft
from qif2hw.ir import PTC, PlaneVector, Population, Program, ProgramPopulation


@dataclass(frozen=True)
class Lower:
    """Put grid, weights and tables together; initial phases absorb the delay of one step per layer."""

    name: str = "lower"

    def run(self, draft: Draft) -> Draft:
        """Make the `Program`."""
        draft.need("tables", by=self.name)
        network, grid = draft.network, draft.time
        populations = tuple(
            ProgramPopulation(
                name=p.name,
                depth=network.depth[p.name],
                neuron=p.neuron,
                phase0=grid.phase0(draft.phi0[p.name], network.depth[p.name]),
                unit=draft.units[p.name],
                ptc=_curve(draft, p),
                flush_drop=draft.flush_drop[p.name],
                packed_bits=draft.packed_bits[p.name],
            )
            for p in network.order
        )
        program = Program(grid, network.encoders, populations, draft.projections, network.outputs)
        facts = {
            "populations": {p.name: {"neurons": p.size, "depth": p.depth} for p in populations},
            "synapses": int(sum(p.weight.size for p in draft.projections)),
        }
        return draft.with_report(self.name, facts, program=program)


def _curve(draft: Draft, population: Population) -> PTC:
    """The population's curve; that of plane vectors holds the initial phases too."""
    curve, depth = draft.ptc[population.name], draft.network.depth[population.name]
    if not isinstance(curve, PlaneVector):
        return curve
    return replace(curve, start=start_vectors(draft.time, draft.time.phase0(draft.phi0[population.name], depth), depth))
