"""The QIF neuron in steps as a Process by itself, for graphs that users build, as Lava's LIF is."""

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from numpy.typing import ArrayLike, NDArray

from qif2hw.engine.stepped import spec
from qif2hw.ir.stepped_program import EulerStep, PlaneStep, SteppedProgramPopulation


class DiscreteQIF(AbstractProcess):
    """QIF neurons in discrete time; in every step `qif2hw.engine.stepped.spec.step`.

    Their input is ``(a_in + bias) << state_exp`` units of the potential.

    Parameters
    ----------
    shape
        Of the neurons.
    arithmetic
        Their integers, for one channel.
    bias
        Added to what arrives in every step; broadcast to ``shape``.
    state_exp
        Left shift from sums of weights to units of the potential.
    reset_interval, reset_offset
        As of Lava's LIFReset: neurons are reset before the steps that equal the offset, modulo the interval; 0: never.

    Attributes
    ----------
    a_in : InPort
        Sums of weights.
    s_out : OutPort
        Spikes 0 and 1.
    registers : Var
        (registers, neurons).
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        arithmetic: PlaneStep | EulerStep,
        bias: ArrayLike = 0,
        state_exp: int = 6,
        reset_interval: int = 0,
        reset_offset: int = 0,
        name: str | None = None,
    ) -> None:
        shape = tuple(int(n) for n in shape)
        population = SteppedProgramPopulation(
            "neurons", (1, 1, int(np.prod(shape))), arithmetic, np.zeros(1, np.int32), np.ones(1)
        )
        super().__init__(
            shape=shape, population=population, state_exp=state_exp, reset_interval=reset_interval,
            reset_offset=reset_offset, name=name,
        )  # fmt: skip
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        first = spec.start(population)
        self.registers = Var(shape=first.shape, init=first)
        self.bias = Var(shape=shape, init=np.broadcast_to(np.asarray(bias, np.int64), shape).copy())


@implements(proc=DiscreteQIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyDiscreteQIF(PyLoihiProcessModel):
    """The specification itself, between ports."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64, precision=24)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=1)
    registers: NDArray[Any] = LavaPyType(np.ndarray, np.int64)
    bias: NDArray[Any] = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.population: SteppedProgramPopulation = proc_params["population"]
        self.state_exp: int = proc_params["state_exp"]
        self.interval: int = proc_params["reset_interval"]
        self.offset: int = proc_params["reset_offset"]

    def run_spk(self) -> None:
        """Reset if it is time, take the sums, send spikes."""
        x = (self.a_in.recv() + self.bias) << self.state_exp
        if self.interval and (self.time_step - self.offset) % self.interval == 0:
            self.registers[:] = spec.start(self.population)
        state, spikes = spec.step(self.population, self.registers[:, None], x.reshape(1, -1))
        self.registers[:] = state[:, 0]
        self.s_out.send(spikes.reshape(x.shape).astype(np.int32))
