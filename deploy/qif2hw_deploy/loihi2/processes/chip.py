"""What stands on the chip besides neurons and synapses: one-shot inputs, and latches that hold the outputs.

The models here are for Lava's CPU simulator, and say what one for neuro cores has to do.
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
from qif2hw.ir.program import TimeGrid
from qif2hw_lava.processes.guarded import GuardedModel


class CountdownInput(AbstractProcess):
    """Input neurons: one word, ``steps 2^lateness_bits + lateness``, makes each send one spike.

        on a word:   left = word >> lateness_bits,   late = word mod 2^lateness_bits
        each step:   if left = 1: send the spike, late as payload;   left = max(left - 1, 0)

    Sends like `qif2hw_lava.processes.modular.SpikeInput`: a flag, a payload, both packed as ``message``, the square.

    Parameters
    ----------
    name
        Name of this Process.
    size
        Channels of all copies.
    packed_bits
        Bits of the message below the flag.
    grid
        The program's.
    common
        ``job``, ``steps``, ``rounds``, ``copies``.

    Attributes
    ----------
    left, late : Var
        Steps to go, and lateness, (size,).
    """

    def __init__(self, *, name: str, size: int, packed_bits: int, grid: TimeGrid, common: dict[str, Any]) -> None:
        super().__init__(name=name, size=size, packed_bits=packed_bits, grid=grid, **common)
        self.word = InPort(shape=(size,))
        self.flag = OutPort(shape=(size,))
        self.payload = OutPort(shape=(size,))
        self.message = OutPort(shape=(size,))
        self.square = OutPort(shape=(size,))
        self.left = Var(shape=(size,), init=0)
        self.late = Var(shape=(size,), init=0)


@implements(proc=CountdownInput, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyCountdownInput(GuardedModel):
    """The rule above."""

    word: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    flag: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=1)
    payload: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    message: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    square: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    left: NDArray[Any] = LavaPyType(np.ndarray, np.int32, precision=24)
    late: NDArray[Any] = LavaPyType(np.ndarray, np.int32, precision=24)

    def step(self, current: int, n: int) -> None:
        """Take a word, count, send."""
        grid: TimeGrid = self.proc_params["grid"]
        word = self.word.recv()
        new = word > 0
        self.left[new] = word[new] >> grid.lateness_bits
        self.late[new] = word[new] & (grid.ticks - 1)
        flag = (self.left == 1).astype(np.int64)
        late = flag * self.late
        self.left[:] = np.maximum(self.left - 1, 0)
        self.flag.send(flag.astype(np.int32))
        self.payload.send(late.astype(np.int32))
        self.message.send(spec.pack(flag, late, self.proc_params["packed_bits"]).astype(np.int32))
        self.square.send(spec.square(flag, late, grid).astype(np.int32))


class FirstSpikeLatch(AbstractProcess):
    """Holds, for every neuron of an output population, its first spike and its flush, until both are sent at the end.

    With ``k`` the machine step in which the message was sent that arrives now, and ``m = k - depth``:

        m <= trial_steps, message > 0, nothing held:   first = k 2^lateness_bits + message - 2^packed_bits
        m = trial_steps + 1:                           flush = message
        in step ``sent`` of a round: send first;   in the next one: send flush;   then hold nothing

    Parameters
    ----------
    name
        Name of this Process.
    clock
        ``depth``, ``size``, ``packed_bits`` of the population; ``grid``; ``lead``, steps of a round before the first of
        the machine.
    sent
        The step of a round in which it sends ``first``.
    common
        ``job``, ``steps``, ``rounds``, ``copies``.

    Attributes
    ----------
    first, flush : Var
        What it holds, (neurons of all copies,).
    """

    def __init__(self, *, name: str, clock: dict[str, Any], sent: int, common: dict[str, Any]) -> None:
        super().__init__(name=name, sent=sent, **clock, **common)
        shape = (common["copies"] * clock["size"],)
        self.message = InPort(shape=shape)
        self.word = OutPort(shape=shape)
        self.first = Var(shape=shape, init=0)
        self.flush = Var(shape=shape, init=0)


@implements(proc=FirstSpikeLatch, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyFirstSpikeLatch(GuardedModel):
    """The rule above."""

    message: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    word: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    first: NDArray[Any] = LavaPyType(np.ndarray, np.int32, precision=24)
    flush: NDArray[Any] = LavaPyType(np.ndarray, np.int32, precision=24)

    def reset(self, current: int) -> None:
        """Hold nothing."""
        self.first[:] = 0
        self.flush[:] = 0

    def step(self, current: int, n: int) -> None:
        """Note what arrives, send what is held."""
        grid: TimeGrid = self.proc_params["grid"]
        message = self.message.recv()
        machine = n - 1 - self.proc_params["lead"]
        local = machine - self.proc_params["depth"]
        if machine >= 1 and local <= grid.trial_steps:
            new = (message > 0) & (self.first == 0)
            late = message[new] - (1 << self.proc_params["packed_bits"])
            self.first[new] = (machine << grid.lateness_bits) + late
        elif local == grid.trial_steps + 1:
            self.flush[:] = message
        sent = self.proc_params["sent"]
        held = self.first if n == sent else self.flush if n == sent + 1 else np.zeros_like(self.first)
        self.word.send(held.astype(np.int32))
