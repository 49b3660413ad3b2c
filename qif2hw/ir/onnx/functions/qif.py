r"""``QIF``: a population through a trial, and what there is of it afterwards: ``Spikes`` and ``FirstSpikes``.

A neuron is its plane vector ``(x, y)``, ``y >= 0`` (see `qif2hw.neuron`).  All neurons walk over the arriving spikes in
the order of time: the vector turns by ``omega`` times the time since the last one, one that came below ``y = 0`` has
fired and changes its sign, the spike shears it.  What ``QIF`` makes:

    since, until   (samples, events): the gap before each event
    x, y           (events, samples, neurons): vectors at the end of the gap; ``y < 0`` if the neuron fired in it
    theta          (samples, neurons): angles after the trial and the shear at its end
    omega          (): angular speed

Gaps are made shorter than a period by events without effect, so that a neuron fires at most once in one; the last event
is the trial's end.
"""

from math import pi

from qif2hw.ir.onnx.functions.angle import angle
from qif2hw.ir.onnx.functions.body import Body, Looped, Value, function


def qif(op: Body, phi0: Value, time: Value, channel: Value, table: Value, flush: Value) -> tuple[Value, ...]:
    """A trial, as described above: ``phi0`` (neurons,), the rest from spikes and synapses."""
    tau, i0, trial = op.attribute("tau"), op.attribute("i0"), op.attribute("trial")
    r = op.Sqrt(i0 - 0.25)
    omega = r / tau
    since, until, rows = _events(op, time, channel, table, omega, trial)
    samples = op.size(time, 0)
    size = op.shape(samples, op.size(phi0, 0))
    start = omega * phi0
    turn = op.Transpose(omega * (until - since), perm=[1, 0])
    states = (table / r, op.Expand(_cos(op, start), size), op.Expand(op.Sin(start), size))
    # Flat in between: onnx.reference of 1.16 and 1.17 fails on indices that are a view.
    which = op.Reshape(op.Reshape(op.Transpose(rows, perm=[1, 0]), [-1]), op.shape(op.size(rows, 1), samples))
    cos, sin = (op.Unsqueeze(one, [2]) for one in (_cos(op, turn), op.Sin(turn)))
    _, x_end, y_end, x, y = op.scan(
        _event,
        [Looped(one, axes) for one, axes in zip(states, ("rows n", "b n", "b n"), strict=True)],
        [Looped(cos, "b 1"), Looped(sin, "b 1"), Looped(which, "b", whole=True)],
        made=("b n", "b n"),
    )
    theta = angle(op, x_end - flush / r * y_end, y_end)
    return since, until, x, y, theta, omega


def _cos(op: Body, angle: Value) -> Value:
    """Cosine: ONNX Runtime has none in float64."""
    return op.Sin(angle + pi / 2)


def _events(
    op: Body, time: Value, channel: Value, table: Value, omega: Value, trial: Value
) -> tuple[Value, Value, Value]:
    """Start and end of the gap before each event, and its row of the table, sorted by time: all (samples, events)."""
    samples = op.size(time, 0)
    pieces = op.Floor(omega * trial / pi) + 1.0
    more = op.Cast(op.Reshape(pieces, [1]), to=7)
    added = (op.Cast(op.count(more), to=11) + 1.0) * trial / pieces
    shape = op.shape(samples, more)
    times = op.Concat(time, op.Expand(added, shape), axis=1)
    rows = op.Concat(channel, op.Expand(op.size(table, 0) - [1], shape), axis=1)
    events = op.size(times, 1)
    until, place = op.TopK(times, events, axis=1, largest=0, sorted=1, outputs=2)
    first = op.Unsqueeze(op.count(samples), [1]) * events
    which = op.Gather(op.Reshape(rows, [-1]), place + first)
    since = op.Concat(op.Expand(0.0, op.shape(samples, 1)), op.Slice(until, [0], [-1], [1]), axis=1)
    return since, until, which


def _event(op: Body, table: Value, x: Value, y: Value, c: Value, s: Value, which: Value) -> tuple[Value, ...]:
    """One event of all samples: turn, fold, shear; vectors only matter by their direction."""
    turned_x, turned_y = c * x - s * y, s * x + c * y
    folded_x, folded_y = op.Where(turned_y < 0.0, -turned_x, turned_x), op.Abs(turned_y)
    sheared = folded_x - op.Gather(table, which, axis=0) * folded_y
    length = op.Abs(sheared) + folded_y
    return op.Identity(table), sheared / length, folded_y / length, turned_x, turned_y


def spikes(
    op: Body, since: Value, until: Value, x: Value, y: Value, theta: Value, omega: Value
) -> tuple[Value, Value, Value]:
    """Spikes as `Encode` makes them: time and channel (samples, most spikes), phase (samples, neurons).

    Samples with fewer spikes have some at the trial's end on the channel behind the last, that of no effect.
    """
    samples, events, neurons = op.size(x, 1), op.size(x, 0), op.size(x, 2)
    fired = op.Transpose(y < 0.0, perm=[1, 0, 2])
    found = op.NonZero(fired)
    sample, event, neuron = (op.Gather(found, k, axis=0) for k in range(3))
    gap = sample * events + event
    vector = (event * samples + sample) * neurons + neuron
    time = _fired_at(op, since, until, x, y, omega, gap, vector)
    count = op.ReduceSum(op.Cast(fired, to=7), [1, 2], keepdims=0)
    nth = op.Range(0, op.ReduceMax(count, keepdims=0), 1)
    entry = op.Unsqueeze(op.CumSum(count, 0, exclusive=1), [1]) + nth
    real = nth < op.Unsqueeze(count, [1])
    # Behind all spikes stands that of no effect.
    entry = op.Where(real, entry, op.size(time, 0))
    end = op.Slice(op.Reshape(until, [-1]), [-1], [1 << 62], [0])
    times, channels = op.Concat(time, end, axis=0), op.Concat(neuron, neurons, axis=0)
    return op.Gather(times, entry), op.Gather(channels, entry), theta / pi


def first_spikes(op: Body, since: Value, until: Value, x: Value, y: Value, theta: Value, omega: Value) -> Value:
    """First spike of every neuron, (samples, neurons) without the last sample, which `Encode` added.

    Where there is none in the trial, the pseudospike after it.
    """
    samples, events, neurons = op.size(x, 1), op.size(x, 0), op.size(x, 2)
    # ONNX Runtime looks for the largest among numbers alone.
    fired = op.Cast(y < 0.0, to=1)
    event = op.ArgMax(fired, axis=0, keepdims=0)
    sample = op.Unsqueeze(op.count(samples), [1])
    gap = sample * events + event
    vector = (event * samples + sample) * neurons + op.count(neurons)
    ordinary = _fired_at(op, since, until, x, y, omega, gap, vector)
    end = op.Slice(until, [-1], [1 << 62], [1])
    ever = op.Cast(op.ReduceMax(fired, axes=[0], keepdims=0), to=9)
    return op.Slice(op.Where(ever, ordinary, end + (pi - theta) / omega), [0], [-1], [0])


def _fired_at(
    op: Body, since: Value, until: Value, x: Value, y: Value, omega: Value, gap: Value, vector: Value
) -> Value:
    """Times at which neurons fired, of any shape: ``gap`` and ``vector`` are places in the flattened arrays."""
    begin, end, x, y = (
        op.Gather(op.Reshape(all_, [-1]), place)
        for all_, place in ((since, gap), (until, gap), (x, vector), (y, vector))
    )
    return op.Max(end - angle(op, -x, op.Abs(y)) / omega, begin)


QIF = function("QIF", qif, "tau", "i0", "trial")
SPIKES = function("Spikes", spikes)
FIRST_SPIKES = function("FirstSpikes", first_spikes)
