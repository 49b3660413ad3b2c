"""The whole network in one loop over steps, for a batch of samples: what the fused Process runs.  Free of Lava."""

import numpy as np

from qif2hw.ir.program import Program, ProgramProjection
from qif2hw.ir.ptc import second_moment
from qif2hw.ir.synapses import BySource
from qif2hw_lava.arithmetic import Int, Messages, neurons


class Machine:
    """All populations of a program and the synapses between them.

    Parameters
    ----------
    program
        What to run.
    copies
        Samples in a batch.
    """

    def __init__(self, program: Program, copies: int) -> None:
        self.columns = program.columns
        self.lateness_bits = program.grid.lateness_bits
        self.neurons = {p.name: neurons(p, program.grid, copies) for p in program.populations}
        self.synapses = {p.name: [_synapses(q) for q in program.incoming(p.name)] for p in program.populations}
        self.sent: dict[str, Messages] = {}

    def reset(self) -> None:
        """Return to the state before step 1 of a batch: initial phases, no spike under way."""
        self.sent = {}
        for population in self.neurons.values():
            population.reset()

    def step(self, n: int, step_in: Int, late_in: Int) -> dict[str, Messages]:
        """Machine step ``n = 1, 2, ...``.

        Parameters
        ----------
        n
            The step.
        step_in, late_in
            Encoded inputs (copies, inputs).

        Returns
        -------
        dict
            What each input group and population sends; it is delivered in the next step.
        """
        arriving, sent = self.sent, {}
        for name, columns in self.columns.items():
            now = step_in[:, columns] == n
            sent[name] = Messages(now.astype(np.int64), np.where(now, late_in[:, columns], 0))
        for name, population in self.neurons.items():
            a0, a1, a2 = (np.zeros(population.shape, np.int64) for _ in range(3))
            squared = second_moment(population.population.ptc) is not None
            for pre, synapses in self.synapses[name]:
                if pre in arriving:
                    got = arriving[pre]
                    synapses.add(got.flag, a0)
                    synapses.add(got.payload, a1)
                    if squared:
                        synapses.add((got.payload * got.flag) ** 2 >> self.lateness_bits, a2)
            sent[name] = population.step(n, a0, a1, a2)
        self.sent = sent
        return sent


def _synapses(projection: ProgramProjection) -> tuple[str, BySource]:
    """Source of a projection, and its weights in units of the accumulators."""
    return projection.pre, projection.synapses.by_source(projection.weight.astype(np.int64) << projection.exponent)
