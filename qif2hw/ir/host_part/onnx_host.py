"""The host's part in an ONNX file: standard nodes before and after those of the domain ``qif2hw``.

The graph then has one input ``x`` (samples, inputs) in the user's units.  Nodes named ``encode:..`` make of it what the
input groups get, nodes named ``solve:..`` make the output ``y`` of ``x`` and of the value ``results``.  Names, units,
ranges and receptive fields are JSON text under the key `KEY` of the model's metadata: the nodes before the network must
be those that follow from it.  All work on columns, along axis 1.
"""

import json
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper

from qif2hw.errors import InputError
from qif2hw.ir.encoder import Encoder
from qif2hw.ir.host_part.formula import OPERATORS, Constant, Formula, Step
from qif2hw.ir.host_part.host import Host, Input, Output, X, Y
from qif2hw.ir.host_part.receptive_fields import ReceptiveFields
from qif2hw.ir.onnx.graph import GraphReader, GraphWriter, float64, where

KEY = "qif2hw.host"
RESULTS = "results"
"""Value of the network's results, where nodes after it make the solution."""
_ENCODE, _SOLVE = "encode:", "solve:"
_CHANNELS = "channels"
_GROUP = "group:"


def write_encoding(graph: GraphWriter, host: Host, encoders: tuple[Encoder, ...]) -> dict[str, str]:
    """Add the nodes before the network; names of the values that the input groups get, by group."""
    _write(graph, host.encoding, _ENCODE, {X: X}, _CHANNELS)
    if len(encoders) == 1:
        return {encoders[0].name: _CHANNELS}
    values, first = {}, 0
    for encoder in encoders:
        name = f"{_GROUP}{encoder.name}"
        columns = tuple(range(first, first + encoder.size))
        first += encoder.size
        _write_step(graph, Step("Gather", (_CHANNELS,), name, columns), _ENCODE, {_CHANNELS: _CHANNELS}, name)
        values[encoder.name] = name
    return values


def write_solution(graph: GraphWriter, solution: Formula) -> None:
    """Add the nodes that make ``y`` of ``x`` and the results."""
    _write(graph, solution, _SOLVE, {X: X, Y: RESULTS}, "y")


def describe(host: Host) -> str:
    """Names, units, ranges and receptive fields as JSON text."""
    inputs = []
    for one in host.inputs:
        about: dict[str, Any] = {"name": one.name, "unit": one.unit, "low": one.low, "high": one.high}
        if one.fields is not None:
            about["fields"] = {"count": one.fields.count, "overlap": one.fields.overlap}
        inputs.append(about)
    outputs = [{"name": one.name, "unit": one.unit} for one in host.outputs]
    described: dict[str, Any] = {"inputs": inputs, "outputs": outputs}
    if host.classes is not None:
        described |= {"classes": list(host.classes)}
    return json.dumps(described, ensure_ascii=False, sort_keys=True)


def _write(graph: GraphWriter, formula: Formula, prefix: str, given: dict[str, str], result: str) -> None:
    names = dict(given)
    for constant in formula.constants:
        names[constant.name] = graph.store(f"{prefix}{constant.name}", constant.values)
    for step in formula.steps:
        names[step.output] = result if step is formula.steps[-1] else f"{prefix}{step.output}"
        _write_step(graph, step, prefix, names, names[step.output])


def _write_step(graph: GraphWriter, step: Step, prefix: str, names: dict[str, str], output: str) -> None:
    name = f"{prefix}{step.output}"
    inputs = [names[one] for one in step.inputs]
    attributes: dict[str, Any] = {}
    if step.op == "Gather":
        inputs.append(graph.store(f"{name}:columns", np.array(step.columns, np.int64)))
    if step.op == "ReduceSum":
        inputs.append(graph.store(f"{name}:axes", np.array([1], np.int64)))
        attributes["keepdims"] = 1
    if step.op in ("Gather", "Concat"):
        attributes["axis"] = 1
    graph.nodes.append(helper.make_node(step.op, inputs, [output], name=name, **attributes))


def has_host(model: ModelProto) -> bool:
    """Whether the host's part is described in a file."""
    return any(entry.key == KEY for entry in model.metadata_props)


def check_operators(model: ModelProto) -> None:
    """`InputError` that names the first standard node of an operator that the host does not compute."""
    for node in model.graph.node:
        if node.domain in ("", "ai.onnx") and node.op_type not in OPERATORS:
            raise InputError(
                f"{where(node)}: the host computes none but these operators of ONNX: {', '.join(OPERATORS)}"
            )


class HostReader:
    """The host's part of a file; every method raises an `InputError` where it is not as described above."""

    def __init__(self, graph: GraphReader, model: ModelProto) -> None:
        self.reader, self.nodes = graph, list(model.graph.node)
        text = next(entry.value for entry in model.metadata_props if entry.key == KEY)
        self.inputs, self.outputs, self.classes = described(text)
        if [value.name for value in model.graph.input if value.name not in graph.tensors] != [X]:
            raise InputError(f"a network with a host's part has one input of the graph, '{X}'")

    def host(self) -> Host:
        """Inputs, outputs, and the solution."""
        nodes = [node for node in self.nodes if node.name.startswith(_SOLVE)]
        return Host(self.inputs, self.outputs, self._formula(nodes) if nodes else None, self.classes)

    def encoders(self, read: Any) -> tuple[Encoder, ...]:
        """Input groups, in order; ``read(node, size)`` reads one whose size is known."""
        found = self.reader.nodes("Encode")
        if len(found) == 1:
            return (read(found[0], sum(one.size for one in self.inputs)),)
        sizes = [len(self._columns(self.reader.made_by(node, node.input[0], "Gather"))) for node in found if node.input]
        if len(sizes) != len(found):
            raise InputError("an Encode node has no input")
        return tuple(read(node, size) for node, size in zip(found, sizes, strict=True))

    def check_encoding(self, host: Host, encoders: tuple[Encoder, ...]) -> None:
        """`InputError` unless the nodes before the network are those that the description asks for, on every group."""
        graph = GraphWriter()
        values = write_encoding(graph, host, encoders)
        nodes = [node for node in self.nodes if node.name.startswith(_ENCODE)]
        same = [_bytes(node) for node in nodes] == [_bytes(node) for node in graph.nodes]
        for tensor in graph.tensors:
            stored = self.reader.tensors.get(tensor.name)
            same = same and stored is not None and _bytes(stored) == _bytes(tensor)
        for node in self.reader.nodes("Encode"):
            same = same and list(node.input) == [values.get(node.name)]
        if not same:
            raise InputError("the nodes before the network are not those that its inputs, as described, need")
        known = {_ENCODE, _SOLVE}
        for node in self.nodes:
            if node.domain in ("", "ai.onnx") and not any(node.name.startswith(prefix) for prefix in known):
                joins = node.op_type == "Concat" and list(node.output) in (["y"], [RESULTS])
                if not joins:
                    raise InputError(f"{where(node)}: it is part of neither the encoding nor the solution")

    def _formula(self, nodes: list[NodeProto]) -> Formula:
        constants = tuple(
            Constant(name.removeprefix(_SOLVE), float64(tensor, f"array '{name}'"))
            for name, tensor in self.reader.tensors.items()
            if name.startswith(_SOLVE) and tensor.data_type != TensorProto.INT64
        )
        names = {X: X, RESULTS: Y} | {f"{_SOLVE}{constant.name}": constant.name for constant in constants}
        steps = []
        for node in nodes:
            own = {"Gather": 1, "ReduceSum": 1}.get(node.op_type, 0)
            given = list(node.input)[: len(node.input) - own]
            self._check_attributes(node)
            for name in given:
                if name not in names:
                    raise InputError(f"{where(node)}: there is no value '{name}' before it")
            inputs = [names[name] for name in given]
            columns = self._columns(node) if node.op_type == "Gather" else ()
            output = node.name.removeprefix(_SOLVE)
            names[node.output[0]] = output
            steps.append(Step(node.op_type, tuple(inputs), output, columns))
        if nodes[-1].output[0] != "y":
            raise InputError(f"{where(nodes[-1])}: the last node of the solution must make 'y'")
        return Formula(constants, tuple(steps))

    def _columns(self, node: NodeProto) -> tuple[int, ...]:
        if len(node.input) != 2:
            raise InputError(f"{where(node)}: it has {len(node.input)} inputs, 2 are needed")
        columns = self.reader.integers(node, node.input[1])
        if columns.ndim != 1:
            raise InputError(f"{where(node)}: columns of shape {columns.shape}, a list is needed")
        return tuple(int(column) for column in columns)

    def _check_attributes(self, node: NodeProto) -> None:
        wanted = {"Gather": {"axis": 1}, "Concat": {"axis": 1}, "ReduceSum": {"keepdims": 1}}.get(node.op_type, {})
        if {a.name: a.i for a in node.attribute} != wanted:
            raise InputError(f"{where(node)}: its attributes must be {wanted or 'none'}")
        if node.op_type == "ReduceSum":
            axes = self.reader.integers(node, node.input[1]) if len(node.input) == 2 else np.zeros(0, np.int64)
            if axes.tolist() != [1]:
                raise InputError(f"{where(node)}: it must sum along axis 1")


def described(text: str) -> tuple[tuple[Input, ...], tuple[Output, ...], tuple[str, ...] | None]:
    """Inputs, outputs and classes that `describe` wrote; `InputError` on other texts."""
    problem = f"the metadata '{KEY}' are not as this version writes them"
    try:
        about = json.loads(text)
        inputs = []
        for one in about["inputs"]:
            if not all(type(one[key]) in (int, float) for key in ("low", "high")):
                raise TypeError
            fields = one.pop("fields", None)
            inputs.append(Input(**one, fields=None if fields is None else ReceptiveFields(**fields)))
        outputs = [Output(**one) for one in about["outputs"]]
        classes = about.pop("classes", None)
        if classes is not None and not isinstance(classes, list):
            raise TypeError
    except InputError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise InputError(problem) from None
    parts: list[Any] = [*inputs, *outputs]
    texts = [*(t for part in parts for t in (part.name, part.unit)), *(classes or ())]
    if not all(isinstance(t, str) for t in texts) or set(about) != {"inputs", "outputs"}:
        raise InputError(problem)
    return tuple(inputs), tuple(outputs), None if classes is None else tuple(classes)


def _bytes(message: Any) -> bytes:
    data: bytes = message.SerializeToString(deterministic=True)
    return data
