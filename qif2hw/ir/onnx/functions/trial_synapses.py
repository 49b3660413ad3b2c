"""Synapses, one function for each kind: a table of what each source's spike adds, and what all add after the trial.

Each makes of the sources' phases (samples, pre), the weights and the arrays of its kind

    table   (pre + 1, post): weights by source, and a row of zeros for spikes that there are not
    flush   (samples, post): weights times phases, what every neuron gets at the trial's end
"""

from qif2hw.ir.onnx.functions.body import Body, Value, function


def dense(op: Body, phase: Value, weight: Value) -> tuple[Value, Value]:
    """All to all: ``weight`` is (post, pre)."""
    rows = op.Transpose(weight, perm=[1, 0])
    return _with_zeros(op, rows), op.MatMul(phase, rows)


def sparse(op: Body, phase: Value, weight: Value, indptr: Value, indices: Value) -> tuple[Value, Value]:
    """Compressed rows, as `qif2hw.ir.Sparse` has them."""
    rows = listed_rows(op, op.size(phase, 1), weight, indptr, indices)
    return _with_zeros(op, rows), op.MatMul(phase, rows)


def listed_rows(op: Body, pre: Value, weight: Value, indptr: Value, indices: Value) -> Value:
    """Weights (pre, post): neuron ``i`` has the synapses ``indptr[i]:indptr[i + 1]``, from sources ``indices``."""
    listed, post = op.size(weight, 0), op.size(indptr, 0) - [1]
    one_more = op.Add(listed, [1])
    # The neuron of a synapse is how many neurons' lists end at or before it: counts of the ends, added up.
    ends = op.Slice(indptr, [1], [-1], [0])
    counts = op.ScatterElements(op.Expand(0, one_more), ends, op.Expand(1, op.Shape(ends)), axis=0, reduction="add")
    neuron = op.Slice(op.CumSum(counts, 0), [0], listed, [0])
    empty = op.Expand(0.0, pre * post)
    filled = op.ScatterElements(empty, indices * post + neuron, weight, axis=0)
    return op.Reshape(filled, op.shape(pre, post))


def conv(op: Body, phase: Value, weight: Value) -> tuple[Value, Value]:
    """A convolution, `qif2hw.ir.Conv2d`, unrolled: ONNX Runtime has none in float64."""
    inside, groups = op.attribute("in_shape", "integers"), op.attribute("groups", "integer")
    outside, per = op.size(weight, 0), op.size(weight, 1)
    # Channels: the entry of the weights, from the source's (channels, 1) and the neuron's (output channels,).
    source, neuron = op.Unsqueeze(op.count(op.Gather(inside, [0])), [1]), op.count(outside)
    same_group = op.Equal(op.Div(source, per), op.Div(neuron, op.Div(outside, groups)))
    channel = (neuron * per + op.Mod(source, per)) * op.size(weight, 2) * op.size(weight, 3)
    (row, real_row), (column, real_column) = (_side(op, inside, weight, axis) for axis in (0, 1))

    # All over (channels, rows, columns of sources, the same of neurons).
    axes = ([1, 2, 4, 5], [0, 2, 3, 5], [0, 1, 3, 4])
    entries = (channel, row * op.size(weight, 3), column)
    a, b, c = (op.Unsqueeze(one, axis) for one, axis in zip(entries, axes, strict=True))
    meet = (same_group, real_row, real_column)
    in_channel, in_row, in_column = (op.Unsqueeze(one, axis) for one, axis in zip(meet, axes, strict=True))
    nothing = op.Size(weight)
    place = op.Where(op.And(op.And(in_channel, in_row), in_column), a + b + c, nothing)
    flat = op.Concat(op.Reshape(weight, [-1]), [0.0], axis=0)
    post = op.ReduceProd(op.Slice(op.Shape(place), [3], [6], [0]), keepdims=1)
    rows = op.Reshape(op.Gather(flat, place), op.shape(op.size(phase, 1), post))
    return _with_zeros(op, rows), op.MatMul(phase, rows)


def _side(op: Body, inside: Value, weight: Value, axis: int) -> tuple[Value, Value]:
    """Row (column) of the kernel by which a source's row reaches a neuron's, and whether it does: both (pre, post)."""
    stride, padding, dilation = (
        op.Gather(op.attribute(name, "integers"), [axis]) for name in ("stride", "padding", "dilation")
    )
    size, kernel = op.Gather(inside, [axis + 1]), op.size(weight, axis + 2)
    one = op.value([1])
    post = op.Div(size + padding * 2 - dilation * (kernel - one) - one, stride) + one
    ahead = op.Unsqueeze(op.count(size), [1]) + padding - op.count(post) * stride
    tap = op.Div(ahead, dilation)
    real = op.And(op.GreaterOrEqual(ahead, 0), op.And(op.Equal(op.Mod(ahead, dilation), 0), op.Less(tap, kernel)))
    return tap, real


def join(
    op: Body,
    time: Value,
    channel: Value,
    table: Value,
    flush: Value,
    more_time: Value,
    more_channel: Value,
    more_table: Value,
    more_flush: Value,
) -> tuple[Value, Value, Value, Value]:
    """Spikes and synapses of two projections as those of one: the second's channels come after the first's."""
    return (
        op.Concat(time, more_time, axis=1),
        op.Concat(channel, more_channel + op.size(table, 0), axis=1),
        op.Concat(table, more_table, axis=0),
        flush + more_flush,
    )


def _with_zeros(op: Body, rows: Value) -> Value:
    return op.Concat(rows, op.Expand(0.0, op.shape(1, op.size(rows, 1))), axis=0)


SYNAPSES = function("Synapses", dense)
SPARSE_SYNAPSES = function("SparseSynapses", sparse)
CONV_SYNAPSES = function("ConvSynapses", conv, "in_shape", "stride", "padding", "dilation", "groups")
JOIN = function("Join", join)
