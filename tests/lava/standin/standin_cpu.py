"""What models for neuro cores have in common here: a Process like theirs, with a model for the CPU."""

from typing import Any

from lava.magma.core.model.nc.model import AbstractNcProcessModel
from lava.magma.core.model.sub.model import AbstractSubProcessModel
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var


class OnCpu(AbstractProcess):
    """A Process with the ports, variables and parameters of another."""

    def __init__(self, process: Any) -> None:
        super().__init__(**process.proc_params._parameters)
        for port in process.in_ports:
            setattr(self, port.name, InPort(shape=port.shape))
        for port in process.out_ports:
            setattr(self, port.name, OutPort(shape=port.shape))
        for var in process.vars:
            setattr(self, var.name, Var(shape=var.shape, init=var.init))


class RunsOnCpu(AbstractNcProcessModel, AbstractSubProcessModel):
    """A model for neuro cores that puts ``cpu``, a class of Processes, in the place of the Process it implements."""

    cpu: Any = None

    def __init__(self, process: Any) -> None:
        self.core = self.cpu(process)
        for port in process.in_ports:
            if port.in_connections:
                port.connect(getattr(self.core, port.name))
        for port in process.out_ports:
            if port.out_connections:
                getattr(self.core, port.name).connect(port)
