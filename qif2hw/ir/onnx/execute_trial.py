"""Event-driven networks that execute.

What one operator hands to the next is one value in the plain form and several here:

==================  ================================================================================
plain               executable
==================  ================================================================================
Encode -> spikes    Encode -> time, channel, phase
Synapses -> kicks   Synapses of the phase -> table, flush
QIF of kicks ...    QIF of time, channel, table, flush (several projections go through Join) -> trace,
  -> spikes         of which Spikes makes time, channel, phase, and FirstSpikes what is read out
y                   InRange of it and of every input -> y: NaN where an input is out of range
==================  ================================================================================
"""

from collections.abc import Iterable, Sequence

import numpy as np
from onnx import NodeProto

from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.network import Network
from qif2hw.ir.onnx.execute import Form, call, changed, parts
from qif2hw.ir.onnx.functions import TRIAL
from qif2hw.ir.onnx.functions.body import DOMAIN

SYNAPSES = tuple(op for op, function in TRIAL.items() if function.input[0] == "phase")
"""Operators of projections."""
READOUTS = tuple(op for op, function in TRIAL.items() if function.input[0] == "first")
"""Operators that read first spikes."""
_SPIKES = ("time", "channel", "phase")
_KICKS = ("table", "flush")
_TRACE = ("since", "until", "x", "y", "theta", "omega")
_ADDED = ("Join", "Spikes", "FirstSpikes")


def _executable(nodes: Sequence[NodeProto]) -> list[NodeProto]:
    made: list[NodeProto] = []
    source = {node.output[0]: node.input[0] for node in nodes if node.op_type in SYNAPSES and node.domain == DOMAIN}
    read = {node.input[0] for node in nodes if node.op_type in READOUTS and node.domain == DOMAIN}
    for node in nodes:
        if node.domain != DOMAIN:
            made.append(changed(node, node.input, node.output))
        elif node.op_type == "Encode":
            made.append(changed(node, node.input, parts(node.output[0], _SPIKES)))
        elif node.op_type in SYNAPSES:
            phase = f"{node.input[0]}:phase"
            made.append(changed(node, [phase, *node.input[1:]], parts(node.output[0], _KICKS)))
        elif node.op_type == "QIF":
            made += _population(node, source, read)
        elif node.op_type in READOUTS:
            made.append(changed(node, [f"{node.input[0]}:first"], node.output))
        else:
            made.append(changed(node, node.input, node.output))
    return made


def _plain(nodes: Iterable[NodeProto]) -> list[NodeProto]:
    made: list[NodeProto] = []
    joined: dict[str, list[str]] = {}
    for node in nodes:
        ours = node.domain == DOMAIN
        inputs, outputs = list(node.input), list(node.output)
        if ours and node.op_type in _ADDED:
            if node.op_type == "Join" and len(inputs) == 8 and len(outputs) == 4:
                joined[outputs[2]] = [*joined.get(inputs[2], [inputs[2]]), inputs[6]]
            continue
        if ours and node.op_type in ("Encode", *SYNAPSES, "QIF"):
            outputs = [name.rpartition(":")[0] for name in outputs[:1]]
        if ours and node.op_type in (*SYNAPSES, *READOUTS):
            inputs[:1] = [name.removesuffix(":phase").removesuffix(":first") for name in inputs[:1]]
        if ours and node.op_type == "QIF" and len(inputs) == 5:
            inputs[1:] = [name.removesuffix(":table") for name in joined.get(inputs[3], [inputs[3]])]
        made.append(changed(node, inputs, outputs))
    return made


def _ranges(network: Network) -> dict[str, dict[str, FloatArray]]:
    """The least and largest value of each column of the inputs."""
    if network.host is None:
        return {f"x:{e.name}": {"low": np.array(0.0), "high": np.array(1.0)} for e in network.encoders}
    inputs = network.host.inputs
    return {"x": {"low": np.array([one.low for one in inputs]), "high": np.array([one.high for one in inputs])}}


def _population(node: NodeProto, source: dict[str, str], read: set[str]) -> list[NodeProto]:
    """A population: what joins its projections, its trial, and what others need of it."""
    spikes, made = node.output[0], []
    arriving: list[str] = []
    for kick in node.input[1:]:
        more = [*parts(source.get(kick, ""), _SPIKES[:2]), *parts(kick, _KICKS)]
        if arriving:
            together = parts(f"{kick}:joined", (*_SPIKES[:2], *_KICKS))
            made.append(call("Join", [*arriving, *more], together))
            more = together
        arriving = more
    trace = parts(spikes, _TRACE)
    made.append(changed(node, [*node.input[:1], *arriving], trace))
    if spikes in source.values():
        made.append(call("Spikes", trace, parts(spikes, _SPIKES)))
    if spikes in read:
        made.append(call("FirstSpikes", trace, [f"{spikes}:first"]))
    return made


TRIAL_FORM = Form(TRIAL, ("Encode", "QIF"), _executable, _plain, _ranges, lambda network: {})
"""How event-driven networks execute."""
