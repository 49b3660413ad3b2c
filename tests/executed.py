"""Executing a ``model.onnx`` without this library, for tests."""

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import ModelProto
from onnx.reference import ReferenceEvaluator

from qif2hw.ir import Network, onnx_io
from qif2hw.ir.onnx.execute_stepped import STEPPED_FORM
from qif2hw.ir.onnx.execute_trial import TRIAL_FORM
from qif2hw.ir.onnx.graph import PLAIN_VERSION
from qif2hw.ir.stepped import AnyNetwork

Array = NDArray[np.float64]


def in_runtime(data: bytes, inputs: dict[str, Array]) -> Array:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, inputs)[0])


def in_onnx(data: bytes, inputs: dict[str, Array]) -> Array:
    return np.asarray(ReferenceEvaluator(onnx.load_from_string(data)).run(None, inputs)[0])


Execute = Callable[[bytes, dict[str, Array]], Array]
BOTH = pytest.mark.parametrize("execute", [in_runtime, in_onnx])


def version(model: ModelProto) -> int:
    return next(o.version for o in model.opset_import if o.domain == "qif2hw")


def plainly(network: AnyNetwork) -> bytes:
    """A file of version 1, as files were written before they executed."""
    trial = isinstance(network, Network)
    model = onnx.load_from_string(onnx_io.to_bytes(network))
    nodes = (TRIAL_FORM if trial else STEPPED_FORM).plain(model.graph.node)
    kept = [t for t in model.graph.initializer if not t.name.startswith(("low:", "high:", "whole:", "step:"))]
    del model.graph.node[:], model.graph.initializer[:], model.functions[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(kept)
    for value in () if trial else model.graph.input:
        del value.type.tensor_type.shape.dim[1]
    next(o for o in model.opset_import if o.domain == "qif2hw").version = PLAIN_VERSION
    return bytes(model.SerializeToString())
