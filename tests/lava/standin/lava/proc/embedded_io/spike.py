"""Stand-in: adapters between host and chip that take ``STANDIN_DELAY`` steps."""

import os
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class PyToNxAdapter(AbstractProcess):
    """From the host to the chip."""

    def __init__(self, shape: tuple[int, ...], num_message_bits: int = 0) -> None:
        super().__init__(shape=shape, num_message_bits=num_message_bits)
        self.inp = InPort(shape=shape)
        self.out = OutPort(shape=shape)


class NxToPyAdapter(AbstractProcess):
    """From the chip to the host."""

    def __init__(self, shape: tuple[int, ...], num_message_bits: int = 0) -> None:
        super().__init__(shape=shape, num_message_bits=num_message_bits)
        self.inp = InPort(shape=shape)
        self.out = OutPort(shape=shape)


class _Adapter(PyLoihiProcessModel):
    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        assert proc_params["num_message_bits"] == 24
        delay = int(os.environ.get("STANDIN_DELAY", "0"))
        self.waiting = [np.zeros(proc_params["shape"], np.int32)] * delay

    def run_spk(self) -> None:
        got = self.inp.recv()
        assert (np.abs(got) < 1 << 23).all()
        self.waiting.append(got)
        self.out.send(self.waiting.pop(0))


@implements(proc=PyToNxAdapter, protocol=LoihiProtocol)
@requires(CPU)
class PyPyToNxAdapter(_Adapter):
    """Words, some steps later."""


@implements(proc=NxToPyAdapter, protocol=LoihiProtocol)
@requires(CPU)
class PyNxToPyAdapter(_Adapter):
    """Messages, some steps later."""
