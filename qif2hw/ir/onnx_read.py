"""Reading the ONNX files of `qif2hw.ir.onnx_io`, which describes the format."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

from qif2hw.errors import InputError
from qif2hw.ir.encoder import Encoder
from qif2hw.ir.network import Network, Population, Projection
from qif2hw.ir.readout import Product, Readout
from qif2hw.ir.synapses import Dense, Sparse
from qif2hw.neuron import QIF

DOMAIN = "qif2hw"
VERSION = 1
MAX_BYTES = 256 * 2**20
"""Larger files are refused before they are read."""

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "Encode": ("earliest", "latest"),
    "Synapses": ("index",),
    "SparseSynapses": ("index", "pre"),
    "QIF": ("tau", "i0", "trial", "index"),
    "FirstSpikeDifference": ("start", "stop", "scale", "offset"),
    "Product": ("scale", "offset"),
}
"""The operators, and exactly the attributes that each has."""

SYNAPSES: dict[str, type[Dense] | type[Sparse]] = {"Synapses": Dense, "SparseSynapses": Sparse}
"""The operators of projections: their inputs are spikes, weights, and the arrays of the synapses."""


def from_bytes(data: bytes, source: str = "model.onnx") -> Network:
    """A network from the bytes of an ONNX file; ``source`` names it in errors."""
    try:
        return _Reader(_parse(data)).network()
    except InputError as error:
        # Names come from the file and may hold line breaks; an error is one line.
        raise InputError(f"{source}: {' '.join(str(error).split())}") from None


def _parse(data: bytes) -> ModelProto:
    if len(data) > MAX_BYTES:
        raise InputError(f"larger than the limit of {MAX_BYTES} bytes")
    try:
        model = ModelProto.FromString(data)
    except (DecodeError, RecursionError, UnicodeDecodeError):
        raise InputError("not an ONNX file") from None
    if not model.ir_version or not model.HasField("graph"):
        raise InputError("not an ONNX file")
    versions = {o.domain: o.version for o in model.opset_import}
    if DOMAIN not in versions:
        found = list(dict.fromkeys(node.op_type for node in model.graph.node))[:4]
        raise InputError(
            f"an ONNX file, but of no QIF network (its operators: {', '.join(found) or 'none'}); "
            f"bare weights become a model with 'qif2hw import'"
        )
    if versions[DOMAIN] != VERSION:
        raise InputError(f"written for version {versions[DOMAIN]} of the domain '{DOMAIN}', this is version {VERSION}")
    # Before the checker, which would look for the files that such tensors name.
    for tensor in _all_tensors(model.graph):
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise InputError(f"tensor '{tensor.name}' is stored in another file: only self-contained models are read")
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise InputError(f"not a valid ONNX model ({reason})") from None
    return model


def _all_tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


class _Reader:
    """Rebuilds a network from a checked model; the classes of `qif2hw.ir.network` judge the values."""

    def __init__(self, model: ModelProto) -> None:
        self.graph = model.graph
        self.tensors = {t.name: t for t in self.graph.initializer}
        self.maker: dict[str, NodeProto] = {}
        for node in self.graph.node:
            concat = node.domain in ("", "ai.onnx") and node.op_type == "Concat"
            if not concat and (node.domain != DOMAIN or node.op_type not in ATTRIBUTES):
                raise InputError(f"{_where(node)}: not an operator of a QIF network")
            if len(node.output) != 1:
                raise InputError(f"{_where(node)}: it has {len(node.output)} outputs, one is needed")
            self.maker[node.output[0]] = node

    def network(self) -> Network:
        encoders = tuple(self._encoder(value) for value in self.graph.input if value.name not in self.tensors)
        if len(self._nodes("Encode")) != len(encoders):
            raise InputError("every Encode node needs an input of the graph of its own")
        populations: dict[int, Population] = {}
        projections: dict[int, Projection] = {}
        trials = set()
        for node in self._nodes("QIF"):
            values = _values(node)
            trials.add(_real(node, values["trial"]))
            neuron = QIF(_real(node, values["tau"]), _real(node, values["i0"]))
            if not node.input:
                raise InputError(f"{_where(node)}: its first input, the initial phases, is missing")
            phi0 = self._tensor(node, node.input[0])
            _insert(populations, node, values["index"], Population(node.name, neuron, phi0))
            for kick in node.input[1:]:
                synapses = self._made_by(node, kick, tuple(SYNAPSES))
                index = _values(synapses)["index"]
                _insert(projections, synapses, index, self._projection(synapses, node.name))
        for op in SYNAPSES:
            if len(self._nodes(op)) != sum(SYNAPSES[op] is type(p.synapses) for p in projections.values()):
                raise InputError(f"a {op} node reaches no population")
        if len(trials) != 1:
            raise InputError(f"its populations give {len(trials)} different trial lengths, one is needed")
        return Network(
            trial=trials.pop(),
            encoders=encoders,
            populations=tuple(populations[k] for k in sorted(populations)),
            projections=tuple(projections[k] for k in sorted(projections)),
            outputs=self._outputs(),
        )

    def _projection(self, node: NodeProto, post: str) -> Projection:
        kind = SYNAPSES[node.op_type]
        if len(node.input) != 2 + len(kind.ARRAYS):
            raise InputError(f"{_where(node)}: it has {len(node.input)} inputs, {2 + len(kind.ARRAYS)} are needed")
        pre = self._made_by(node, node.input[0], ("Encode", "QIF"))
        weight = self._tensor(node, node.input[1])
        parts: dict[str, Any] = {
            key: self._integers(node, name) for key, name in zip(kind.ARRAYS, node.input[2:], strict=True)
        }
        for key in kind.NUMBERS:
            value = _values(node)[key]
            if value.type != AttributeProto.INT:
                raise InputError(f"{_where(node)}: the attribute '{key}' must be an integer")
            parts[key] = value.i
        return Projection(pre.name, post, weight, kind(**parts)) if parts else Projection(pre.name, post, weight)

    def _encoder(self, value: onnx.ValueInfoProto) -> Encoder:
        nodes = [node for node in self._nodes("Encode") if list(node.input) == [value.name]]
        shape = value.type.tensor_type.shape.dim
        if len(nodes) != 1 or len(shape) != 2 or shape[1].dim_value < 1:
            raise InputError(f"input '{value.name}' needs one Encode node and a shape (samples, channels)")
        values = _values(nodes[0])
        earliest, latest = (_real(nodes[0], values[key]) for key in ("earliest", "latest"))
        return Encoder(nodes[0].name, int(shape[1].dim_value), earliest, latest)

    def _outputs(self) -> tuple[Readout | Product, ...]:
        if len(self.graph.output) != 1:
            raise InputError(f"it has {len(self.graph.output)} outputs, one is needed")
        last = self.maker.get(self.graph.output[0].name)
        if last is None:
            raise InputError(f"no node makes the output '{self.graph.output[0].name}'")
        names = list(last.input) if last.op_type == "Concat" else [self.graph.output[0].name]
        outputs: list[Readout | Product] = []
        for name in names:
            node = self._made_by(last, name, ("FirstSpikeDifference", "Product"))
            if node.op_type == "FirstSpikeDifference":
                outputs.append(self._readout(node))
                continue
            values = _values(node)
            pair = [self._readout(self._made_by(node, k, "FirstSpikeDifference")) for k in node.input]
            if len(pair) != 2:
                raise InputError(f"{_where(node)}: it has {len(pair)} inputs, 2 are needed")
            outputs.append(Product(pair[0], pair[1], _real(node, values["scale"]), _real(node, values["offset"])))
        used = sum(1 if isinstance(output, Readout) else 2 for output in outputs)
        if used != len(self._nodes("FirstSpikeDifference")):
            raise InputError("a FirstSpikeDifference node does not reach the output")
        return tuple(outputs)

    def _readout(self, node: NodeProto) -> Readout:
        values = _values(node)
        if len(node.input) != 1:
            raise InputError(f"{_where(node)}: it has {len(node.input)} inputs, 1 is needed")
        population = self._made_by(node, node.input[0], "QIF")
        arrays = {key: _array(node, key, values[key]) for key in ("start", "stop", "scale", "offset")}
        return Readout(population.name, **arrays)

    def _nodes(self, op: str) -> list[NodeProto]:
        return [node for node in self.graph.node if node.op_type == op]

    def _made_by(self, node: NodeProto, name: str, op: str | tuple[str, ...], inputs: int | None = None) -> NodeProto:
        ops = (op,) if isinstance(op, str) else op
        maker = self.maker.get(name)
        if maker is None or maker.op_type not in ops:
            raise InputError(f"{_where(node)}: its input '{name}' must come from {' or '.join(ops)}")
        if inputs is not None and len(maker.input) != inputs:
            raise InputError(f"{_where(maker)}: it has {len(maker.input)} inputs, {inputs} are needed")
        return maker

    def _tensor(self, node: NodeProto, name: str) -> NDArray[np.float64]:
        return _float64(self._stored(node, name), f"array '{name}'")

    def _integers(self, node: NodeProto, name: str) -> NDArray[np.int64]:
        return _read(self._stored(node, name), TensorProto.INT64, f"array '{name}'")

    def _stored(self, node: NodeProto, name: str) -> TensorProto:
        if name not in self.tensors:
            raise InputError(f"{_where(node)}: its input '{name}' must be a stored array (initializer)")
        return self.tensors[name]


def _where(node: NodeProto) -> str:
    return f"{node.op_type} '{node.name}'"


def _values(node: NodeProto) -> dict[str, AttributeProto]:
    """Attributes by name: exactly those that the operator has."""
    found = {attribute.name: attribute for attribute in node.attribute}
    for name in ATTRIBUTES[node.op_type]:
        if name not in found:
            raise InputError(f"{_where(node)}: the attribute '{name}' is missing")
    for name in found:
        if name not in ATTRIBUTES[node.op_type]:
            raise InputError(f"{_where(node)}: unknown attribute '{name}'")
    return found


def _insert(place: dict[int, Any], node: NodeProto, index: AttributeProto, value: object) -> None:
    if index.type != AttributeProto.INT or index.i in place:
        raise InputError(f"{_where(node)}: the attribute 'index' must be an integer of its own")
    place[index.i] = value


def _array(node: NodeProto, name: str, attribute: AttributeProto) -> NDArray[Any]:
    if name in ("start", "stop"):
        if attribute.type != AttributeProto.INTS:
            raise InputError(f"{_where(node)}: the attribute '{name}' must be a list of integers")
        return np.array(attribute.ints, np.int64)
    if attribute.type != AttributeProto.TENSOR:
        raise InputError(f"{_where(node)}: the attribute '{name}' must be a float64 tensor")
    return _float64(attribute.t, f"{_where(node)}: the attribute '{name}'")


def _real(node: NodeProto, attribute: AttributeProto) -> float:
    array = _array(node, attribute.name, attribute)
    if array.shape != ():
        raise InputError(
            f"{_where(node)}: the attribute '{attribute.name}' has shape {array.shape}, one number is needed"
        )
    return float(array)


def _float64(tensor: TensorProto, what: str) -> NDArray[np.float64]:
    return _read(tensor, TensorProto.DOUBLE, what)


_STORED: dict[int, tuple[str, str]] = {
    TensorProto.DOUBLE: ("float64 (DOUBLE)", "double_data"),
    TensorProto.INT64: ("int64 (INT64)", "int64_data"),
}


def _read(tensor: TensorProto, kind: int, what: str) -> NDArray[Any]:
    name, entries = _STORED[kind]
    if tensor.data_type != kind:
        raise InputError(f"{what} must be {name}")
    size = len(tensor.raw_data) // 8 if tensor.HasField("raw_data") else len(getattr(tensor, entries))
    if any(d < 0 for d in tensor.dims) or int(np.prod([int(d) for d in tensor.dims], dtype=object)) != size:
        raise InputError(f"{what} holds {size} values, its shape {list(tensor.dims)} needs another number")
    try:
        return np.asarray(numpy_helper.to_array(tensor))
    except (ValueError, TypeError) as error:
        raise InputError(f"{what} cannot be read ({error})") from None
