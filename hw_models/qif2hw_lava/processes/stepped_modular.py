r"""A network with a stepped clock as a graph of Processes: synapses are Lava's own, the neurons between them ours.

    FrameInput --> Conv --> RoundedShift --> SteppedNeurons --+--> Dense --> SteppedNeurons (accumulators)
                                                              +--> Delay --> Conv --> ...

A synapse takes a step, so a population ``k`` layers from the inputs runs ``k`` steps behind: what would arrive before
its step is held back by a `Delay`.  A `RoundedShift` stands where the exponent of a projection is negative.  Every
sample takes a round of its own, in which all populations finish; what they send outside of their steps is nothing.
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

from qif2hw.engine.stepped import spec
from qif2hw.ir.stepped_program import SteppedProgramPopulation
from qif2hw_lava.processes.guarded import GuardedModel


class FrameInput(AbstractProcess):
    """One input group: sends its values in the first ``time_steps`` steps of a round, then nothing.

    Parameters
    ----------
    name
        Name of this Process.
    values
        (samples, 1 or time steps, inputs).
    common
        ``job``, ``steps``, ``rounds``, ``time_steps``.
    """

    def __init__(self, *, name: str, values: NDArray[np.int32], common: dict[str, Any]) -> None:
        super().__init__(name=name, values=values, **common)
        self.s_out = OutPort(shape=values.shape[2:])


@implements(proc=FrameInput, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyFrameInput(GuardedModel):
    """Sends what the host encoded."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)

    def step(self, current: int, n: int) -> None:
        """The frame of step ``n``."""
        frames = self.proc_params["values"][current]
        frame = frames[min(n, len(frames)) - 1]
        self.s_out.send(frame * np.int32(n <= self.proc_params["time_steps"]))


class SteppedNeurons(AbstractProcess):
    """A population of neurons in discrete time, or of accumulators.

    In the steps ``depth + 1 .. depth + time_steps`` of a round it takes the sum of weights, adds its bias, does
    `qif2hw.engine.stepped.spec.step` and sends spikes 0 and 1.  After each round it leaves what
    `qif2hw_lava.processes.stepped.SteppedNetwork` leaves for a population.

    Parameters
    ----------
    population
        The program's.
    depth
        Synapses between it and the inputs.
    file
        Name of the files it leaves, without the round.
    common
        ``job``, ``steps``, ``rounds``, ``time_steps``.

    Attributes
    ----------
    registers : Var
        (registers, neurons).
    """

    def __init__(self, *, population: SteppedProgramPopulation, depth: int, file: str, common: dict[str, Any]) -> None:
        super().__init__(name=population.name, population=population, depth=depth, file=file, **common)
        self.a_in = InPort(shape=(population.size,))
        self.s_out = OutPort(shape=(population.size,))
        first = spec.start(population)
        self.registers = Var(shape=first.shape, init=first)


@implements(proc=SteppedNeurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySteppedNeurons(GuardedModel):
    """The specification itself, between ports."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64, precision=24)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=1)
    registers: NDArray[Any] = LavaPyType(np.ndarray, np.int32, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.population: SteppedProgramPopulation = proc_params["population"]
        self.bias = self.population.of_neurons(self.population.bias)

    def reset(self, current: int) -> None:
        """The reset state."""
        self.registers[:] = spec.start(self.population)
        self.spikes: list[NDArray[np.uint8]] = []

    def step(self, current: int, n: int) -> None:
        """Take the sums, send spikes."""
        arrived, local = self.a_in.recv(), n - self.proc_params["depth"]
        spikes = np.zeros_like(arrived)
        if 1 <= local <= self.proc_params["time_steps"]:
            state = self.registers.astype(np.int64)[:, None]
            state, (spikes,) = spec.step(self.population, state, (self.bias + arrived)[None])
            self.registers[:] = state[:, 0]
            self.spikes.append(np.packbits(spikes > 0))
        self.s_out.send(spikes.astype(np.int32))
        if n == self.steps:
            kept = np.stack(self.spikes) if self.population.spiking else self.registers[0]
            self.save(f"{self.proc_params['file']}-{current}", {"kept": kept[None]})


class Delay(AbstractProcess):
    """Holds back what arrives for ``delay`` steps; nothing of it reaches the next round.

    Parameters
    ----------
    delay
        Number of steps, for each source.
    common
        ``job``, ``steps``, ``rounds``.
    """

    def __init__(self, *, name: str, delay: NDArray[np.int32], common: dict[str, Any]) -> None:
        super().__init__(name=name, delay=delay, **common)
        self.s_in = InPort(shape=delay.shape)
        self.s_out = OutPort(shape=delay.shape)


@implements(proc=Delay, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyDelay(GuardedModel):
    """A ring of as many steps as the longest delay, and this one."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.delay = proc_params["delay"]

    def reset(self, current: int) -> None:
        """Nothing has arrived."""
        self.ring = np.zeros((self.delay.max() + 1, self.delay.size), np.int32)

    def step(self, current: int, n: int) -> None:
        """What arrived ``delay`` steps ago."""
        self.ring[n % len(self.ring)] = self.s_in.recv()
        self.s_out.send(self.ring[(n - self.delay) % len(self.ring), np.arange(self.delay.size)])


class RoundedShift(AbstractProcess):
    """Sums of a projection in units of the potential: ``floor(a / 2^bits + 1/2)``, in the same step.

    Parameters
    ----------
    size
        Width of its ports.
    bits
        From 1.
    common
        ``job``, ``steps``, ``rounds``.
    """

    def __init__(self, *, name: str, size: int, bits: int, common: dict[str, Any]) -> None:
        super().__init__(name=name, bits=bits, **common)
        self.a_in = InPort(shape=(size,))
        self.a_out = OutPort(shape=(size,))


@implements(proc=RoundedShift, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyRoundedShift(GuardedModel):
    """The shift of the specification."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64, precision=24)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)

    def step(self, current: int, n: int) -> None:
        """Shift what arrives."""
        self.a_out.send(spec.shifted(self.a_in.recv(), -self.proc_params["bits"]).astype(np.int32))
