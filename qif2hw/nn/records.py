"""What goes into the kernels and comes out of them: named tuples of arrays, which numba can take apart."""

from typing import Any, NamedTuple


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
    depth, r, omega, trial
        Input spikes per neuron; parameters of the neurons; length of the trial.
    limit
        Growth in bits after which lengths are renormalised.
    most
        Bound of the number of steps of a sample.
    """

    times: Any
    psi: Any
    a: Any
    growth: Any
    start: Any
    depth: int
    r: float
    omega: float
    trial: float
    limit: float
    most: int


class Spikes(NamedTuple):
    """Results of a layer: times (batch, post, K), pseudo-phases and the first spike after the trial.

    The gradients of a loss with respect to them have the same form.
    """

    times: Any
    psi: Any
    next: Any


class Record(NamedTuple):
    """What the backward kernel needs from the forward one: no trajectory, only the order of events and output spikes.

    Parameters
    ----------
    order, events
        Input spikes of each sample in temporal order, and their number.
    fired, fired_by, fired_in
        Output spikes in temporal order: their number, neuron and step.
    length2, scale
        Squared length at each output spike and the exponent of the length.
    end_length2, end_scale
        The same after the extra shear at the trial's end.
    """

    order: Any
    events: Any
    fired: Any
    fired_by: Any
    fired_in: Any
    length2: Any
    scale: Any
    end_length2: Any
    end_scale: Any


class Gradients(NamedTuple):
    """Results of the backward kernel: to the input times, pseudo-phases, weights (pre, post) and initial phases."""

    times: Any
    psi: Any
    weight: Any
    phi0: Any
