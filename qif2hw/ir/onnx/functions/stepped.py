r"""Input groups, populations and results in time steps.

Values are (time steps, samples, neurons), with one step for all where they do not change; ``spikes`` are 0 and 1.  All
are float64, in which the integers of CUBA neurons are exact.
"""

from qif2hw.discrete.cuba import DECAY_UNITY, LARGEST, STATE_SHIFT
from qif2hw.ir.onnx.functions.body import Body, Looped, Value, function
from qif2hw.ir.onnx.functions.in_range import rows_where

_DOUBLE = 11
_COUNT = float(1 << STATE_SHIFT)
"""Counts of a CUBA neuron's state in a count of the weights."""


def frames(op: Body, x: Value) -> Value:
    """Values of (samples, 1 or time steps, ...)."""
    return op.Transpose(_flat(op, x, 2), perm=[1, 0, 2])


def frames_on_grid(op: Body, x: Value) -> Value:
    """The same, rounded to multiples of ``unit``."""
    unit = op.attribute("unit")
    return op.Round(frames(op, x) / unit) * unit


def quadratic(op: Body, bias: Value, kicks: Value, step: Value) -> Value:
    """Spikes of neurons whose step is ``u -> c + (c0 + c1 w + c2 w^2) / (d0 + d1 w)`` with ``w = u - c``.

    ``step`` is (c, c0, c1, c2, d0, d1), see `qif2hw.discrete.Relaxation`.
    """
    reset, gain, threshold = op.attribute("reset"), op.attribute("gain"), op.attribute("threshold")
    given = gain * _in_every_step(op, bias, kicks)
    numbers = op.Concat(step, *(op.Reshape(one, [1]) for one in (reset, threshold)), axis=0)
    start = op.Expand(reset, op.shape(op.size(given, 1), op.size(given, 2)))
    _, _, spikes = op.scan(
        _quadratic_step, [Looped(numbers, "8"), Looped(start, "? ?")], [Looped(given, "? ?")], ("? ?",)
    )
    return spikes


def _quadratic_step(op: Body, numbers: Value, u: Value, given: Value) -> tuple[Value, Value, Value]:
    c, c0, c1, c2, d0, d1, reset, threshold = (op.Gather(numbers, k) for k in range(8))
    w = u - c
    v = c + (c0 + w * (c1 + c2 * w)) / (d0 + d1 * w) + given
    fired = op.GreaterOrEqual(v, threshold)
    return op.Identity(numbers), op.Where(fired, reset, v), op.Cast(fired, to=_DOUBLE)


def accumulator(op: Body, bias: Value, kicks: Value) -> Value:
    """Sum over the time steps, (samples, neurons)."""
    return op.ReduceSum(_in_every_step(op, bias, kicks), [0], keepdims=0)


def accumulated(op: Body, sums: Value) -> Value:
    """``scale`` times what is held, (samples, neurons)."""
    return op.attribute("scale") * sums


def synaptic(op: Body, bias: Value, kicks: Value) -> Value:
    """Spikes of `qif2hw.discrete.SteppedSynaptic` neurons."""
    _, fired = _synaptic(op, bias, kicks, op.attribute("threshold"))
    return fired


def synaptic_potential(op: Body, bias: Value, kicks: Value) -> Value:
    """Potential after the last step of such neurons that never spike, (samples, neurons)."""
    u, _ = _synaptic(op, bias, kicks, op.value(float("inf")))
    return u


def _synaptic(op: Body, bias: Value, kicks: Value, threshold: Value) -> tuple[Value, Value]:
    """Last potential (samples, neurons) and spikes."""
    names = ("current_leak", "leak", "rest", "reset", "gain")
    given = _in_every_step(op, bias, kicks)
    numbers = op.Concat(*(op.Reshape(one, [1]) for one in (*map(op.attribute, names), threshold)), axis=0)
    size = op.shape(op.size(given, 1), op.size(given, 2))
    states = [Looped(op.Expand(start, size), "? ?") for start in (op.attribute("reset"), op.value(0.0))]
    _, u, _, fired = op.scan(_synaptic_step, [Looped(numbers, "6"), *states], [Looped(given, "? ?")], ("? ?",))
    return u, fired


def _synaptic_step(op: Body, numbers: Value, u: Value, i: Value, given: Value) -> tuple[Value, ...]:
    current_leak, leak, rest, reset, gain, threshold = (op.Gather(numbers, k) for k in range(6))
    i = current_leak * i + given
    v = rest + leak * (u - rest) + gain * i
    fired = op.GreaterOrEqual(v, threshold)
    return op.Identity(numbers), op.Where(fired, reset, v), i, op.Cast(fired, to=_DOUBLE)


def cuba(op: Body, bias: Value, kicks: Value) -> Value:
    """Spikes of CUBA neurons, in the integers of `qif2hw.discrete.cuba`."""
    threshold = _of_neurons(op, op.Cast(op.attribute("threshold", "integers"), to=_DOUBLE)) * _COUNT
    _, fired = _cuba(op, bias, kicks, threshold)
    return fired


def cuba_voltage(op: Body, bias: Value, kicks: Value) -> Value:
    """Voltage after the last step of CUBA neurons that never spike, (samples, neurons), in counts of the weights."""
    v, _ = _cuba(op, bias, kicks, _of_neurons(op, op.value([float(LARGEST)])))
    return v / _COUNT


def _cuba(op: Body, bias: Value, kicks: Value, threshold: Value) -> tuple[Value, Value]:
    """Last voltage (samples, neurons) and spikes."""
    current, voltage = (
        _of_neurons(op, op.Cast(op.attribute(name, "integers") * -1 + DECAY_UNITY, to=_DOUBLE))
        for name in ("current_decay", "voltage_decay")
    )
    every = op.Round(_per_neuron(op, bias) * _COUNT)
    count = op.attribute("time_steps", "integer")
    given = op.Expand(op.Round(kicks * _COUNT), op.shape(op.Reshape(count, [1]), 1, 1))
    start = op.Expand(0.0, op.shape(op.size(given, 1), op.size(given, 2)))
    fixed = [Looped(one, "?") for one in (every, current, voltage, threshold)]
    *_, v, _, fired = op.scan(
        _cuba_step, [*fixed, Looped(start, "? ?"), Looped(start, "? ?")], [Looped(given, "? ?")], ("? ?",)
    )
    return v, fired


def _cuba_step(
    op: Body,
    bias: Value,
    current: Value,
    voltage: Value,
    threshold: Value,
    v: Value,
    u: Value,
    given: Value,
) -> tuple[Value, ...]:
    """One step; ``current`` and ``voltage`` are what is left of them, of `DECAY_UNITY`."""
    turn = float(2 * (LARGEST + 1))
    u = _towards_zero(op, u * current / float(DECAY_UNITY)) + given
    shifted = u + float(LARGEST)
    u = shifted - op.Floor(shifted / turn) * turn - float(LARGEST)
    v = _towards_zero(op, v * voltage / float(DECAY_UNITY)) + u + bias
    v = op.Min(op.Max(v, -float(LARGEST)), float(LARGEST))
    fired = threshold < v
    same = tuple(op.Identity(one) for one in (bias, current, voltage, threshold))
    return *same, op.Where(fired, 0.0, v), u, op.Cast(fired, to=_DOUBLE)


def _towards_zero(op: Body, x: Value) -> Value:
    return op.Sign(x) * op.Floor(op.Abs(x))


def _flat(op: Body, x: Value, first: int) -> Value:
    """All axes from the ``first`` on as one; onnx.reference cannot flatten nothing."""
    sizes = op.Shape(x)
    width = op.ReduceProd(op.Slice(sizes, [first], [1 << 62], [0]), keepdims=1)
    return op.Reshape(x, op.Concat(op.Slice(sizes, [0], [first], [0]), width, axis=0), allowzero=1)


def _in_every_step(op: Body, bias: Value, kicks: Value) -> Value:
    """Bias and kicks, (time steps, samples, neurons)."""
    count = op.attribute("time_steps", "integer")
    return op.Expand(_per_neuron(op, bias) + kicks, op.shape(op.Reshape(count, [1]), 1, 1))


def _per_neuron(op: Body, bias: Value) -> Value:
    """The bias, one per channel or of the population's shape, as (neurons,)."""
    channels = op.Gather(op.attribute("shape", "integers"), [0])
    return _of_neurons(op, op.Reshape(bias, op.shape(channels, -1)))


def _of_neurons(op: Body, values: Value) -> Value:
    """Values (1,), (channels,), (channels, 1) or (channels, neurons of one) as (neurons,)."""
    shape = op.attribute("shape", "integers")
    neurons = op.ReduceProd(shape, keepdims=1)
    channels = op.Gather(shape, [0])
    by_channel = op.Reshape(values, op.shape(op.size(values, 0), -1))
    return op.Reshape(op.Expand(by_channel, op.shape(channels, op.Div(neurons, channels))), [-1])


def frames_in_range(op: Body, y: Value, x: Value, low: Value, high: Value, whole: Value) -> Value:
    """Rows of ``y`` (samples, columns) where all of ``x`` lies between ``low`` and ``high``, NaN in the others.

    Where ``whole`` is 1, not 0, all of ``x`` must be integers too.
    """
    flat = _flat(op, x, 1)
    odd = op.Abs(flat - op.Round(flat)) * whole
    inside = op.And(op.GreaterOrEqual(flat, low), op.LessOrEqual(flat, high))
    return rows_where(op, op.And(inside, op.Equal(odd, 0.0)), y)


_NEURON = ("shape", "time_steps")
FRAMES = function("Frames", frames)
FRAMES_ON_GRID = function("FramesOnGrid", frames_on_grid, "unit")
_QUADRATIC = ("reset", "gain", "threshold", *_NEURON)
STEPPED_QIF = function("SteppedQIF", quadratic, *_QUADRATIC)
STEPPED_LIF = function("SteppedLIF", quadratic, *_QUADRATIC)
_SYNAPTIC = ("current_leak", "leak", "rest", "reset", "gain", *_NEURON)
STEPPED_SYNAPTIC = function("SteppedSynaptic", synaptic, "threshold", *_SYNAPTIC)
SYNAPTIC_POTENTIAL = function("SteppedSynapticPotential", synaptic_potential, *_SYNAPTIC)
STEPPED_CUBA = function("SteppedCUBA", cuba, "current_decay", "voltage_decay", "threshold", *_NEURON)
CUBA_VOLTAGE = function("SteppedCUBAVoltage", cuba_voltage, "current_decay", "voltage_decay", *_NEURON)
ACCUMULATOR = function("Accumulator", accumulator, *_NEURON)
ACCUMULATED = function("Accumulated", accumulated, "scale")
FRAMES_IN_RANGE = function("InRange", frames_in_range)
