"""Neurons in discrete time steps: the quadratic one (QIF) that rests, a leaky one (LIF), and that of SLAYER (CUBA)."""

from qif2hw.discrete.cuba import SteppedCUBA
from qif2hw.discrete.maps import Kind, Relaxation
from qif2hw.discrete.moments import potential_moments
from qif2hw.discrete.parameters import MARGIN, Stepped, SteppedLIF, SteppedQIF, SteppedSynaptic, apply

__all__ = [
    "MARGIN",
    "Kind",
    "Relaxation",
    "Stepped",
    "SteppedCUBA",
    "SteppedLIF",
    "SteppedQIF",
    "SteppedSynaptic",
    "apply",
    "potential_moments",
]
