"""The stepped machine, compiled: equal to `qif2hw.engine.stepped.spec` bit for bit.

Layer by layer: what a population receives in all steps is one matrix product or convolution, since spikes do not depend
on what comes later; its neurons then run through their steps in one compiled loop.  Where the input is constant, so are
the sums of the first layer.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qif2hw.engine.stepped.neurons import fire
from qif2hw.engine.stepped.sums import Sums, currents
from qif2hw.ir.stepped_program import AddUp, SteppedProgram

Bool = NDArray[np.bool_]


class Machine:
    """A program, made ready to run.

    Parameters
    ----------
    program
        What to run, on inputs within the ranges of its input groups.
    """

    def __init__(self, program: SteppedProgram) -> None:
        self.program = program
        largest = {e.name: e.largest for e in program.encoders}
        shapes = {part.name: part.shape for part in program.parts}
        # Sources and sums of the projections onto each population.
        self.incoming = {
            p.name: [(q.pre, Sums(q, shapes[q.pre], largest.get(q.pre, 1))) for q in program.incoming(p.name)]
            for p in program.populations
        }

    def run(self, x: NDArray[np.int64]) -> tuple[NDArray[np.int64], dict[str, Bool]]:
        """Run integer inputs, all samples at once; arguments and results as of `qif2hw.engine.stepped.spec.run`."""
        program, steps = self.program, self.program.clock.count
        sent: dict[str, NDArray[Any]] = {name: x[:, :, columns] for name, columns in program.columns.items()}
        spikes: dict[str, Bool] = {}
        held: dict[str, NDArray[np.int64]] = {}
        for population in program.populations:
            name = population.name
            received = [(sums(late(sent[pre], sums.delay, steps)), sums.exponent) for pre, sums in self.incoming[name]]
            current = currents(population.of_neurons(population.bias), received)
            if isinstance(population.arithmetic, AddUp):
                every = np.broadcast_to(current, (len(x), steps, population.size))
                held[name] = every.sum(axis=1, dtype=np.int64)
                continue
            fired = np.empty((len(x), steps, population.size), np.bool_)
            last = fire(population, current, fired)
            if population.spiking:
                sent[name] = spikes[name] = fired
            else:
                held[name] = last
        return np.concatenate([held[output.population] for output in program.outputs], axis=1), spikes


def late(sent: NDArray[Any], delay: NDArray[np.int32] | None, steps: int) -> NDArray[Any]:
    """What sources sent, (samples, 1 or time steps, pre), as it arrives after their delays."""
    if delay is None:
        return sent
    late = np.zeros((len(sent), steps, sent.shape[2]), sent.dtype)
    for d in np.unique(delay[delay < steps]):
        sources = delay == d
        late[:, d:, sources] = sent[:, : steps - d, sources]
    return late
