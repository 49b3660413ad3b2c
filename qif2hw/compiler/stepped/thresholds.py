"""How far a neuron's threshold lies above its rest: the scale of the weights onto it."""

from qif2hw.discrete import SteppedCUBA, SteppedLIF, SteppedQIF, SteppedSynaptic
from qif2hw.errors import InputError
from qif2hw.ir.stepped import Accumulator, SteppedNeuron


def rest(neuron: SteppedQIF | SteppedLIF) -> float:
    """Potential from which the machine counts: the stable rest."""
    if isinstance(neuron, SteppedLIF):
        return neuron.rest
    if neuron.rest is None:
        raise InputError("a QIF neuron with complex roots has no rest: it cannot be put on the machine")
    return neuron.rest


def height(neuron: SteppedNeuron) -> float:
    """Threshold above rest, divided by the gain of the input: the scale of its weights."""
    if isinstance(neuron, Accumulator | SteppedCUBA):
        return 1.0
    # Refused before the passes.
    assert not isinstance(neuron, SteppedSynaptic)
    return (neuron.threshold - rest(neuron)) / neuron.gain


def widest(neuron: SteppedNeuron) -> float:
    """Factor by which thresholds of a population's channels may differ: Euler's factors have few bits to spare."""
    return 2.0 if isinstance(neuron, SteppedQIF) and neuron.kind == "euler" else 16.0
