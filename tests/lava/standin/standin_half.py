"""Stand-in for the vendor's half: the models for neuro cores run those for the CPU."""

import os
from typing import Any

from lava.magma.core.decorator import implements, requires
from lava.magma.core.resources import Loihi2NeuroCore
from standin_cpu import OnCpu, RunsOnCpu

from qif2hw_deploy.loihi2.processes.chip import (
    CountdownInput,
    FirstSpikeLatch,
    PyCountdownInput,
    PyFirstSpikeLatch,
)
from qif2hw_lava.processes.modular import PhaseNeurons, PyPhaseNeurons

FAULT = os.environ.get("STANDIN_FAULT")
"""What the tests of failures ask for."""


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
    """The adapter's own model; with ``STANDIN_FAULT=step`` it fails."""

    implements_process = CpuLatch

    def step(self, current: int, n: int) -> None:
        """Fail in step 5."""
        if FAULT == "step" and n == 5:
            n //= 0
        super().step(current, n)


@implements(proc=CountdownInput)
@requires(Loihi2NeuroCore)
class NcInput(RunsOnCpu):
    """Inputs."""

    cpu = CpuInput


@implements(proc=PhaseNeurons)
@requires(Loihi2NeuroCore)
class NcNeurons(RunsOnCpu):
    """Neurons."""

    cpu = CpuNeurons


@implements(proc=FirstSpikeLatch)
@requires(Loihi2NeuroCore)
class NcLatch(RunsOnCpu):
    """Latches."""

    cpu = CpuLatch

    def __init__(self, process: Any) -> None:
        if FAULT == "build":
            raise OSError("the board is busy")
        super().__init__(process)


class Half:
    """The vendor's half."""

    input_delay = output_delay = int(os.environ.get("STANDIN_DELAY", "0"))

    def models(self) -> dict[type, type]:
        """One model for every Process."""
        return {CountdownInput: NcInput, PhaseNeurons: NcNeurons, FirstSpikeLatch: NcLatch}
