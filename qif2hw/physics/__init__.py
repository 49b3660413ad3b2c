"""Own physics: tasks from differential equations and from sampled functions."""

from qif2hw.nn.functional.kinks import UnseenChange
from qif2hw.physics.distillation import distillation, distillation_residuals
from qif2hw.physics.equation import Field, Physics, Value, joined
from qif2hw.physics.operator import operator
from qif2hw.physics.pinn import differential_equation, pinn
from qif2hw.physics.residuals import collocation, difference_residuals, differences

__all__ = [
    "Field",
    "Physics",
    "UnseenChange",
    "Value",
    "collocation",
    "difference_residuals",
    "differences",
    "differential_equation",
    "distillation",
    "distillation_residuals",
    "joined",
    "operator",
    "pinn",
]
