"""Own physics: tasks from differential equations and from sampled functions."""

from qif2hw.nn.functional.kinks import UnseenChange
from qif2hw.physics.distillation import distillation
from qif2hw.physics.equation import Field, Physics, Value, joined
from qif2hw.physics.operator import operator
from qif2hw.physics.pinn import differential_equation, pinn
from qif2hw.physics.residuals import collocation, differences

__all__ = [
    "Field",
    "Physics",
    "UnseenChange",
    "Value",
    "collocation",
    "differences",
    "differential_equation",
    "distillation",
    "joined",
    "operator",
    "pinn",
]
