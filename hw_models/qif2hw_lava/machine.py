"""The whole network in one loop over steps, for a batch of samples: what the fused Process runs.  Free of Lava."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qif2hw.ir.program import Program, ProgramProjection
from qif2hw.ir.ptc import second_moment
from qif2hw_lava.arithmetic import Int, Sent, neurons


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
        ends = np.cumsum([e.size for e in program.encoders])
        self.columns = {e.name: slice(end - e.size, end) for e, end in zip(program.encoders, ends, strict=True)}
        self.lateness_bits = program.grid.lateness_bits
        self.neurons = {p.name: neurons(p, program.grid, copies) for p in program.populations}
        self.synapses = {p.name: [_Synapses(q) for q in program.incoming(p.name)] for p in program.populations}
        self.sent: dict[str, Sent] = {}

    def reset(self) -> None:
        """Before step 1 of a batch: initial phases, and nothing on its way."""
        self.sent = {}
        for population in self.neurons.values():
            population.reset()

    def step(self, n: int, step_in: Int, late_in: Int) -> dict[str, Sent]:
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
            sent[name] = Sent(now.astype(np.int64), np.where(now, late_in[:, columns], 0))
        for name, population in self.neurons.items():
            a0, a1, a2 = (np.zeros(population.shape, np.int64) for _ in range(3))
            squared = second_moment(population.population.ptc) is not None
            for synapses in self.synapses[name]:
                if synapses.pre in arriving:
                    synapses.add(a0, arriving[synapses.pre].flag)
                    synapses.add(a1, arriving[synapses.pre].payload)
                    if squared:
                        late = arriving[synapses.pre]
                        synapses.add(a2, (late.payload * late.flag) ** 2 >> self.lateness_bits)
            sent[name] = population.step(n, a0, a1, a2)
        self.sent = sent
        return sent


class _Synapses:
    """A projection: sums of weights, and of weights times payloads, in exact float64 (below 2^53)."""

    def __init__(self, projection: ProgramProjection) -> None:
        self.pre = projection.pre
        self.weight = np.ldexp(projection.weight.T.astype(np.float64), projection.exponent)

    def add(self, total: Int, values: NDArray[np.integer[Any]]) -> None:
        """Add what ``values`` (copies, pre) bring to ``total`` (copies, post)."""
        active = values.any(axis=0)
        if active.any():
            total += (values[:, active] @ self.weight[active]).astype(np.int64)
