"""Between the host and the chip: the adapters of Intel's extension, or nothing on Lava's CPU simulator."""

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.model.sub.model import AbstractSubProcessModel
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from qif2hw_lava.processes.guarded import GuardedModel

MESSAGE_BITS = 24
"""Of a graded spike."""


class InAdapter(AbstractProcess):
    """Hands words of the host on to the chip.

    Parameters
    ----------
    name
        Name of this Process.
    size
        Width of both ports.
    common
        ``job``, ``steps``, ``rounds``, ``copies``.
    """

    def __init__(self, *, name: str, size: int, common: dict[str, Any]) -> None:
        super().__init__(name=name, size=size, **common)
        self.word = InPort(shape=(size,))
        self.out = OutPort(shape=(size,))


@implements(proc=InAdapter, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyInAdapter(GuardedModel):
    """On the CPU: the same words, in the same step."""

    word: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)

    def step(self, current: int, n: int) -> None:
        """Hand on."""
        self.out.send(self.word.recv())


@implements(proc=InAdapter, protocol=LoihiProtocol)
class NxInAdapter(AbstractSubProcessModel):
    """On hardware: ``PyToNxAdapter`` of the extension."""

    def __init__(self, process: AbstractProcess) -> None:
        from lava.proc.embedded_io.spike import PyToNxAdapter

        self.adapter = PyToNxAdapter(shape=process.word.shape, num_message_bits=MESSAGE_BITS)
        process.word.connect(self.adapter.inp)
        self.adapter.out.connect(process.out)


class OutAdapter(AbstractProcess):
    """Hands messages of the chip on to the host.

    Parameters
    ----------
    name
        Name of this Process.
    size
        Width of both ports.
    common
        ``job``, ``steps``, ``rounds``, ``copies``.
    """

    def __init__(self, *, name: str, size: int, common: dict[str, Any]) -> None:
        super().__init__(name=name, size=size, **common)
        self.message = InPort(shape=(size,))
        self.out = OutPort(shape=(size,))


@implements(proc=OutAdapter, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyOutAdapter(GuardedModel):
    """On the CPU: the same messages, in the same step."""

    message: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)

    def step(self, current: int, n: int) -> None:
        """Hand on."""
        self.out.send(self.message.recv())


@implements(proc=OutAdapter, protocol=LoihiProtocol)
class NxOutAdapter(AbstractSubProcessModel):
    """On hardware: ``NxToPyAdapter`` of the extension."""

    def __init__(self, process: AbstractProcess) -> None:
        from lava.proc.embedded_io.spike import NxToPyAdapter

        self.adapter = NxToPyAdapter(shape=process.message.shape, num_message_bits=MESSAGE_BITS)
        process.message.connect(self.adapter.inp)
        self.adapter.out.connect(process.out)
