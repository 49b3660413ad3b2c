"""ONNX graphs in the operator domain ``qif2hw``: what is common to writing and reading all kinds of networks."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from qif2hw.errors import InputError
from qif2hw.files import Region
from qif2hw.ir.large import LARGE, Pieces, filled, size_of
from qif2hw.ir.network import Projection
from qif2hw.ir.onnx.functions.body import DOMAIN, OPSET
from qif2hw.ir.onnx.wire import bytes_of_message, field
from qif2hw.ir.synapses import NOT_GIVEN, Conv2d, Dense, Sparse, Synapses

VERSION = 2
"""Of the domain, in files whose nodes execute: see `qif2hw.ir.onnx.execute`."""
PLAIN_VERSION = 1
"""Of the domain, in other files."""
MAX_BYTES = 256 * 2**20
"""Larger files are refused before they are read."""
MOST_BYTES = 2**31 - 1
"""Limit of ONNX itself, whose messages have no more."""

# Fixed, so that the bytes do not depend on the installed onnx.
_IR_VERSION = 8

SOURCES = ("Encode", "QIF", "Frames", "SteppedQIF", "SteppedLIF", "SteppedCUBA", "SteppedSynaptic")
"""Operators that send something."""

SYNAPSES: dict[str, type[Dense] | type[Sparse] | type[Conv2d]] = {
    "Synapses": Dense,
    "SparseSynapses": Sparse,
    "ConvSynapses": Conv2d,
}
"""The operators of projections: their inputs are spikes, weights, and the arrays of the synapses."""

OPERATORS: dict[type[Synapses], str] = {kind: op for op, kind in SYNAPSES.items()}
"""The operator of each kind of synapses."""

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    **{op: ("index", *kind.NUMBERS) for op, kind in SYNAPSES.items()},
    "Encode": ("earliest", "latest"),
    "QIF": ("tau", "i0", "trial", "index"),
    "FirstSpikeDifference": ("start", "stop", "scale", "offset"),
    "Product": ("scale", "offset"),
    "FirstSpike": ("neuron",),
    "Frames": (),
    "SteppedQIF": (
        "a", "u1", "u2", "threshold", "reset", "gain", "kind", "shape", "time_steps", "index",
    ),
    "SteppedLIF": ("leak", "rest", "threshold", "reset", "gain", "shape", "time_steps", "index"),
    "SteppedCUBA": ("current_decay", "voltage_decay", "threshold", "shape", "time_steps", "index"),
    "SteppedSynaptic": (
        "current_leak", "leak", "rest", "threshold", "reset", "gain", "shape", "time_steps", "index",
    ),
    "Delay": (),
    "Accumulator": ("shape", "time_steps", "index"),
    "Accumulated": ("scale",),
}  # fmt: skip
"""The operators, and exactly the attributes that each has, apart from `OPTIONAL` ones."""

OPTIONAL: dict[str, tuple[str, ...]] = {
    "Frames": ("unit", "bits"),
    **dict.fromkeys(("SteppedQIF", "SteppedLIF", "SteppedSynaptic", "SteppedCUBA", "Accumulator"), ("unit",)),
}
"""Attributes that may be left out."""

_WHOLE = {"index", "time_steps", "out_channels", "groups", "pre", "bits"}
"""Attributes that are integers."""

_NEURONS = ("start", "stop", "neuron")
"""Attributes of readouts that are lists of neurons."""


class GraphWriter:
    """Nodes and arrays of a graph, in order."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.tensors: list[TensorProto] = []
        self.large: dict[str, NDArray[Any]] = {}
        """Values of the tensors that have none themselves."""

    def add(self, op: str, inputs: list[str], output: str, name: str, **attributes: Any) -> None:
        """Add a node of the domain."""
        needed = ATTRIBUTES[op]
        assert tuple(attributes)[: len(needed)] == needed
        assert {*attributes} <= {*needed, *OPTIONAL.get(op, ())}
        node = helper.make_node(op, inputs, [output], name=name, domain=DOMAIN)
        node.attribute.extend(_attribute(key, value) for key, value in attributes.items())
        self.nodes.append(node)

    def store(self, name: str, array: NDArray[Any]) -> str:
        """Add an array of any shape; returns its name."""
        if array.nbytes < LARGE:
            self.tensors.append(numpy_helper.from_array(array, name))
            return name
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        self.tensors.append(TensorProto(dims=array.shape, data_type=kind, name=name))
        self.large[name] = np.ascontiguousarray(array)
        return name

    def projection(self, index: int, p: Projection, spikes: str) -> str:
        """Add the synapses of a projection; returns the name of what reaches the population."""
        link, synapses = f"{index}:{p.pre}->{p.post}", p.synapses
        arrays = {"weight": p.weight} | {key: getattr(synapses, key).astype(np.int64) for key in synapses.ARRAYS}
        if p.delay is not None:
            late = f"late:{link}"
            self.add(
                "Delay", [spikes, self.store(f"delay:{link}", p.delay.astype(np.int64))], late, f"{p.pre}->{p.post}"
            )
            spikes = late
        inputs = [spikes, *(self.store(f"{key}:{link}", array) for key, array in arrays.items())]
        numbers = {key: getattr(synapses, key) for key in synapses.NUMBERS}
        self.add(OPERATORS[type(synapses)], inputs, f"kicks:{link}", f"{p.pre}->{p.post}", index=index, **numbers)
        return f"kicks:{link}"

    def model(
        self,
        inputs: list[tuple[str, list[str | int]]],
        outputs: int,
        about: str,
        metadata: Mapping[str, str] | None = None,
        functions: Sequence[FunctionProto] = (),
    ) -> Pieces:
        """A file with these inputs (name, shape), the output ``y`` (samples, outputs), and metadata.

        With ``functions`` it executes.
        """
        graph: list[bytes | NDArray[Any]] = [bytes_of_message(GraphProto(node=self.nodes, name="qif2hw"))]
        for tensor in self.tensors:
            own: list[bytes | NDArray[Any]] = [bytes_of_message(tensor)]
            if tensor.name in self.large:
                own += field(TensorProto, "raw_data", [self.large[tensor.name]])
            graph += field(GraphProto, "initializer", own)
        x = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, shape) for name, shape in inputs]
        y = helper.make_tensor_value_info("y", TensorProto.DOUBLE, ["samples", outputs])
        graph.append(bytes_of_message(GraphProto(doc_string=about, input=x, output=[y])))
        version = VERSION if functions else PLAIN_VERSION
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, version)]
        rest = ModelProto(opset_import=opsets, functions=functions)
        for key, text in (metadata or {}).items():
            rest.metadata_props.add(key=key, value=text)
        pieces = [
            bytes_of_message(ModelProto(ir_version=_IR_VERSION, producer_name="qif2hw")),
            *field(ModelProto, "graph", graph),
            bytes_of_message(rest),
        ]
        if size_of(pieces) > MOST_BYTES:
            raise InputError(f"the network takes {size_of(pieces)} bytes, an ONNX file has at most {MOST_BYTES}")
        return pieces


def _attribute(name: str, value: Any) -> AttributeProto:
    if isinstance(value, str):
        return AttributeProto(name=name, type=AttributeProto.STRING, s=value.encode())
    if isinstance(value, tuple) or (isinstance(value, np.ndarray) and value.dtype == np.int64):
        return AttributeProto(name=name, type=AttributeProto.INTS, ints=list(value))
    if name in _WHOLE:
        return AttributeProto(name=name, type=AttributeProto.INT, i=int(value))
    if isinstance(value, complex):
        value = [value.real, value.imag]
    return AttributeProto(
        name=name, type=AttributeProto.TENSOR, t=numpy_helper.from_array(np.asarray(value, np.float64))
    )


class GraphReader:
    """Nodes and arrays of a checked model, by what they make; the classes of `qif2hw.ir` judge the values.

    Every method raises an `InputError` that names the node where the graph is not that of a QIF network.
    """

    STANDARD: ClassVar[tuple[str, ...]] = ("Concat",)
    """Operators of ONNX itself that it reads."""

    def __init__(self, model: ModelProto, large: Mapping[str, Region] | None = None) -> None:
        self.graph = model.graph
        self.tensors = {t.name: t for t in self.graph.initializer}
        self.large = large or {}
        """Where the values of tensors lie that have none themselves, by name."""
        self.maker: dict[str, NodeProto] = {}
        for node in self.graph.node:
            standard = node.domain in ("", "ai.onnx") and node.op_type in self.STANDARD
            if not standard and (node.domain != DOMAIN or node.op_type not in ATTRIBUTES):
                raise InputError(f"{where(node)}: not an operator of a QIF network")
            if len(node.output) != 1:
                raise InputError(f"{where(node)}: it has {len(node.output)} outputs, one is needed")
            self.maker[node.output[0]] = node

    def projections_onto(self, node: NodeProto, found: dict[int, Projection]) -> None:
        """Add the projections onto a population, whose node has their kicks behind its first input."""
        for kick in node.input[1:]:
            synapses = self.made_by(node, kick, tuple(SYNAPSES))
            insert(found, synapses, values_of(synapses)["index"], self.projection(synapses, node.name))

    def check_projections(self, found: dict[int, Projection]) -> None:
        """`InputError` if a node of synapses reaches no population."""
        for op, kind in SYNAPSES.items():
            if len(self.nodes(op)) != sum(kind is type(p.synapses) for p in found.values()):
                raise InputError(f"a {op} node reaches no population")

    def output_nodes(self, ops: tuple[str, ...], output: str | None = None) -> Iterator[NodeProto]:
        """The nodes, of these operators, that make the columns of the one output, or of the value ``output``."""
        if len(self.graph.output) != 1:
            raise InputError(f"it has {len(self.graph.output)} outputs, one is needed")
        output = output or self.graph.output[0].name
        last = self.maker.get(output)
        if last is None:
            raise InputError(f"no node makes the output '{output}'")
        names = list(last.input) if last.op_type == "Concat" else [output]
        for name in names:
            yield self.made_by(last, name, ops)

    def projection(self, node: NodeProto, post: str) -> Projection:
        """The projection that a node of synapses is."""
        kind = SYNAPSES[node.op_type]
        if len(node.input) != 2 + len(kind.ARRAYS):
            raise InputError(f"{where(node)}: it has {len(node.input)} inputs, {2 + len(kind.ARRAYS)} are needed")
        delay: Any = None
        pre = self.made_by(node, node.input[0], (*SOURCES, "Delay"))
        if pre.op_type == "Delay":
            if len(pre.input) != 2:
                raise InputError(f"{where(pre)}: it has {len(pre.input)} inputs, 2 are needed")
            delay = self.integers(pre, pre.input[1])
            pre = self.made_by(pre, pre.input[0], SOURCES)
        weight = self.tensor(node, node.input[1])
        parts: dict[str, Any] = {
            key: self.integers(node, name) for key, name in zip(kind.ARRAYS, node.input[2:], strict=True)
        }
        for key in kind.NUMBERS:
            parts[key] = whole_of(node, key)
        synapses = kind(**parts) if parts else NOT_GIVEN
        return Projection(pre.name, post, weight, synapses, delay)

    def nodes(self, op: str) -> list[NodeProto]:
        """Nodes of an operator."""
        return [node for node in self.graph.node if node.op_type == op]

    def made_by(self, node: NodeProto, name: str, op: str | tuple[str, ...], inputs: int | None = None) -> NodeProto:
        """The node of one of these operators that makes an input of ``node``."""
        ops = (op,) if isinstance(op, str) else op
        maker = self.maker.get(name)
        if maker is None or maker.op_type not in ops:
            raise InputError(f"{where(node)}: its input '{name}' must come from {' or '.join(ops)}")
        if inputs is not None and len(maker.input) != inputs:
            raise InputError(f"{where(maker)}: it has {len(maker.input)} inputs, {inputs} are needed")
        return maker

    def tensor(self, node: NodeProto, name: str) -> NDArray[np.float64]:
        """A stored float64 array, of its shape, that is an input of ``node``; `InputError` if there is none."""
        return _read(self.stored(node, name), TensorProto.DOUBLE, f"array '{name}'", self.large.get(name))

    def integers(self, node: NodeProto, name: str) -> NDArray[np.int64]:
        """A stored int64 array, of its shape, that is an input of ``node``; `InputError` if there is none."""
        return _read(self.stored(node, name), TensorProto.INT64, f"array '{name}'", self.large.get(name))

    def stored(self, node: NodeProto, name: str) -> TensorProto:
        """A stored array that is an input of ``node``; `InputError` if there is none."""
        if name not in self.tensors:
            raise InputError(f"{where(node)}: its input '{name}' must be a stored array (initializer)")
        return self.tensors[name]


def where(node: NodeProto) -> str:
    """A node, for messages."""
    return f"{node.op_type} '{node.name}'"


def values_of(node: NodeProto) -> dict[str, AttributeProto]:
    """Attributes by name, optional ones where they are given; `InputError` on others than the operator has."""
    found = {attribute.name: attribute for attribute in node.attribute}
    for name in ATTRIBUTES[node.op_type]:
        if name not in found:
            raise InputError(f"{where(node)}: the attribute '{name}' is missing")
    for name in found:
        if name not in (*ATTRIBUTES[node.op_type], *OPTIONAL.get(node.op_type, ())):
            raise InputError(f"{where(node)}: unknown attribute '{name}'")
    return found


def insert(place: dict[int, Any], node: NodeProto, index: AttributeProto, value: object) -> None:
    """Put a value at the place that the attribute ``index`` of its node says; `InputError` if it is taken."""
    if index.type != AttributeProto.INT or index.i in place:
        raise InputError(f"{where(node)}: the attribute 'index' must be an integer of its own")
    place[index.i] = value


def array_of(node: NodeProto, name: str, attribute: AttributeProto) -> NDArray[Any]:
    """An attribute that is an array (size,): integers (`_NEURONS`) or float64; `InputError` on another."""
    if name in _NEURONS:
        if attribute.type != AttributeProto.INTS:
            raise InputError(f"{where(node)}: the attribute '{name}' must be a list of integers")
        return np.array(attribute.ints, np.int64)
    if attribute.type != AttributeProto.TENSOR:
        raise InputError(f"{where(node)}: the attribute '{name}' must be a float64 tensor")
    return float64(attribute.t, f"{where(node)}: the attribute '{name}'")


def whole_of(node: NodeProto, name: str) -> Any:
    """An attribute that is an integer, or a tuple of integers; `InputError` on another."""
    attribute = values_of(node)[name]
    if name in _WHOLE and attribute.type == AttributeProto.INT:
        return attribute.i
    if name not in _WHOLE and attribute.type == AttributeProto.INTS:
        return tuple(attribute.ints)
    raise InputError(f"{where(node)}: the attribute '{name}' must be {'an integer' if name in _WHOLE else 'integers'}")


def real_of(node: NodeProto, attribute: AttributeProto) -> float:
    """An attribute that is one real number; `InputError` on another."""
    array = array_of(node, attribute.name, attribute)
    if array.shape != ():
        raise InputError(
            f"{where(node)}: the attribute '{attribute.name}' has shape {array.shape}, one number is needed"
        )
    return float(array)


def float64(tensor: TensorProto, what: str) -> NDArray[np.float64]:
    """A float64 tensor as an array of its shape; ``what`` names it in the `InputError` on another type."""
    return _read(tensor, TensorProto.DOUBLE, what)


_STORED: dict[int, tuple[str, str]] = {
    TensorProto.DOUBLE: ("float64 (DOUBLE)", "double_data"),
    TensorProto.INT64: ("int64 (INT64)", "int64_data"),
}


def _read(tensor: TensorProto, kind: int, what: str, values: Region | None = None) -> NDArray[Any]:
    name, entries = _STORED[kind]
    if tensor.data_type != kind:
        raise InputError(f"{what} must be {name}")
    size = len(tensor.raw_data) // 8 if tensor.HasField("raw_data") else len(getattr(tensor, entries))
    size = size if values is None else values.size // 8
    if any(d < 0 for d in tensor.dims) or int(np.prod([int(d) for d in tensor.dims], dtype=object)) != size:
        raise InputError(f"{what} holds {size} values, its shape {list(tensor.dims)} needs another number")
    if values is not None:
        return filled(tuple(tensor.dims), "<f8" if kind == TensorProto.DOUBLE else "<i8", values.blocks())
    try:
        return np.asarray(numpy_helper.to_array(tensor))
    except (ValueError, TypeError) as error:
        raise InputError(f"{what} cannot be read ({error})") from None
