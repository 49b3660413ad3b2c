"""How much work a run of a stepped network is: spikes, and the synapses that they reach."""

from dataclasses import dataclass

import numpy as np

from qif2hw.ir.stepped import SteppedRun
from qif2hw.ir.stepped_program import SteppedProgram


@dataclass(frozen=True)
class Operations:
    """Work of a mean sample.

    Parameters
    ----------
    spikes
        By population.
    synapses
        Synapses that spikes reach, by the population that sends them: additions of a weight.
    inputs
        Synapses that values of the input groups reach, in all time steps: multiplications and additions.
    updates
        Neurons times time steps.
    """

    spikes: dict[str, float]
    synapses: dict[str, float]
    inputs: int
    updates: int


def operations(program: SteppedProgram, run: SteppedRun) -> Operations:
    """Count them from the spikes of a run."""
    samples, steps = len(run.y), program.clock.count
    synapses = dict.fromkeys(run.counts, 0.0)
    inputs = 0
    for p in program.projections:
        if p.pre in synapses:
            synapses[p.pre] += float(np.dot(p.synapses.fan_out, run.counts[p.pre])) / samples
        else:
            inputs += p.synapses.count * steps
    return Operations(run.spikes_per_sample, synapses, inputs, steps * sum(p.size for p in program.populations))
