"""``InRange``: no result of inputs that are out of range."""

from math import nan

from qif2hw.ir.onnx.functions.body import Body, Value, function


def in_range(op: Body, y: Value, x: Value, low: Value, high: Value) -> Value:
    """Rows of ``y`` (samples, columns) where ``low <= x <= high`` in every column of ``x``, NaN in the others."""
    return rows_where(op, op.And(op.GreaterOrEqual(x, low), op.LessOrEqual(x, high)), y)


def rows_where(op: Body, inside: Value, y: Value) -> Value:
    """Rows of ``y`` where all of ``inside`` (samples, columns) is true, NaN in the others."""
    # ONNX Runtime looks for the smallest among numbers alone.
    row = op.ReduceMin(op.Cast(inside, to=1), axes=[1], keepdims=1)
    return op.Where(op.Cast(row, to=9), y, nan)


IN_RANGE = function("InRange", in_range)
