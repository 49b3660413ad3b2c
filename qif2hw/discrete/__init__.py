"""Neurons in discrete time steps: the quadratic (QIF) neuron that rests, and the leaky one (LIF) as the baseline."""

from qif2hw.discrete.maps import Kind, Relaxation
from qif2hw.discrete.moments import potential_moments
from qif2hw.discrete.parameters import MARGIN, Stepped, SteppedLIF, SteppedQIF, apply

__all__ = [
    "MARGIN",
    "Kind",
    "Relaxation",
    "Stepped",
    "SteppedLIF",
    "SteppedQIF",
    "apply",
    "potential_moments",
]
