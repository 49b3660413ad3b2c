"""Nodes that execute: the operators of a network as calls of ONNX functions of standard operators.

Files of version 2 of the domain have these nodes and hold the functions.  Names tell one form from the other, so the
plain nodes of `qif2hw.ir.onnx_io` follow from them, and they from the plain ones: files in which they do not are
refused.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import FunctionProto, NodeProto, helper

from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.onnx.functions.body import DOMAIN
from qif2hw.ir.onnx.graph import VERSION, GraphReader, GraphWriter

RESULT = "y"
"""The output."""
UNCHECKED = "solution"
"""The same before `InRange` looked at the inputs."""


@dataclass(frozen=True)
class Form:
    """How the networks of one clock execute.

    Parameters
    ----------
    functions
        By operator, those that nodes may call.
    groups
        The operators of input groups and populations, whose nodes have their names.
    to_executable, to_plain
        Nodes of one form from those of the other, without what checks the inputs; of nodes that are no networks, some
        that are wrong.
    ranges
        What checks each input, by its name: stored arrays, by the name of what they are.
    numbers
        Other arrays that follow from a network and are stored, by name.
    """

    functions: Mapping[str, FunctionProto]
    groups: tuple[str, ...]
    to_executable: Callable[[Sequence[NodeProto]], list[NodeProto]]
    to_plain: Callable[[Iterable[NodeProto]], list[NodeProto]]
    ranges: Callable[[Any], dict[str, dict[str, FloatArray]]]
    numbers: Callable[[Any], dict[str, FloatArray]]

    def write(self, graph: GraphWriter, network: Any) -> list[FunctionProto]:
        """Make the plain nodes of a graph executable; returns the functions that they call."""
        ranges = self.ranges(network)
        graph.nodes = self._executable(graph.nodes, ranges)
        for name, array in self._arrays(ranges, network).items():
            graph.store(name, array)
        return self._called(graph.nodes)

    def plain(self, nodes: Iterable[NodeProto]) -> list[NodeProto]:
        """The plain nodes of those that execute."""
        made = self.to_plain([node for node in nodes if not (node.domain == DOMAIN and node.op_type == "InRange")])
        return [changed(node, node.input, [_renamed(name, UNCHECKED, RESULT) for name in node.output]) for node in made]

    def check(
        self, nodes: Sequence[NodeProto], functions: Sequence[FunctionProto], reader: GraphReader, network: Any
    ) -> None:
        """`InputError` unless ``nodes`` compute what the network says that was read of their plain form."""
        if sorted(map(_bytes, functions)) != sorted(map(_bytes, self._called(nodes))):
            raise InputError(f"its functions are not those of version {VERSION} of the domain '{DOMAIN}'")
        ranges = self.ranges(network)
        same = list(map(_bytes, self._executable(self.plain(nodes), ranges))) == list(map(_bytes, nodes))
        for name, array in self._arrays(ranges, network).items():
            same = same and name in reader.tensors and _equal(reader.tensor(nodes[-1], name), array)
        if not same:
            raise InputError("its nodes do not compute the network that they describe")

    def _executable(
        self, nodes: Sequence[NodeProto], ranges: Mapping[str, Mapping[str, FloatArray]]
    ) -> list[NodeProto]:
        made = self.to_executable(nodes)
        for node in made:
            node.output[:] = [_renamed(name, RESULT, UNCHECKED) for name in node.output]
        _name_apart(made, self.groups)
        value = UNCHECKED
        for k, (name, what) in enumerate(ranges.items()):
            after = RESULT if k == len(ranges) - 1 else f"{UNCHECKED}:{k}"
            made.append(call("InRange", [value, name, *(f"{key}:{name}" for key in what)], [after]))
            value = after
        return made

    def _arrays(self, ranges: Mapping[str, Mapping[str, FloatArray]], network: Any) -> dict[str, FloatArray]:
        of_inputs = {f"{key}:{name}": array for name, what in ranges.items() for key, array in what.items()}
        return of_inputs | self.numbers(network)

    def _called(self, nodes: Iterable[NodeProto]) -> list[FunctionProto]:
        called = {node.op_type for node in nodes if node.domain == DOMAIN}
        return [function for op, function in self.functions.items() if op in called]


def call(op: str, inputs: list[str], outputs: list[str]) -> NodeProto:
    """A node of the domain without attributes."""
    return helper.make_node(op, inputs, outputs, domain=DOMAIN)


def changed(node: NodeProto, inputs: Iterable[str], outputs: Iterable[str], op: str | None = None) -> NodeProto:
    """A node with other inputs and outputs, and maybe another operator."""
    made = NodeProto()
    made.CopyFrom(node)
    made.input[:], made.output[:] = list(inputs), list(outputs)
    made.op_type = op or node.op_type
    return made


def parts(name: str, of: Iterable[str]) -> list[str]:
    """Names of the parts of a value."""
    return [f"{name}:{part}" for part in of]


def _renamed(name: str, before: str, after: str) -> str:
    return after if name == before else name


def _name_apart(nodes: Sequence[NodeProto], groups: tuple[str, ...]) -> None:
    """Take the name from nodes that share theirs, which ONNX Runtime refuses; groups of neurons keep theirs."""
    used = {node.name for node in nodes if node.domain == DOMAIN and node.op_type in groups}
    for node in nodes:
        if not node.name or (node.domain == DOMAIN and node.op_type in groups):
            continue
        if node.name in used:
            node.ClearField("name")
        else:
            used.add(node.name)


def _equal(stored: FloatArray, wanted: FloatArray) -> bool:
    """Whether arrays are equal; another machine's exponential may differ in the last place."""
    return stored.shape == wanted.shape and bool(np.allclose(stored, wanted, rtol=1e-12, atol=1e-15))


def _bytes(message: NodeProto | FunctionProto) -> bytes:
    data: bytes = message.SerializeToString(deterministic=True)
    return data
