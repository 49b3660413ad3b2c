"""The host's Processes: they write the inputs of each sample once, and read its outputs once."""

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from qif2hw.ir.program import TimeGrid
from qif2hw_lava.arithmetic import Int
from qif2hw_lava.processes.guarded import GuardedModel
from qif2hw_lava.record import SpikeLog


class SampleSource(AbstractProcess):
    """Sends the words of one input group in the first step of every round, then nothing.

    By ``before`` and ``after`` input groups are strung together: Lava runs what is connected.

    Parameters
    ----------
    name
        Name of this Process.
    words
        (rounds, copies * channels), see `qif2hw_deploy.loihi2.rounds`.
    common
        ``job``, ``steps``, ``rounds``, ``copies``.
    """

    def __init__(self, *, name: str, words: Int, common: dict[str, Any]) -> None:
        super().__init__(name=name, words=words, **common)
        self.word = OutPort(shape=words.shape[1:])
        self.before = InPort(shape=(1,))
        self.after = OutPort(shape=(1,))


@implements(proc=SampleSource, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySampleSource(GuardedModel):
    """Runs on the host, whatever runs the rest."""

    word: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)

    before: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=1)
    after: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=1)

    def step(self, current: int, n: int) -> None:
        """The words of this round, once."""
        self.after.send(self.before.recv())
        words = self.proc_params["words"][current]
        self.word.send((words if n == 1 else np.zeros_like(words)).astype(np.int32))


class SampleSink(AbstractProcess):
    """Takes the two words that the latch of an output population sends in every round.

    Leaves step, lateness and flush of every neuron, as `qif2hw_lava.record.FirstSpikes` does.

    Parameters
    ----------
    name
        Name of this Process.
    file
        Name of the file it leaves.
    size
        Neurons of the population.
    grid
        The program's.
    arrives
        Step of a round in which the first word arrives.
    common
        ``job``, ``steps``, ``rounds``, ``copies``.
    """

    def __init__(
        self, *, name: str, file: str, size: int, grid: TimeGrid, arrives: int, common: dict[str, Any]
    ) -> None:
        super().__init__(name=name, file=file, size=size, grid=grid, arrives=arrives, **common)
        self.word = InPort(shape=(common["copies"] * size,))


@implements(proc=SampleSink, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySampleSink(GuardedModel):
    """Runs on the host, whatever runs the rest."""

    word: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.first: list[Int] = []
        self.flush: list[Int] = []

    def step(self, current: int, n: int) -> None:
        """Keep what arrives in two steps of a round."""
        word = self.word.recv().astype(np.int64)
        if n == self.proc_params["arrives"]:
            self.first.append(word)
        if n == self.proc_params["arrives"] + 1:
            self.flush.append(word)

    def deliver(self) -> None:
        """First spikes and flushes."""
        grid: TimeGrid = self.proc_params["grid"]
        shape = (-1, self.proc_params["size"])
        first, flush = (np.stack(words).reshape(shape) for words in (self.first, self.flush))
        arrays = {
            "step": np.where(first > 0, first >> grid.lateness_bits, -1),
            "lateness": first & (grid.ticks - 1),
            "flush": flush,
        }
        self.save(self.proc_params["file"], arrays)


class SpikeRecorder(AbstractProcess):
    """Takes the messages of a population in every step, and leaves all its spikes.

    Parameters
    ----------
    name
        Name of this Process.
    file
        Name of the file it leaves.
    delay
        Steps that a message is on its way.
    clock
        ``depth``, ``size``, ``packed_bits`` of the population; ``grid``; ``lead``.
    common
        ``job``, ``steps``, ``rounds``, ``copies``.
    """

    def __init__(self, *, name: str, file: str, delay: int, clock: dict[str, Any], common: dict[str, Any]) -> None:
        super().__init__(name=name, file=file, delay=delay, **clock, **common)
        self.message = InPort(shape=(common["copies"] * clock["size"],))


@implements(proc=SpikeRecorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySpikeRecorder(GuardedModel):
    """Runs on the host, whatever runs the rest."""

    message: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.spikes = SpikeLog()

    def step(self, current: int, n: int) -> None:
        """Note the spikes of the step in which the message was sent."""
        message = self.message.recv().astype(np.int64)
        sent = n - self.proc_params["delay"] - self.proc_params["lead"]
        local = sent - self.proc_params["depth"]
        if sent >= 1 and local <= self.proc_params["grid"].trial_steps:
            copies = self.proc_params["copies"]
            late = np.where(message > 0, message - (1 << self.proc_params["packed_bits"]), 0)
            flag, payload = ((a.reshape(copies, -1)) for a in (message > 0, late))
            self.spikes.add(current * copies, sent, flag, payload)

    def deliver(self) -> None:
        """All spikes."""
        self.save(self.proc_params["file"], self.spikes.arrays())
