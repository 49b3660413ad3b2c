"""Stand-in: a model for neuro cores is one that builds a Process for the CPU instead (`standin_cpu.OnCpu`)."""

from typing import Any

from lava.magma.core.model.sub.model import AbstractSubProcessModel


class AbstractNcProcessModel(AbstractSubProcessModel):
    """Puts ``cpu``, a class of Processes, in the place of the Process it implements."""

    cpu: Any = None

    def __init__(self, process: Any) -> None:
        self.core = self.cpu(process)
        for port in process.in_ports:
            if port.in_connections:
                port.connect(getattr(self.core, port.name))
        for port in process.out_ports:
            if port.out_connections:
                getattr(self.core, port.name).connect(port)
