"""``Encode``: inputs in [0, 1] as spikes."""

from qif2hw.ir.onnx.functions.body import Body, Value, function


def encode(op: Body, x: Value) -> tuple[Value, Value, Value]:
    """Spikes of a group: time, channel and phase at the trial's end, 0 of an input; all (samples + 1, channels).

    Inputs outside [0, 1], and what is no number, count as 0: `InRange` says what becomes of their results.  One sample
    more, which `FirstSpikes` takes away, so that there always is one: ONNX Runtime cannot sort nothing.
    """
    earliest, latest = op.attribute("earliest"), op.attribute("latest")
    channels = op.size(x, 1)
    x = op.Concat(x, op.Expand(0.0, op.shape(1, channels)), axis=0)
    inside = op.And(op.GreaterOrEqual(x, 0.0), op.LessOrEqual(x, 1.0))
    time = latest - op.Where(inside, x, 0.0) * (latest - earliest)
    channel = op.Expand(op.count(channels), op.Shape(x))
    return time, channel, op.Expand(0.0, op.Shape(x))


ENCODE = function("Encode", encode, "earliest", "latest")
