"""The node that NIR lacks: a quadratic integrate-and-fire neuron."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from nir import NIRNode


@dataclass(eq=False)
class QIF(NIRNode):
    r"""Quadratic integrate-and-fire neuron model.

    .. math::
        \tau \dot{v} = a (v - v_{rest}) (v - v_{critical}) + i_0 + R I

    .. math::
        z = \begin{cases} 1 & v > v_{threshold} \\ 0 & else \end{cases}, \qquad
        v = \begin{cases} v_{reset} & z=1 \\ v & else \end{cases}

    Where :math:`\tau` is the time constant, :math:`v` is the membrane potential, :math:`a` is the curvature,
    :math:`v_{rest}` and :math:`v_{critical}` are the potentials where the parabola is 0, :math:`i_0` is a constant
    drive, :math:`R` is the resistance and :math:`I` is the input; :math:`v_{threshold}` and :math:`v_{reset}` may be
    plus and minus infinity, which the potential reaches in a finite time.  A neuron starts in the state in which it
    would be :math:`\phi_0` after a reset, without input.  All parameters have the shape of the population.
    """

    tau: np.ndarray[Any, Any]
    r: np.ndarray[Any, Any]
    a: np.ndarray[Any, Any]
    v_rest: np.ndarray[Any, Any]
    v_critical: np.ndarray[Any, Any]
    i_0: np.ndarray[Any, Any]
    v_threshold: np.ndarray[Any, Any]
    v_reset: np.ndarray[Any, Any]
    phi_0: np.ndarray[Any, Any]

    def __post_init__(self) -> None:
        shapes = {getattr(self, name).shape for name in PARAMETERS}
        if len(shapes) != 1:
            raise ValueError("All parameters must have the same shape")
        self.input_type = {"input": np.array(self.tau.shape)}
        self.output_type = {"output": np.array(self.tau.shape)}


PARAMETERS = ("tau", "r", "a", "v_rest", "v_critical", "i_0", "v_threshold", "v_reset", "phi_0")
"""Names of the parameters."""
