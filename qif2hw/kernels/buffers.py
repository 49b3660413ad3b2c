"""What goes into the kernels and comes out of them: named tuples of arrays, which numba can take apart.

A chain of layers runs from one *level* of spikes to the next: level 0 are its inputs, level ``l`` what its ``l``-th
layer gives.  Everything of one kind lies in one flat array, level after level (see `qif2hw.kernels.layout`).
"""

from typing import Any, NamedTuple


class Chain(NamedTuple):
    """Inputs, parameters and results of a chain of layers, as flat arrays.

    Parameters
    ----------
    times, psi
        Of level 0: (batch, size * depth) and (batch, size).
    values
        Address of what inputs tell (batch, size), which becomes their ``times``; zero if those are given.
    table
        Where each level lies; columns as in `qif2hw.kernels.layout`.
    spikes, ends, steps
        Sizes of the flat arrays of all levels' (batch, size * depth), (batch, size) and (batch, most steps) numbers.
    parameters
        Addresses of the weights (post, pre) and initial phases of the layer that makes each level (levels + 1, 2);
        before them those of the readout's ``factor`` and ``shift``, behind them of the inputs' ``latest`` and ``span``:
        a value spikes at ``latest - value * span``.
    y, first
        Outputs ``y[m] = shift[m] + factor[m] * (t[2m + 1] - t[2m])``, none without a readout, and first spike times
        ``t`` of the last level.
    a, growth, start
        What `qif2hw.kernels.dense.prepare` makes of them, see `Layer`.
    out
        Times, pseudo-phases and first spikes after the trial of all levels but level 0, see `Spikes`.
    marks
        ``place``, ``fired_by``, ``fired_in``, ``scale``, ``end_scale``, see `Record`.
    lengths
        ``length2``, ``end_length2``.
    turns, visits
        ``cosine``, ``sine``; ``row``, ``source``.
    counts
        ``many`` and ``fired`` (2, levels, batch); ``fired`` is -1 for spikes in no order, those of level 0.
    r, omega, trial, limit
        As in `Layer`, the same for all layers.
    """

    times: Any
    psi: Any
    values: int
    table: Any
    spikes: int
    ends: int
    steps: int
    parameters: Any
    y: Any
    first: Any
    a: Any
    growth: Any
    start: Any
    out: Any
    marks: Any
    lengths: Any
    turns: Any
    visits: Any
    counts: Any
    r: float
    omega: float
    trial: float
    limit: float


class Layer(NamedTuple):
    """Inputs and parameters of a layer.

    Parameters
    ----------
    times
        Input spike times (batch, pre * depth), infinite where there is none.
    psi
        Pseudo-phases of the presynaptic neurons (batch, pre).
    a
        Weights over r (pre + 1, padded post), the last row zero, flattened.
    growth
        ``log2`` of the factor by which a spike of each row of ``a`` can lengthen or shorten a vector.
    start
        Initial vectors (2, padded post).
    depth, omega, trial
        Input spikes per neuron; angular speed of the neurons; length of the trial.
    limit
        Growth in bits after which lengths are renormalised.
    """

    times: Any
    psi: Any
    a: Any
    growth: Any
    start: Any
    depth: int
    omega: float
    trial: float
    limit: float


class Spikes(NamedTuple):
    """Results of a layer: times (batch, post * K), pseudo-phases and the first spike after the trial.

    The gradients of a loss with respect to them have the same form.
    """

    times: Any
    psi: Any
    next: Any


class Record(NamedTuple):
    """What the backward kernel needs from the forward one: no trajectory, only the order of events and output spikes.

    Parameters
    ----------
    many, cosine, sine, row, source
        Steps of each sample: their number (batch,), and of each what `qif2hw.kernels.steps.steps` says, (batch, most).
    fired, fired_by, fired_in, place
        Output spikes, step after step: their number, neuron and step, and where in `Spikes.times` they are.
    length2, scale
        Squared length at each output spike and the exponent of the length.
    end_length2, end_scale
        The same after the extra shear at the trial's end.
    """

    many: Any
    cosine: Any
    sine: Any
    row: Any
    source: Any
    fired: Any
    fired_by: Any
    fired_in: Any
    place: Any
    length2: Any
    scale: Any
    end_length2: Any
    end_scale: Any


class Gradients(NamedTuple):
    """Gradients of a loss with respect to a chain.

    Parameters
    ----------
    times, psi
        To the inputs of the first layer (batch, pre * depth) and (batch, pre): results.
    given
        Addresses of the loss's gradients with respect to ``Chain.y``, ``first`` and ``out``; zero for nothing.
    parameters
        To the weights (post, pre) and the initial phases of each layer, one behind the other: results.
    """

    times: Any
    psi: Any
    given: Any
    parameters: Any


class Workspace(NamedTuple):
    """What a kernel works with while it runs through a sample.

    Parameters
    ----------
    state, g
        Vectors of the neurons (x of all, then y), for several samples (see `flush.last_shear`), and one more;
        backward, :math:`G`.
    exponent, number
        Of the neurons: exponents of the lengths, spikes so far.
    step_time, angle
        Of the steps, see `qif2hw.kernels.steps.steps`.
    order, room
        Input spikes in temporal order, and room to find it, see `qif2hw.kernels.sorting`.
    crossed
        Neurons that fired in the last step, as bits.
    late_x, late_y, late
        Vectors of output spikes at the end of their steps; angles.
    base, base_scale, rest, rest_scale
        Backward: :math:`G` of the neurons, and what remains of it after each output spike, with exponents.
    """

    state: Any
    g: Any
    crossed: Any
    exponent: Any
    number: Any
    step_time: Any
    angle: Any
    order: Any
    room: Any
    late_x: Any
    late_y: Any
    late: Any
    base: Any
    base_scale: Any
    rest: Any
    rest_scale: Any
