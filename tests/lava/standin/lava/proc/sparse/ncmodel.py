"""Stand-in: the model for neuro cores runs Lava's own for the CPU."""

from lava.magma.core.decorator import implements, requires
from lava.magma.core.resources import Loihi2NeuroCore
from lava.proc.sparse.models import PySparseModelBitAcc
from lava.proc.sparse.process import Sparse
from standin_cpu import OnCpu, RunsOnCpu


class CpuSparse(OnCpu):
    """The synapses on the CPU."""


class PyCpuSparse(PySparseModelBitAcc):
    """Lava's own model, of another Process."""

    implements_process = CpuSparse


@implements(proc=Sparse)
@requires(Loihi2NeuroCore)
class NcModelSparse(RunsOnCpu):
    """The synapses."""

    cpu = CpuSparse
