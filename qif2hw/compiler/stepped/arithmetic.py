"""Pass: from the equation of a neuron to the numbers of its integer step."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from qif2hw.compiler.state import Section, SteppedState
from qif2hw.compiler.stepped.scales import Scales
from qif2hw.compiler.stepped.thresholds import rest
from qif2hw.discrete import SteppedCUBA, SteppedLIF, SteppedSynaptic
from qif2hw.discrete.cuba import STATE_SHIFT
from qif2hw.errors import InputError
from qif2hw.ir.arrays import ByValue, FloatArray
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


@dataclass(frozen=True, eq=False)
class Arithmetics(ByValue):
    """What the neurons do with their registers, by population."""

    populations: dict[str, Arithmetic]


@dataclass(frozen=True)
class ChooseArithmetic:
    """Put the equation of every neuron into integers, in the units of its channel."""

    name: ClassVar[str] = "arithmetic"
    reads: ClassVar[tuple[type, ...]] = (Scales,)
    writes: ClassVar[tuple[type, ...]] = (Arithmetics,)

    def run(self, state: SteppedState) -> SteppedState:
        """See `arithmetic_of`; `InputError` names the population."""
        made = {}
        for p in state.network.populations:
            try:
                made[p.name] = arithmetic_of(p.neuron, state[Scales].units[p.name])
            except InputError as error:
                raise InputError(f"population '{p.name}': {error}") from None
        return state.having(Arithmetics(made))

    def report(self, state: SteppedState) -> Section:
        """Kind of step, and least and largest threshold and reset of the channels."""
        return {"populations": {name: _facts(one) for name, one in state[Arithmetics].populations.items()}}


def _facts(arithmetic: Arithmetic) -> dict[str, Any]:
    found: dict[str, Any] = {"step": type(arithmetic).__name__}
    for name in ("threshold", "reset"):
        values = getattr(arithmetic, name, None)
        if values is not None:
            found[name] = [int(values.min()), int(values.max())]
    return found


def arithmetic_of(neuron: SteppedNeuron, unit: FloatArray) -> Arithmetic:
    """The integer step of a neuron; ``unit`` (channels,) is the input that counts as one.

    Raises
    ------
    InputError
        If the neuron has no rest, or its reset lies at or above its threshold in whole units.
    """
    if isinstance(neuron, Accumulator):
        return AddUp()
    if isinstance(neuron, SteppedCUBA):
        return _cuba(neuron, len(unit))
    assert not isinstance(neuron, SteppedSynaptic)
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
