"""The operators of networks as ONNX functions of standard operators: what makes a ``model.onnx`` execute.

A new kind of synapses, of neurons or of readouts is one function here, listed in `TRIAL` or `STEPPED`.  The first input
of a function of event-driven networks, ``phase`` or ``first``, says where `qif2hw.ir.onnx.execute_trial` puts it.
"""

from onnx import FunctionProto

from qif2hw.ir.onnx.functions import stepped, stepped_synapses, trial_synapses
from qif2hw.ir.onnx.functions.encode import ENCODE
from qif2hw.ir.onnx.functions.in_range import IN_RANGE
from qif2hw.ir.onnx.functions.qif import FIRST_SPIKES, QIF, SPIKES
from qif2hw.ir.onnx.functions.readouts import FIRST_SPIKE, FIRST_SPIKE_DIFFERENCE, PRODUCT


def _by_name(*functions: FunctionProto) -> dict[str, FunctionProto]:
    return {one.name: one for one in functions}


TRIAL = _by_name(
    ENCODE,
    trial_synapses.SYNAPSES,
    trial_synapses.SPARSE_SYNAPSES,
    trial_synapses.CONV_SYNAPSES,
    trial_synapses.JOIN,
    QIF,
    SPIKES,
    FIRST_SPIKES,
    FIRST_SPIKE,
    FIRST_SPIKE_DIFFERENCE,
    PRODUCT,
    IN_RANGE,
)
"""The functions of event-driven networks, by operator."""

STEPPED = _by_name(
    stepped.FRAMES,
    stepped.FRAMES_ON_GRID,
    stepped_synapses.DELAY,
    stepped_synapses.SYNAPSES,
    stepped_synapses.SPARSE_SYNAPSES,
    stepped_synapses.CONV_SYNAPSES,
    stepped.STEPPED_QIF,
    stepped.STEPPED_LIF,
    stepped.STEPPED_SYNAPTIC,
    stepped.SYNAPTIC_POTENTIAL,
    stepped.STEPPED_CUBA,
    stepped.CUBA_VOLTAGE,
    stepped.ACCUMULATOR,
    stepped.ACCUMULATED,
    stepped.FRAMES_IN_RANGE,
)
"""The functions of networks in time steps, by operator."""

__all__ = ["STEPPED", "TRIAL"]
