r"""The network as a graph of Processes, one per part of the chip's model.

    SpikeInput --flag----> Dense --a0--> PhaseNeurons --flag----> Dense --a0--> ... --> FirstSpikeReadout
               --payload-> Dense --a1-->              --payload-> Dense --a1-->
               --square--> Dense --a2-->              --square--> Dense --a2-->

The third way is there where the population uses the second moment of lateness.
A Dense holds back what it computes for one step, which is the delay of a synapse.  Copies of the network lie side by
side (block-diagonal weights) and take one sample each; further samples follow in further rounds.
"""

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from numpy.typing import NDArray

from qif2hw.engine import spec
from qif2hw.ir.program import ProgramPopulation, TimeGrid
from qif2hw_lava.arithmetic import Int
from qif2hw_lava.processes.guarded import GuardedModel
from qif2hw_lava.record import FirstSpikes, spike_record


class SpikeInput(AbstractProcess):
    """One input group: in machine step ``n`` of a round, channel ``j`` sends

        flag_j = [step_in_j = n]        payload_j = flag_j late_in_j

    that is, one spike per sample with its lateness as payload, both in one as ``message``, and its `spec.square`.
    By ``before`` and ``after`` input groups are strung together: Lava runs what is connected.

    Parameters
    ----------
    name
        Name of this Process.
    packed_bits
        Bits of the message below the flag.
    grid
        The program's.
    step_in, late_in
        Step and lateness of every spike, (rounds, copies * channels).
    common
        ``job``, ``steps``, ``rounds``, ``copies``.
    """  # noqa: D400

    def __init__(
        self, *, name: str, packed_bits: int, grid: TimeGrid, step_in: Int, late_in: Int, common: dict[str, Any]
    ) -> None:
        super().__init__(name=name, packed_bits=packed_bits, grid=grid, step_in=step_in, late_in=late_in, **common)
        self.flag = OutPort(shape=step_in.shape[1:])
        self.payload = OutPort(shape=step_in.shape[1:])
        self.message = OutPort(shape=step_in.shape[1:])
        self.square = OutPort(shape=step_in.shape[1:])
        self.before = InPort(shape=(1,))
        self.after = OutPort(shape=(1,))


@implements(proc=SpikeInput, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySpikeInput(GuardedModel):
    """Sends what the host encoded."""

    flag: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=1)
    payload: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=8)
    message: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    square: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    before: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=1)
    after: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=1)

    def step(self, current: int, n: int) -> None:
        """Flags of the channels whose step this is, and their lateness."""
        self.after.send(self.before.recv())
        flag = (self.proc_params["step_in"][current] == n).astype(np.int64)
        late = flag * self.proc_params["late_in"][current]
        self.flag.send(flag.astype(np.int32))
        self.payload.send(late.astype(np.int32))
        self.message.send(spec.pack(flag, late, self.proc_params["packed_bits"]).astype(np.int32))
        self.square.send(spec.square(flag, late, self.proc_params["grid"]).astype(np.int32))


class PhaseNeurons(AbstractProcess):
    """A population of QIF neurons.

    Every machine step it takes the sums ``a0`` (weights of arriving spikes), ``a1`` (weights times payloads; or both
    in one, where the program packs them) and ``a2`` (weights times squares, where it uses them), does
    `qif2hw.engine.spec.step` and sends a flag, a payload and its square per neuron: the lateness of a spike, or, once,
    the phase at the trial's end.  Leaves all its spikes in ``file``.

    Parameters
    ----------
    population, grid
        The program's.
    file
        Name of the file it leaves; None: it leaves none.
    packed_bits
        Bits of the message it sends below the flag; how it is spoken to, the population says.
    common
        ``job``, ``steps``, ``rounds``, ``copies``; ``keep`` and ``samples``, see `qif2hw_lava.record.spike_record`.
    lead
        Steps at the start of a round in which it stands still.

    Attributes
    ----------
    registers : Var
        The phase, or both coordinates of the plane vector, (registers, neurons of all copies).
    """

    def __init__(
        self,
        *,
        population: ProgramPopulation,
        grid: TimeGrid,
        file: str | None,
        packed_bits: int,
        common: dict[str, Any],
        lead: int = 0,
    ) -> None:
        parts = {"population": population, "grid": grid, "packed_bits": packed_bits, "lead": lead}
        super().__init__(name=population.name, file=file, **parts, **common)
        shape = (common["copies"] * population.size,)
        self.a0 = InPort(shape=shape)
        self.a1 = InPort(shape=shape)
        self.a2 = InPort(shape=shape)
        self.flag = OutPort(shape=shape)
        self.payload = OutPort(shape=shape)
        self.message = OutPort(shape=shape)
        self.square = OutPort(shape=shape)
        first = np.tile(spec.start(population, grid), common["copies"])
        self.registers = Var(shape=first.shape, init=first)


@implements(proc=PhaseNeurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyPhaseNeurons(GuardedModel):
    """The specification itself, between ports."""

    a0: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64, precision=24)
    a1: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64, precision=24)
    a2: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64, precision=24)
    flag: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=1)
    payload: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    message: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    square: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    registers: NDArray[Any] = LavaPyType(np.ndarray, np.int32, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.population: ProgramPopulation = proc_params["population"]
        self.grid: TimeGrid = proc_params["grid"]
        self.copies: int = proc_params["copies"]
        self.lead: int = proc_params["lead"]
        self.file: str | None = proc_params["file"]
        if self.file is not None:
            self.spikes = spike_record(proc_params["keep"], proc_params["samples"], self.population.size)

    def reset(self, current: int) -> None:
        """Initial registers."""
        self.registers[:] = np.tile(spec.start(self.population, self.grid), self.copies)

    def step(self, current: int, n: int) -> None:
        """Take the sums, send flags and what belongs to them."""
        n -= self.lead
        a0, a1, a2 = self.a0.recv(), self.a1.recv(), self.a2.recv()
        if n <= 1:
            # The synapses still hold what the last step of the round before sent.
            a0, a1, a2 = np.zeros_like(a0), np.zeros_like(a1), np.zeros_like(a2)
        local = n - self.population.depth
        if self.population.message_bits is not None and local <= self.grid.trial_steps:
            a0, a1 = spec.sums(self.population, a0, a1)
        state = self.registers.astype(np.int64)
        if n < 1:
            sent = spec.Sent(state, np.zeros_like(a0), np.zeros_like(a0))
        else:
            sent = spec.step(self.population, self.grid, local, state, a0, a1, a2)
        self.registers[:] = sent.state
        self.flag.send(sent.flag.astype(np.int32))
        self.payload.send(sent.payload.astype(np.int32))
        self.message.send(spec.pack(sent.flag, sent.payload, self.proc_params["packed_bits"]).astype(np.int32))
        self.square.send(spec.square(sent.flag, sent.payload, self.grid).astype(np.int32))
        if self.file is not None:
            flag, payload = (values.reshape(self.copies, -1) for values in (sent.flag, sent.payload))
            self.spikes.add(current * self.copies, n, flag, payload)

    def deliver(self) -> None:
        """All spikes, or their counts."""
        if self.file is not None:
            self.save(self.file, self.spikes.arrays())


class FirstSpikeReadout(AbstractProcess):
    """Keeps, for every neuron of one population and every sample, what the result is decoded from.

    That is the step and the lateness of its first spike, and its phase in the flush step.  Connected without
    synapses: what is sent in a step is read in the same step.

    Parameters
    ----------
    name
        Name of this Process.
    size
        Neurons of the population.
    file
        Name of the file it leaves.
    common
        ``job``, ``steps``, ``rounds``, ``copies``.
    """

    def __init__(self, *, name: str, size: int, file: str, common: dict[str, Any]) -> None:
        super().__init__(name=name, file=file, size=size, **common)
        self.flag = InPort(shape=(common["copies"] * size,))
        self.payload = InPort(shape=(common["copies"] * size,))


@implements(proc=FirstSpikeReadout, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyFirstSpikeReadout(GuardedModel):
    """Writes down what arrives."""

    flag: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=1)
    payload: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.shape = (proc_params["copies"], proc_params["size"])
        self.first = FirstSpikes(self.rounds, *self.shape)

    def step(self, current: int, n: int) -> None:
        """Note new first spikes."""
        self.first.add(current, n, self.flag.recv().reshape(self.shape), self.payload.recv().reshape(self.shape))

    def deliver(self) -> None:
        """First spikes and flushes."""
        self.save(self.proc_params["file"], self.first.arrays())
