"""The model in an ONNX file, checked, without the values of its large arrays."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, NodeProto, TensorProto

from qif2hw.errors import InputError
from qif2hw.files import Region
from qif2hw.ir.large import LARGE
from qif2hw.ir.onnx.functions.body import DOMAIN
from qif2hw.ir.onnx.graph import MAX_BYTES, MOST_BYTES, PLAIN_VERSION, VERSION
from qif2hw.ir.onnx.stored import elsewhere, is_elsewhere, without_large


def parse(file: Region, folder: Path | None = None) -> tuple[ModelProto, dict[str, Region]]:
    """The model in a file, and where the values of large arrays lie, by name.

    Parameters
    ----------
    file
        Its bytes.
    folder
        Where arrays may lie that it stores in other files; they are refused where there is none.

    Raises
    ------
    InputError
        Unless it is a valid one of this domain and version.
    """
    if file.size > MOST_BYTES:
        raise InputError(f"larger than the limit of {MOST_BYTES} bytes")
    data, found = without_large(file)
    if len(data) > MAX_BYTES:
        raise InputError(f"larger than the limit of {MAX_BYTES} bytes, large arrays apart")
    try:
        model = ModelProto.FromString(data)
    except (DecodeError, RecursionError, UnicodeDecodeError):
        raise InputError("not an ONNX file") from None
    if not model.ir_version or not model.HasField("graph"):
        raise InputError("not an ONNX file")
    # Of bytes that are no text the parser makes no text.
    if not all(isinstance(name, str) for name in _names(model)):
        raise InputError("not a valid ONNX model (a name is not UTF-8)")
    _check_version(model)
    # Before the checker, which would look for the files that such tensors name.
    for tensor in (*(() if folder else model.graph.initializer), *_constants(_all_nodes(model))):
        if is_elsewhere(tensor):
            raise InputError(f"tensor '{tensor.name}' is stored in another file: only self-contained models are read")
    shapes = {}
    for place, tensor in enumerate(model.graph.initializer):
        if folder is not None and is_elsewhere(tensor):
            if tensor.HasField("raw_data") or place in found:
                raise InputError(f"tensor '{tensor.name}' is stored twice")
            found[place] = elsewhere(tensor, folder)
            tensor.ClearField("external_data")
            tensor.ClearField("data_location")
            if found[place].size < LARGE:
                tensor.raw_data = found.pop(place).read()
        if place in found:
            # The checker sees one value in place of many.
            shapes[place] = list(tensor.dims)
            tensor.dims[:], tensor.raw_data = [1], bytes(8)
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise InputError(f"not a valid ONNX model ({reason})") from None
    large: dict[str, Region] = {}
    for place, tensor in enumerate(model.graph.initializer):
        large.pop(tensor.name, None)
        if place in found:
            tensor.dims[:] = shapes[place]
            tensor.ClearField("raw_data")
            large[tensor.name] = found[place]
    return model, large


def _check_version(model: ModelProto) -> None:
    versions = {o.domain: o.version for o in model.opset_import}
    if DOMAIN not in versions:
        operators = list(dict.fromkeys(node.op_type for node in model.graph.node))[:4]
        raise InputError(
            f"an ONNX file, but of no QIF network (its operators: {', '.join(operators) or 'none'}); "
            f"bare weights become a model with 'qif2hw import'"
        )
    if versions[DOMAIN] not in (PLAIN_VERSION, VERSION):
        raise InputError(f"written for version {versions[DOMAIN]} of the domain '{DOMAIN}', this is version {VERSION}")


def is_executable(model: ModelProto) -> bool:
    """Whether the nodes of a model execute."""
    return any(o.domain == DOMAIN and o.version == VERSION for o in model.opset_import)


def _names(model: ModelProto) -> Iterator[object]:
    for node in _all_nodes(model):
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
    yield from (part.name for part in (*model.graph.input, *model.graph.output, *model.graph.initializer))
    for function in model.functions:
        yield from (function.name, function.domain, *function.input, *function.output, *function.attribute)


def _all_nodes(model: ModelProto) -> Iterator[NodeProto]:
    yield from _with_inner(model.graph.node)
    for function in model.functions:
        yield from _with_inner(function.node)


def _with_inner(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _with_inner(attribute.g.node)


def _constants(nodes: Iterable[NodeProto]) -> Iterator[TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
