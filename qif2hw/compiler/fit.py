"""Pass: count what the program needs against the target's limits."""

from dataclasses import dataclass

from qif2hw.compiler.draft import Draft, Facts
from qif2hw.errors import InputError
from qif2hw.ir import Program, ProgramPopulation

BYTES_PER_STATE = 3
BYTES_PER_KNOT = 3
BYTES_PER_SYNAPSE = 1


@dataclass(frozen=True)
class FitTarget:
    """Count neurons, bytes and cores; report, do not refuse: the simulator runs what no chip holds."""

    name: str = "fit"

    def run(self, draft: Draft) -> Draft:
        """Add the estimate to the report."""
        if draft.program is None:
            raise InputError(f"passes: '{self.name}' needs 'lower' before it")
        rows = {p.name: _population(draft, draft.program, p) for p in draft.program.populations}
        cores = sum(row["cores"] for row in rows.values())
        most = draft.target.limit("cores")
        reasons = [f"population '{name}': {row['problem']}" for name, row in rows.items() if row["problem"]]
        if most is not None and cores > most:
            reasons.append(f"{cores} cores are needed, {most} there are")
        return draft.with_report(
            self.name,
            {"target": draft.target.name, "cores": cores, "fits": not reasons, "reasons": reasons, "populations": rows},
        )


def _population(draft: Draft, program: Program, population: ProgramPopulation) -> Facts:
    neuron_bytes = 2 * BYTES_PER_STATE + BYTES_PER_SYNAPSE * sum(
        p.weight.shape[1] for p in program.incoming(population.name)
    )
    table_bytes = BYTES_PER_KNOT * (population.ptc.to_potential.knots.size + population.ptc.to_phase.knots.size)
    per_core = draft.target.limit("neurons_per_core") or population.size
    memory = draft.target.limit("memory_per_core_bytes")
    problem = ""
    if memory is not None:
        room = (memory - table_bytes) // neuron_bytes
        if room < 1:
            problem = f"one neuron and the tables need {neuron_bytes + table_bytes} bytes, a core has {memory}"
        per_core = max(1, min(per_core, room))
    return {
        "neurons": population.size,
        "bytes_per_neuron": neuron_bytes,
        "table_bytes": table_bytes,
        "neurons_per_core": min(per_core, population.size),
        "cores": -(-population.size // per_core),
        "problem": problem,
    }
