"""The whole network in one Process: fast, since Lava's cost is per Process and step."""

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from numpy.typing import NDArray

from qif2hw.ir.program import Program
from qif2hw.ir.spikes import Keep
from qif2hw_lava.arithmetic import Int
from qif2hw_lava.machine import Machine
from qif2hw_lava.processes.guarded import GuardedModel
from qif2hw_lava.record import FirstSpikes, spike_record


class FusedNetwork(AbstractProcess):
    """All populations of a program for a batch of samples at once.

    Computes what the graph of `qif2hw_lava.processes.modular` computes, `qif2hw_lava.machine.Machine` in every step,
    without ports.  Leaves ``spikesK`` for every population and ``firstK`` for every output population.

    Parameters
    ----------
    program
        What to run.
    step_in, late_in
        Encoded inputs, (rounds, copies, inputs).
    job
        Folder for the results.
    keep, samples
        See `qif2hw_lava.record.spike_record`.

    Attributes
    ----------
    spike_count : Var
        Ordinary spikes so far.
    """

    def __init__(
        self, *, program: Program, step_in: Int, late_in: Int, job: str, keep: Keep = "spikes", samples: int
    ) -> None:
        super().__init__(
            name="network",
            program=program,
            step_in=step_in,
            late_in=late_in,
            job=job,
            keep=keep,
            samples=samples,
            steps=program.steps,
            rounds=step_in.shape[0],
        )
        self.spike_count = Var(shape=(1,), init=0)


@implements(proc=FusedNetwork, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyFusedNetwork(GuardedModel):
    """Runs a `Machine` and records what it sends."""

    spike_count: NDArray[Any] = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        program: Program = proc_params["program"]
        self.step_in: Int = proc_params["step_in"]
        self.late_in: Int = proc_params["late_in"]
        self.copies = self.step_in.shape[1]
        self.machine = Machine(program, self.copies)
        keep, samples = proc_params["keep"], proc_params["samples"]
        self.spikes = {p.name: spike_record(keep, samples, p.size) for p in program.populations}
        self.first = {
            name: FirstSpikes(self.rounds, self.copies, program.population(name).size)
            for name in program.output_populations
        }

    def reset(self, current: int) -> None:
        """Initial phases."""
        self.machine.reset()

    def step(self, current: int, n: int) -> None:
        """One step of every population."""
        sent = self.machine.step(n, self.step_in[current], self.late_in[current])
        for name, log in self.spikes.items():
            log.add(current * self.copies, n, sent[name].flag, sent[name].payload)
            self.spike_count[0] += np.count_nonzero(sent[name].flag)
        for name, first in self.first.items():
            first.add(current, n, sent[name].flag, sent[name].payload)

    def deliver(self) -> None:
        """Spikes of all populations, first spikes of the outputs."""
        for k, log in enumerate(self.spikes.values()):
            self.save(f"spikes{k}", log.arrays())
        for k, first in enumerate(self.first.values()):
            self.save(f"first{k}", first.arrays())
