r"""Latency and energy of a sample, in order of magnitude: a bracket, not a prediction.

.. math:: t = n\, (t_{step} + m\, t_{neuron}), \qquad E = P\, t

with ``n`` machine steps and ``m`` neurons on the fullest core, for which the others wait.  ``t_neuron`` and ``P`` have
a low and a high value, and so have ``t`` and ``E``.  Synapses and messages have no term: nobody has published what they
cost on Loihi 2.
"""

from dataclasses import dataclass

from qif2hw.errors import InputError
from qif2hw.estimate.rates import Rates

Ends = tuple[float, float]
"""Low and high."""


@dataclass(frozen=True)
class Bracket:
    """Latency and energy of one sample.

    Parameters
    ----------
    latency_s
        From the first step to the last.
    dynamic_j
        What the chip takes beyond its static power.  It alone says little: the static power is most of the total.
    rails_j
        What the chip's supply rails take, static power included.
    board_j
        What the board takes.
    samples_per_s
        With as many samples in flight as were asked for.
    """

    latency_s: Ends
    dynamic_j: Ends
    rails_j: Ends
    board_j: Ends
    samples_per_s: Ends


def step_time(rates: Rates, neurons: float) -> Ends:
    """Seconds of a step with this many neurons on the fullest core."""
    low, high = (rates["step"] + neurons * rates[f"neuron_{end}"] for end in ("low", "high"))
    return low, high


def bracket(rates: Rates, steps: int, neurons: int, *, in_flight: int = 1, chips: int = 1) -> Bracket:
    """Latency and energy of a sample.

    Parameters
    ----------
    rates
        Of the chip.
    steps, neurons
        Machine steps of a sample; neurons of the fullest core.
    in_flight
        Samples that run at once, on copies of the network with cores of their own.  They share the static power; each
        has a dynamic part as if it were alone.
    chips
        Chips that take part, each with the power of one.

    Raises
    ------
    InputError
        If no sample is in flight.
    """
    if in_flight < 1:
        raise InputError(f"{in_flight} samples in flight: at least one is needed")
    low, high = step_time(rates, neurons)
    latency = steps * low, steps * high
    dynamic = rates["rails_low"] - rates["static"], rates["rails_high"] - rates["static"]

    def energy(least: float, most: float) -> Ends:
        """Energy for a low and a high power, whose part that is not dynamic the samples in flight share."""
        shared = [(power - own) / in_flight + own for power, own in zip((least, most), dynamic, strict=True)]
        return shared[0] * latency[0] * chips, shared[1] * latency[1] * chips

    return Bracket(
        latency_s=latency,
        dynamic_j=energy(*dynamic),
        rails_j=energy(rates["rails_low"], rates["rails_high"]),
        board_j=energy(rates["board"], rates["board"]),
        samples_per_s=(in_flight / latency[1], in_flight / latency[0]),
    )


def explaining_neurons(rates: Rates, step_s: float) -> Ends:
    """Least and most neurons on the fullest core with which a step of this length is inside the bracket."""
    rest = max(step_s - rates["step"], 0.0)
    return rest / rates["neuron_high"], rest / rates["neuron_low"]
