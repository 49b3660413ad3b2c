"""Networks in time steps that execute.

==================  =================================================================================
plain               executable
==================  =================================================================================
Frames              the same; on a grid, FramesOnGrid
Delay               the same, with the attribute ``time_steps``
population of       the same of their sum, and for QIF and LIF neurons of the six numbers of their step,
  bias, kicks ...   `qif2hw.discrete.Relaxation`; without a threshold, a function of its own
y                   InRange of it and of every input -> y: NaN where an input is out of range
==================  =================================================================================

Inputs are (samples, 1 or time steps, ...).
"""

from collections.abc import Iterable, Sequence

import numpy as np
from onnx import AttributeProto, NodeProto, helper, numpy_helper

from qif2hw.discrete import SteppedLIF, SteppedQIF
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.onnx.execute import Form, changed
from qif2hw.ir.onnx.functions import STEPPED
from qif2hw.ir.onnx.functions.body import DOMAIN
from qif2hw.ir.stepped import SteppedNetwork

_NUMBERED = ("SteppedQIF", "SteppedLIF")
"""Neurons of whose step the numbers are an input."""
_SILENT = {"SteppedCUBA": "SteppedCUBAVoltage", "SteppedSynaptic": "SteppedSynapticPotential"}
"""Functions of neurons that never spike."""
_POPULATIONS = (*_NUMBERED, *_SILENT, *_SILENT.values(), "Accumulator")
_PLAIN = {"FramesOnGrid": "Frames"} | {function: op for op, function in _SILENT.items()}


def _executable(nodes: Sequence[NodeProto]) -> list[NodeProto]:
    made: list[NodeProto] = []
    steps = [a.i for node in nodes for a in node.attribute if a.name == "time_steps"][:1]
    for node in nodes:
        attributes = {a.name: a for a in node.attribute}
        if node.domain != DOMAIN:
            made.append(changed(node, node.input, node.output))
        elif node.op_type == "Frames":
            made.append(changed(node, node.input, node.output, "FramesOnGrid" if "unit" in attributes else None))
        elif node.op_type == "Delay":
            late = changed(node, node.input, node.output)
            late.attribute.extend(AttributeProto(name="time_steps", type=AttributeProto.INT, i=one) for one in steps)
            made.append(late)
        elif node.op_type in _POPULATIONS:
            kicks, name = list(node.input[1:]), node.output[0]
            if len(kicks) != 1:
                together = f"kicks:{name}"
                made.append(helper.make_node("Sum", kicks, [together]))
                kicks = [together]
            numbers = [f"step:{node.name}"] if node.op_type in _NUMBERED else []
            op = _SILENT.get(node.op_type) if _never_spikes(attributes) else None
            made.append(changed(node, [*node.input[:1], *kicks, *numbers], node.output, op))
        else:
            made.append(changed(node, node.input, node.output))
    return made


def _never_spikes(attributes: dict[str, AttributeProto]) -> bool:
    threshold = attributes.get("threshold")
    if threshold is None or threshold.type == AttributeProto.INTS:
        return threshold is None or not threshold.ints
    return bool(np.isinf(numpy_helper.to_array(threshold.t)).any())


def _plain(nodes: Iterable[NodeProto]) -> list[NodeProto]:
    made: list[NodeProto] = []
    sums: dict[str, list[str]] = {}
    for node in nodes:
        if node.domain != DOMAIN and node.op_type == "Sum" and len(node.output) == 1:
            sums[node.output[0]] = list(node.input)
            continue
        inputs = list(node.input)
        if node.domain == DOMAIN and node.op_type in _POPULATIONS:
            inputs = [*inputs[:1], *(one for kick in inputs[1:2] for one in sums.get(kick, [kick]))]
        plain = changed(node, inputs, node.output)
        if node.domain == DOMAIN:
            plain.op_type = _PLAIN.get(node.op_type, node.op_type)
        if node.domain == DOMAIN and node.op_type == "Delay":
            del plain.attribute[:]
        made.append(plain)
    return made


def _ranges(network: SteppedNetwork) -> dict[str, dict[str, FloatArray]]:
    """The least and largest value of each group, and 1 if they must be whole."""
    found = {}
    for e in network.encoders:
        largest = np.array(np.finfo(np.float64).max if e.unit is None else e.largest)
        whole = np.array(float(e.unit == 1))
        found[f"x:{e.name}"] = {"low": -largest, "high": largest, "whole": whole}
    return found


def _numbers(network: SteppedNetwork) -> dict[str, FloatArray]:
    return {
        f"step:{p.name}": np.array(p.neuron.relaxation)
        for p in network.populations
        if isinstance(p.neuron, SteppedQIF | SteppedLIF)
    }


STEPPED_FORM = Form(STEPPED, ("Frames", "FramesOnGrid", *_POPULATIONS), _executable, _plain, _ranges, _numbers)
"""How networks in time steps execute."""
