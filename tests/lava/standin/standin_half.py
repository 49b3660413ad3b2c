"""Stand-in for the vendor's half: the models for neuro cores run those for the CPU."""

import os

from lava.magma.core.decorator import implements, requires
from lava.magma.core.model.nc.model import AbstractNcProcessModel
from lava.magma.core.resources import Loihi2NeuroCore
from standin_cpu import OnCpu

from qif2hw_deploy.loihi2.processes.chip import (
    CountdownInput,
    FirstSpikeLatch,
    PyCountdownInput,
    PyFirstSpikeLatch,
)
from qif2hw_lava.processes.modular import PhaseNeurons, PyPhaseNeurons


class CpuInput(OnCpu):
    """Inputs on the CPU."""


class PyCpuInput(PyCountdownInput):
    """The adapter's own model."""

    implements_process = CpuInput


class CpuNeurons(OnCpu):
    """Neurons on the CPU."""


class PyCpuNeurons(PyPhaseNeurons):
    """The adapter's own model."""

    implements_process = CpuNeurons


class CpuLatch(OnCpu):
    """Latches on the CPU."""


class PyCpuLatch(PyFirstSpikeLatch):
    """The adapter's own model."""

    implements_process = CpuLatch


@implements(proc=CountdownInput)
@requires(Loihi2NeuroCore)
class NcInput(AbstractNcProcessModel):
    """Inputs."""

    cpu = CpuInput


@implements(proc=PhaseNeurons)
@requires(Loihi2NeuroCore)
class NcNeurons(AbstractNcProcessModel):
    """Neurons."""

    cpu = CpuNeurons


@implements(proc=FirstSpikeLatch)
@requires(Loihi2NeuroCore)
class NcLatch(AbstractNcProcessModel):
    """Latches."""

    cpu = CpuLatch


class Half:
    """The vendor's half."""

    input_delay = output_delay = int(os.environ.get("STANDIN_DELAY", "0"))

    def models(self) -> dict[type, type]:
        """One model for every Process."""
        return {CountdownInput: NcInput, PhaseNeurons: NcNeurons, FirstSpikeLatch: NcLatch}
