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
    """Compressed rows: neuron ``i`` has the synapses ``indptr[i]:indptr[i + 1]``, from sources ``indices``."""
    listed, post, pre = op.size(weight, 0), op.size(indptr, 0) - [1], op.size(phase, 1)
    one_more = op.Add(listed, [1])
    # The neuron of a synapse is how many neurons' lists end at or before it: counts of the ends, added up.
    ends = op.Slice(indptr, [1], [-1], [0])
    counts = op.ScatterElements(op.Expand(0, one_more), ends, op.Expand(1, op.Shape(ends)), axis=0, reduction="add")
    neuron = op.Slice(op.CumSum(counts, 0), [0], listed, [0])
    empty = op.Expand(0.0, pre * post)
    filled = op.ScatterElements(empty, indices * post + neuron, weight, axis=0)
    rows = op.Reshape(filled, op.shape(pre, post))
    return _with_zeros(op, rows), op.MatMul(phase, rows)


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
JOIN = function("Join", join)
