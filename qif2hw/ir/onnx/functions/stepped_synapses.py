"""Synapses in time steps, one function for each kind: what sources send becomes what reaches the neurons.

Values are (time steps, samples, neurons), with one step for all where they do not change.
"""

from qif2hw.ir.onnx.functions.body import Body, Same, Value, function
from qif2hw.ir.onnx.functions.trial_synapses import listed_rows

_FLOAT, _DOUBLE = 1, 11
"""Types of ONNX."""


def dense(op: Body, spikes: Value, weight: Value) -> Value:
    """All to all: ``weight`` is (post, pre)."""
    return _weighed(op, spikes, op.Transpose(weight, perm=[1, 0]))


def sparse(op: Body, spikes: Value, weight: Value, indptr: Value, indices: Value) -> Value:
    """Compressed rows, as `qif2hw.ir.Sparse` has them."""
    return _weighed(op, spikes, listed_rows(op, op.size(spikes, 2), weight, indptr, indices))


def conv(op: Body, spikes: Value, weight: Value) -> Value:
    """A convolution, in float32: ONNX Runtime has none in float64."""
    inside, padding = op.attribute("in_shape", "integers"), op.attribute("padding", "integers")
    steps, samples = op.size(spikes, 0), op.size(spikes, 1)
    images = op.Reshape(op.Cast(spikes, to=_FLOAT), op.Concat(steps * samples, inside, axis=0), allowzero=1)
    none = op.value([0, 0])
    padded = op.Pad(images, op.Concat(none, padding, none, padding, axis=0))
    made = op.Conv(
        padded,
        op.Cast(weight, to=_FLOAT),
        strides=Same("stride", "integers"),
        dilations=Same("dilation", "integers"),
        group=Same("groups", "integer"),
    )
    post = op.ReduceProd(op.Slice(op.Shape(made), [1], [4], [0]), keepdims=1)
    return op.Reshape(op.Cast(made, to=_DOUBLE), op.shape(steps, samples, post), allowzero=1)


def _weighed(op: Body, spikes: Value, rows: Value) -> Value:
    """Product with weights (pre, post).

    Of a matrix: ONNX Runtime would fuse a transposition before it with the product, which it cannot in float64.
    """
    steps, samples, pre = (op.size(spikes, axis) for axis in range(3))
    made = op.MatMul(op.Reshape(spikes, op.shape(steps * samples, pre), allowzero=1), rows)
    return op.Reshape(made, op.shape(steps, samples, op.size(rows, 1)), allowzero=1)


def delay(op: Body, spikes: Value, steps: Value) -> Value:
    """What source ``j`` sends, ``steps[j]`` later, and nothing before the first step."""
    count = op.attribute("time_steps", "integer")
    shape = op.shape(op.Reshape(count, [1]), 1, 1)
    by_source = op.Transpose(op.Expand(spikes, shape), perm=[0, 2, 1])
    sources, samples = op.size(by_source, 1), op.size(by_source, 2)
    # A row for each step and source, and one of nothing.
    rows = op.Reshape(by_source, op.shape(op.Reshape(count, [1]) * sources, samples), allowzero=1)
    rows = op.Concat(rows, op.Expand(0.0, op.shape(1, samples)), axis=0)
    step = op.Unsqueeze(op.Range(0, count, 1), [1]) - steps
    row = op.Where(op.Less(step, 0), count * sources, step * sources + op.count(sources))
    return op.Transpose(op.Gather(rows, row), perm=[0, 2, 1])


SYNAPSES = function("Synapses", dense)
SPARSE_SYNAPSES = function("SparseSynapses", sparse)
CONV_SYNAPSES = function("ConvSynapses", conv, "in_shape", "stride", "padding", "dilation", "groups")
DELAY = function("Delay", delay, "time_steps")
