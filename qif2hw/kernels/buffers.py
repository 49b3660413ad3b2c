"""Arrays that the kernels of a chain of layers work on: named tuples, which numba can take apart, and their layout.

A chain of layers runs from one *level* of spikes to the next: level 0 are its inputs, level ``l`` the spikes of its
``l``-th layer.  All numbers of one kind lie in one flat array, level after level; `layout` says where.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.kernels.sorting import Room
from qif2hw.kernels.steps import most_steps
from qif2hw.simd import Ints, Reals, padded

SIZE, DEPTH, PAD, MOST, SPIKES, ENDS, STEPS, A, GROWTH, START, PARAMETERS = range(11)
"""Columns of a table.

``SIZE, DEPTH``: neurons of a level, and spikes of each.  ``PAD, MOST``: padded neurons and largest number of steps of
the layer that makes it.  Where its numbers begin: ``SPIKES`` (batch, size * depth), ``ENDS`` (batch, size), ``STEPS``
(batch, most steps), ``A, GROWTH, START`` what that layer's parameters are prepared into, ``PARAMETERS`` its parameters
(weights, then initial phases).
"""

EVENT_COST = 64
"""Cost of an input spike besides its updates (its place in the order, its angle), in updates."""


class Layout(NamedTuple):
    """Table of a chain, a row for each level, and what follows from it.

    Parameters
    ----------
    table, rows, depths
        The table as an array and as lists; its column ``DEPTH``.
    totals
        Sizes of the flat arrays, by column.
    cells
        Largest number of padded weights of a layer.
    work
        Upper bound of the updates of a pass (input spikes times neurons), and the further cost of input spikes.
    """

    table: IntArray
    rows: list[list[int]]
    depths: tuple[int, ...]
    totals: tuple[int, ...]
    cells: int
    work: int


@lru_cache(maxsize=128)
def layout(batch: int, sizes: tuple[int, ...], depths: tuple[int, ...], angle: float, dtype: DTypeLike) -> Layout:
    """Layout of a chain.

    Parameters
    ----------
    batch
        Number of samples.
    sizes, depths
        Neurons of each level, and spikes per neuron that there is room for.
    angle
        Angle by which a free neuron turns in a trial, ``omega T``.
    dtype
        float64 or float32.
    """
    rows = [(batch * sizes[0] * depths[0], batch * sizes[0], 0, 0, 0, 0, 0)]
    pads, most = [0], [0]
    work = 0
    for pre, depth, post, room in zip(sizes, depths, sizes[1:], depths[1:], strict=False):
        pad = padded(post, dtype)
        most.append(most_steps(pre * depth, angle))
        cells = (pre + 1) * pad
        rows.append((batch * post * room, batch * post, batch * most[-1], cells, pre + 1, 2 * pad, (pre + 1) * post))
        pads.append(pad)
        work += batch * (pre * depth * (pad + EVENT_COST) + 4 * post)
    ends = np.cumsum(np.array(rows, np.int64), axis=0)
    table = np.column_stack([sizes, depths, pads, most, ends - np.array(rows, np.int64)])
    cells = max(row[A - SPIKES] for row in rows)
    return Layout(table, table.tolist(), depths, (0, 0, 0, 0, *ends[-1].tolist()), cells, work)


class Chain(NamedTuple):
    """Inputs, parameters and results of a chain of layers, as flat arrays.

    Parameters
    ----------
    times, psi
        Of level 0: (batch, size * depth) and (batch, size).
    values
        Address of input values (batch, size), to be encoded into ``times``; zero if the times are given.
    table
        `Layout.table`.
    spikes, ends, steps
        Sizes of the flat arrays of all levels' (batch, size * depth), (batch, size) and (batch, most steps) numbers.
    parameters
        Addresses of the weights (post, pre) and initial phases of the layer that makes each level (levels + 1, 2);
        before them those of the readout's ``scale`` and ``offset``, behind them of the inputs' ``earliest`` and
        ``latest`` spike times, see `qif2hw.neuron.latency`.
    y, first
        Outputs (batch, outputs), `qif2hw.neuron.difference` of neighbours in ``first``, none without a readout; first
        spike times (batch, size) of the last level.
    a, growth, start
        Parameters as `qif2hw.kernels.dense.prepare` leaves them, see `Layer`.
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

    times: Reals
    psi: Reals
    values: int
    table: IntArray
    spikes: int
    ends: int
    steps: int
    parameters: IntArray
    y: Reals
    first: Reals
    a: Reals
    growth: FloatArray
    start: Reals
    out: Reals
    marks: Ints
    lengths: Reals
    turns: Reals
    visits: Ints
    counts: Ints
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

    times: Reals
    psi: Reals
    a: Reals
    growth: FloatArray
    start: Reals
    depth: int
    omega: float
    trial: float
    limit: float


class Spikes(NamedTuple):
    """Results of a layer: times (batch, post * K), pseudo-phases and the first spike after the trial.

    The gradients of a loss with respect to them have the same form.
    """

    times: Reals
    psi: Reals
    next: Reals


class Record(NamedTuple):
    """State that the backward kernel reads: no trajectory, only the order of events and output spikes.

    Parameters
    ----------
    many, cosine, sine, row, source
        Steps of each sample: their number (batch,), and columns (batch, most) as `qif2hw.kernels.steps.steps` writes
        them.
    fired, fired_by, fired_in, place
        Output spikes, step after step: their number, neuron and step, and where in `Spikes.times` they are.
    length2, scale
        Squared length at each output spike and the exponent of the length.
    end_length2, end_scale
        The same after the extra shear at the trial's end.
    """

    many: Ints
    cosine: Reals
    sine: Reals
    row: Ints
    source: Ints
    fired: Ints
    fired_by: Ints
    fired_in: Ints
    place: Ints
    length2: Reals
    scale: Ints
    end_length2: Reals
    end_scale: Ints


class Gradients(NamedTuple):
    """Gradients of a loss with respect to a chain.

    Parameters
    ----------
    times, psi
        To the inputs of the first layer (batch, pre * depth) and (batch, pre): results.  Without columns they are not
        asked for.
    given
        Addresses of the loss's gradients with respect to ``Chain.y``, ``first`` and ``out``; zero where there are none.
    parameters
        To the weights (post, pre) and the initial phases of each layer, one behind the other: results.
    """

    times: Reals
    psi: Reals
    given: IntArray
    parameters: Reals


class Workspace(NamedTuple):
    """Scratch arrays of the forward kernel, used again for every sample.

    Parameters
    ----------
    state
        Vectors of the neurons (x of all, then y), for several samples (see `flush.last_shear`), and one more.
    crossed
        Neurons that fired in the last step, as bits.
    exponent, number
        Of the neurons: exponents of the lengths, spikes so far.
    step_time, angle
        Of the steps, see `qif2hw.kernels.steps.steps`.
    order, room
        Input spikes in temporal order, and scratch arrays to sort them, see `qif2hw.kernels.sorting`.
    late_x, late_y, late
        Vectors of output spikes at the end of their steps; angles.
    """

    state: Reals
    crossed: NDArray[np.uint64]
    exponent: Ints
    number: Ints
    step_time: FloatArray
    angle: FloatArray
    order: Ints
    room: Room
    late_x: FloatArray
    late_y: FloatArray
    late: FloatArray


class Replay(NamedTuple):
    """Scratch arrays of the backward kernel, for several samples at a time; see `qif2hw.kernels.dense_backward`.

    Parameters
    ----------
    reals, whole
        Memory of all the others.
    x, y, exponent
        Vectors of the neurons (padded,), and exponents of their lengths.
    base, later, until
        Of each sample and neuron (samples, padded): :math:`G` up to step ``until``, and from there to the next output
        spike.
    base_scale, later_scale
        Their exponents.
    g, g_later
        ``base`` and ``later`` in the present units of each neuron.
    done
        Step from which on :math:`G` is zero.
    rest, rest_scale
        Of each sample and output spike (samples, spikes): :math:`G` after it, with its exponent.
    more, grown
        Output spikes but for the first one of each neuron, and steps before which lengths are renormalised (samples,
        spikes or steps).
    numbers
        Of each sample: how many of ``more`` and ``grown`` there are, and whether :math:`G` is not zero at the trial's
        end.
    change
        Gradients to the time of each sample's steps, a vector's lanes not summed yet; empty where not asked for.
    shift
        The same to pseudo-phases.
    """

    reals: Reals
    whole: Ints
    x: Reals
    y: Reals
    exponent: Ints
    base: Reals
    later: Reals
    until: Reals
    base_scale: Ints
    later_scale: Ints
    g: Reals
    g_later: Reals
    done: Ints
    rest: Reals
    rest_scale: Ints
    more: Ints
    grown: Ints
    numbers: Ints
    change: Reals
    shift: Reals
