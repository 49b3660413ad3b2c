"""Executing a ``model.onnx`` without this library, for tests."""

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import ModelProto
from onnx.reference import ReferenceEvaluator

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
