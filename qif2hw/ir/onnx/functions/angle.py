"""The angle of a plane vector: ONNX Runtime has no arcus in float64."""

from math import pi

from qif2hw.ir.onnx.functions.body import Body, Value


def angle(op: Body, x: Value, y: Value) -> Value:
    r"""``atan2(y, x)`` in [0, pi], for ``y >= 0``, within 4e-16; of any shape.

    A rational first guess ``g`` of the angle in the first octant, within 0.005; turning by it leaves the tangent ``e``
    of what is missing, whose arcus is four terms of its series.
    """
    size = op.Max(op.Abs(x), y, 1e-300)
    wide, high = op.Abs(x) / size, y / size
    short, long = op.Min(wide, high), op.Max(wide, high)
    q = short / long
    guess = q / (0.28 * q * q + 1.0)
    sin, cos = op.Sin(guess), op.Sin(guess + pi / 2)
    e = (short * cos - long * sin) / (long * cos + short * sin)
    square = e * e
    series = ((square * (-1 / 7) + 0.2) * square + (-1 / 3)) * square + 1.0
    octant = guess + e * series
    quadrant = op.Where(wide < high, pi / 2 - octant, octant)
    return op.Where(x < 0.0, pi - quadrant, quadrant)
