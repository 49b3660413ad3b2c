"""From the equation of a neuron to the numbers of its integer step."""

import math

import numpy as np

from qif2hw.discrete import SteppedCUBA, SteppedLIF, SteppedQIF
from qif2hw.discrete.cuba import STATE_SHIFT
from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.stepped import Accumulator, SteppedNeuron
from qif2hw.ir.stepped_program import (
    CURVATURE_BITS,
    DECAY_BITS,
    FACTOR_BITS,
    SCALE_BITS,
    AddUp,
    Arithmetic,
    CubaStep,
    EulerStep,
    LeakStep,
    PlaneStep,
)

COUPLING_BITS = 14
"""The coupling of a plane vector has about this many bits."""


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
    return (neuron.threshold - rest(neuron)) / neuron.gain


def widest(neuron: SteppedNeuron) -> float:
    """Factor by which thresholds of a population's channels may differ: Euler's factors have few bits to spare."""
    return 2.0 if isinstance(neuron, SteppedQIF) and neuron.kind == "euler" else 16.0


def lower(neuron: SteppedNeuron, unit: FloatArray) -> Arithmetic:
    """The integer step of a neuron; ``unit`` is the input, by channel, that counts as one.

    Raises
    ------
    InputError
        If the neuron has no rest, or its reset lies at or above its threshold in whole units.
    """
    if isinstance(neuron, Accumulator):
        return AddUp()
    if isinstance(neuron, SteppedCUBA):
        return _cuba(neuron, len(unit))
    base, own = rest(neuron), unit * neuron.gain
    threshold = np.rint((neuron.threshold - base) / own).astype(np.int32)
    reset = np.rint((neuron.reset - base) / own).astype(np.int32)
    if isinstance(neuron, SteppedLIF):
        return LeakStep(round(neuron.leak * (1 << DECAY_BITS)), threshold, reset)
    distance = float(np.real(neuron.u2)) - base
    if neuron.kind == "euler":
        curvature = np.rint(neuron.a * own * (1 << CURVATURE_BITS)).astype(np.int32)
        if (threshold >= 1 << (FACTOR_BITS - 1)).any():
            raise InputError("the threshold is too large for Euler's square")
        return EulerStep(curvature, np.rint(distance / own).astype(np.int32), threshold, reset)
    decay = math.exp(-neuron.a * distance)
    # (1 - exp(-a d)) / d per unit, in counts of q; at d = 0 it is a.
    coupling = (-math.expm1(-neuron.a * distance) / distance if distance else neuron.a) * own * (1 << SCALE_BITS)
    shift = COUPLING_BITS - math.frexp(float(coupling.max()))[1]
    return PlaneStep(
        round(decay * (1 << DECAY_BITS)),
        np.rint(coupling * 2.0**shift).astype(np.int32),
        shift,
        threshold,
        reset,
    )


def _cuba(neuron: SteppedCUBA, channels: int) -> CubaStep:
    current, voltage, threshold = (
        np.resize(np.array(values, np.int32), channels) if values else None
        for values in (neuron.current_decay, neuron.voltage_decay, neuron.threshold)
    )
    assert current is not None
    assert voltage is not None
    return CubaStep(current, voltage, None if threshold is None else threshold << STATE_SHIFT)
