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

ENTRIES = 1 << 20
"""Neuron-steps of a population that are worked on at a time: what fits the caches."""


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
        """Run integer inputs; arguments and results as those of `qif2hw.engine.stepped.spec.run`."""
        program, samples, steps = self.program, len(x), self.program.clock.count
        y = np.empty((samples, program.results), np.int64)
        spikes = {p.name: np.empty((samples, steps, p.size), np.bool_) for p in program.populations if p.spiking}
        chunk = max(1, ENTRIES // (steps * max(program.sizes.values())))
        for low in range(0, samples, chunk):
            part = slice(low, min(low + chunk, samples))
            y[part] = self._run(x[part], {name: fired[part] for name, fired in spikes.items()})
        return y, spikes

    def _run(self, x: NDArray[np.int64], spikes: dict[str, Bool]) -> NDArray[np.int64]:
        """Write the spikes of some samples, (samples, steps, neurons), and return what the outputs hold at the end."""
        program, steps = self.program, self.program.clock.count
        sent: dict[str, NDArray[Any]] = {name: x[:, :, columns] for name, columns in program.columns.items()}
        sent |= spikes
        held: dict[str, NDArray[np.int64]] = {}
        for population in program.populations:
            name = population.name
            received = [(sums(_late(sent[pre], sums.delay, steps)), sums.exponent) for pre, sums in self.incoming[name]]
            current = currents(population.of_neurons(population.bias), received)
            if isinstance(population.arithmetic, AddUp):
                every = np.broadcast_to(current, (len(x), steps, population.size))
                held[name] = every.sum(axis=1, dtype=np.int64)
            elif population.spiking:
                fire(population, current, spikes[name])
            else:
                held[name] = fire(population, current, np.empty((len(x), steps, population.size), np.bool_))
        return np.concatenate([held[output.population] for output in program.outputs], axis=1)


def _late(sent: NDArray[Any], delay: NDArray[np.int32] | None, steps: int) -> NDArray[Any]:
    """What sources sent, (samples, 1 or time steps, pre), as it arrives after their delays."""
    if delay is None:
        return sent
    late = np.zeros((len(sent), steps, sent.shape[2]), sent.dtype)
    for d in np.unique(delay[delay < steps]):
        sources = delay == d
        late[:, d:, sources] = sent[:, : steps - d, sources]
    return late
