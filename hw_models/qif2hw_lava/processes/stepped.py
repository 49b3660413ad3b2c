"""A network with a stepped clock in one Process, for a batch of samples at once."""

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from numpy.typing import NDArray

from qif2hw.engine.stepped import spec
from qif2hw.ir.stepped_program import SteppedProgram
from qif2hw_lava.processes.guarded import GuardedModel


class SteppedNetwork(AbstractProcess):
    """All populations of a `SteppedProgram`; one step of Lava is `qif2hw.engine.stepped.spec.advance`.

    After each round it leaves ``populationK-ROUND`` for population K: spikes, packed (samples, time steps, bytes), or
    the sums of accumulators, (samples, neurons).

    Parameters
    ----------
    program
        What to run.
    x
        Values of the input groups, (samples, 1 or time steps, inputs).
    copies
        Samples of a round; each round starts from the reset state.
    job
        Folder for the results.

    Attributes
    ----------
    spike_count : Var
        Spikes so far.
    """

    def __init__(self, *, program: SteppedProgram, x: NDArray[np.int32], copies: int, job: str) -> None:
        super().__init__(
            name="network", program=program, x=x, copies=copies, job=job, steps=program.clock.count,
            rounds=-(-len(x) // copies),
        )  # fmt: skip
        self.spike_count = Var(shape=(1,), init=0)


@implements(proc=SteppedNetwork, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySteppedNetwork(GuardedModel):
    """Runs the specification and records what it sends."""

    spike_count: NDArray[Any] = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.program: SteppedProgram = proc_params["program"]
        self.x: NDArray[np.int32] = proc_params["x"]
        self.copies: int = proc_params["copies"]

    def reset(self, current: int) -> None:
        """The reset state, for the next samples."""
        self.batch = self.x[current * self.copies : (current + 1) * self.copies]
        self.state = spec.start_of(self.program, len(self.batch))
        self.spikes: dict[str, list[NDArray[np.uint8]]] = {p.name: [] for p in self.program.populations if p.spiking}

    def step(self, current: int, n: int) -> None:
        """One time step of every population."""
        frame = self.batch[:, min(n, self.batch.shape[1]) - 1].astype(np.int64)
        self.state, sent, _ = spec.advance(self.program, self.state, frame)
        for name, found in self.spikes.items():
            fired = sent[name] > 0
            found.append(np.packbits(fired, axis=1))
            self.spike_count[0] += np.count_nonzero(fired)
        if n == self.steps:
            for k, population in enumerate(self.program.populations):
                name = population.name
                kept = np.stack(self.spikes[name], axis=1) if population.spiking else self.state.registers[name][0]
                self.save(f"population{k}-{current}", {"kept": kept})
