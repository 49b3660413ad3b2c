"""Nodes that execute: the operators of `qif2hw.ir.onnx_io` as calls of the functions of `qif2hw.ir.onnx.functions`.

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

Names tell one form from the other, so `plain` undoes `executable` exactly.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from onnx import FunctionProto, NodeProto, helper

from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.network import Network
from qif2hw.ir.onnx.functions import FUNCTIONS
from qif2hw.ir.onnx.functions.body import DOMAIN
from qif2hw.ir.onnx.graph import VERSION, GraphReader, GraphWriter

SYNAPSES = tuple(op for op, function in FUNCTIONS.items() if function.input[0] == "phase")
"""Operators of projections."""
READOUTS = tuple(op for op, function in FUNCTIONS.items() if function.input[0] == "first")
"""Operators that read first spikes."""
RESULT = "y"
_UNCHECKED = "solution"
_SPIKES = ("time", "channel", "phase")
_KICKS = ("table", "flush")
_TRACE = ("since", "until", "x", "y", "theta", "omega")
_ADDED = ("Join", "Spikes", "FirstSpikes", "InRange")


def can_execute(nodes: Iterable[NodeProto]) -> bool:
    """Whether there is a function for every operator."""
    return all(node.op_type in FUNCTIONS for node in nodes if node.domain == DOMAIN)


def executable(nodes: Sequence[NodeProto], inputs: Sequence[str]) -> list[NodeProto]:
    """Nodes that execute, of plain ones; ``inputs`` are the names of the graph's inputs (see `write_ranges`)."""
    made: list[NodeProto] = []
    source = {node.output[0]: node.input[0] for node in nodes if node.op_type in SYNAPSES and node.domain == DOMAIN}
    read = {node.input[0] for node in nodes if node.op_type in READOUTS and node.domain == DOMAIN}
    for node in nodes:
        if node.domain != DOMAIN:
            made.append(_changed(node, node.input, node.output))
        elif node.op_type == "Encode":
            made.append(_changed(node, node.input, _parts(node.output[0], _SPIKES)))
        elif node.op_type in SYNAPSES:
            phase = f"{node.input[0]}:phase"
            made.append(_changed(node, [phase, *node.input[1:]], _parts(node.output[0], _KICKS)))
        elif node.op_type == "QIF":
            made += _population(node, source, read)
        elif node.op_type in READOUTS:
            made.append(_changed(node, [f"{node.input[0]}:first"], node.output))
        else:
            made.append(_changed(node, node.input, node.output))
    for node in made:
        node.output[:] = [_UNCHECKED if name == RESULT else name for name in node.output]
    _name_apart(made)
    value = _UNCHECKED
    for k, name in enumerate(inputs):
        after = RESULT if k == len(inputs) - 1 else f"{_UNCHECKED}:{k}"
        made.append(_call("InRange", [value, name, f"low:{name}", f"high:{name}"], [after]))
        value = after
    return made


def plain(nodes: Iterable[NodeProto]) -> list[NodeProto]:
    """The plain nodes of those that `executable` made; of others, some that are wrong."""
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
        made.append(_changed(node, inputs, [RESULT if name == _UNCHECKED else name for name in outputs]))
    return made


def write_ranges(graph: GraphWriter, network: Network) -> None:
    """Store the least and largest value of each column of the inputs, by input."""
    for name, (low, high) in _ranges(network).items():
        graph.store(f"low:{name}", low)
        graph.store(f"high:{name}", high)


def called_functions(nodes: Iterable[NodeProto]) -> list[FunctionProto]:
    """The functions that nodes call."""
    called = {node.op_type for node in nodes if node.domain == DOMAIN}
    return [function for op, function in FUNCTIONS.items() if op in called]


def check_executable(
    nodes: Sequence[NodeProto], functions: Sequence[FunctionProto], reader: GraphReader, network: Network
) -> None:
    """`InputError` unless ``nodes`` compute what the network says that was read of their plain form."""
    if sorted(map(_bytes, functions)) != sorted(map(_bytes, called_functions(nodes))):
        raise InputError(f"its functions are not those of version {VERSION} of the domain '{DOMAIN}'")
    ranges = _ranges(network)
    same = [_bytes(node) for node in executable(plain(nodes), list(ranges))] == [_bytes(node) for node in nodes]
    for name, ends in ranges.items():
        for key, end in zip(("low", "high"), ends, strict=True):
            stored = reader.tensors.get(f"{key}:{name}")
            same = same and stored is not None and np.array_equal(reader.tensor(nodes[-1], stored.name), end)
    if not same:
        raise InputError("its nodes do not compute the network that they describe")


def _ranges(network: Network) -> dict[str, tuple[FloatArray, FloatArray]]:
    if network.host is None:
        return {f"x:{e.name}": (np.array(0.0), np.array(1.0)) for e in network.encoders}
    inputs = network.host.inputs
    return {"x": (np.array([one.low for one in inputs]), np.array([one.high for one in inputs]))}


def _population(node: NodeProto, source: dict[str, str], read: set[str]) -> list[NodeProto]:
    """A population: what joins its projections, its trial, and what others need of it."""
    spikes, made = node.output[0], []
    arriving: list[str] = []
    for kick in node.input[1:]:
        more = [*_parts(source.get(kick, ""), _SPIKES[:2]), *_parts(kick, _KICKS)]
        if arriving:
            together = _parts(f"{kick}:joined", (*_SPIKES[:2], *_KICKS))
            made.append(_call("Join", [*arriving, *more], together))
            more = together
        arriving = more
    trace = _parts(spikes, _TRACE)
    made.append(_changed(node, [*node.input[:1], *arriving], trace))
    if spikes in source.values():
        made.append(_call("Spikes", trace, _parts(spikes, _SPIKES)))
    if spikes in read:
        made.append(_call("FirstSpikes", trace, [f"{spikes}:first"]))
    return made


def _parts(name: str, parts: Iterable[str]) -> list[str]:
    return [f"{name}:{part}" for part in parts]


def _call(op: str, inputs: list[str], outputs: list[str]) -> NodeProto:
    return helper.make_node(op, inputs, outputs, domain=DOMAIN)


def _name_apart(nodes: Sequence[NodeProto]) -> None:
    """Take the name from nodes that share theirs, which ONNX Runtime refuses; groups of neurons keep theirs."""
    used = {node.name for node in nodes if node.domain == DOMAIN and node.op_type in ("Encode", "QIF")}
    for node in nodes:
        if not node.name or (node.domain == DOMAIN and node.op_type in ("Encode", "QIF")):
            continue
        if node.name in used:
            node.ClearField("name")
        else:
            used.add(node.name)


def _changed(node: NodeProto, inputs: Iterable[str], outputs: Iterable[str]) -> NodeProto:
    made = NodeProto()
    made.CopyFrom(node)
    made.input[:], made.output[:] = list(inputs), list(outputs)
    return made


def _bytes(message: NodeProto | FunctionProto) -> bytes:
    data: bytes = message.SerializeToString(deterministic=True)
    return data
