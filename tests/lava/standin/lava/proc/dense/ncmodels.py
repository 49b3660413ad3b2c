"""Stand-in: the model for neuro cores runs Lava's own for the CPU."""

from lava.magma.core.decorator import implements, requires
from lava.magma.core.resources import Loihi2NeuroCore
from lava.proc.dense.models import PyDenseModelBitAcc
from lava.proc.dense.process import Dense
from standin_cpu import OnCpu, RunsOnCpu


class CpuDense(OnCpu):
    """The synapses on the CPU."""


class PyCpuDense(PyDenseModelBitAcc):
    """Lava's own model, of another Process."""

    implements_process = CpuDense


@implements(proc=Dense)
@requires(Loihi2NeuroCore)
class NcModelDense(RunsOnCpu):
    """The synapses."""

    cpu = CpuDense
