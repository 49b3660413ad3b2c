"""Results of first spikes, one function for each kind of readout; the first spikes are (samples, neurons)."""

from qif2hw.ir.onnx.functions.body import Body, Value, function


def first_spike_difference(op: Body, first: Value) -> Value:
    """``offset + scale (t[stop] - t[start])``, (samples, outputs)."""
    start, stop = op.attribute("start", "integers"), op.attribute("stop", "integers")
    scale, offset = op.attribute("scale"), op.attribute("offset")
    return offset + scale * (op.Gather(first, stop, axis=1) - op.Gather(first, start, axis=1))


def product(op: Body, left: Value, right: Value) -> Value:
    """``offset + scale`` times the inner product of two results, (samples, 1)."""
    scale, offset = op.attribute("scale"), op.attribute("offset")
    return offset + scale * op.ReduceSum(left * right, [1], keepdims=1)


def first_spike(op: Body, first: Value) -> Value:
    """``t[neuron]``, (samples, classes)."""
    return op.Gather(first, op.attribute("neuron", "integers"), axis=1)


FIRST_SPIKE = function("FirstSpike", first_spike, "neuron")
FIRST_SPIKE_DIFFERENCE = function("FirstSpikeDifference", first_spike_difference, "start", "stop", "scale", "offset")
PRODUCT = function("Product", product, "scale", "offset")
