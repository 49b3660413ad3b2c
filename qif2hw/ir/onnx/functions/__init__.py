"""The operators of event-driven networks as ONNX functions of standard operators: what makes a ``model.onnx`` execute.

A new kind of synapses or of readouts is one function here, listed in `FUNCTIONS`: its first input, ``phase`` or
``first``, says where it belongs, and `qif2hw.ir.onnx.execute` puts it there.
"""

from onnx import FunctionProto

from qif2hw.ir.onnx.functions.encode import ENCODE
from qif2hw.ir.onnx.functions.in_range import IN_RANGE
from qif2hw.ir.onnx.functions.qif import FIRST_SPIKES, QIF, SPIKES
from qif2hw.ir.onnx.functions.readouts import FIRST_SPIKE_DIFFERENCE, PRODUCT
from qif2hw.ir.onnx.functions.synapses import JOIN, SPARSE_SYNAPSES, SYNAPSES

_ALL = (
    *(ENCODE, SYNAPSES, SPARSE_SYNAPSES, JOIN),
    *(QIF, SPIKES, FIRST_SPIKES),
    *(FIRST_SPIKE_DIFFERENCE, PRODUCT, IN_RANGE),
)

FUNCTIONS: dict[str, FunctionProto] = {one.name: one for one in _ALL}
"""The functions by operator."""

__all__ = ["FUNCTIONS"]
