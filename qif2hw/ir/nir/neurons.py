r"""NIR's neurons in time steps of length ``dt``.

NIR defines neurons by differential equations.  Two ways lead to time steps: ``euler``, one explicit step, which is what
snnTorch and norse compute, and ``exact``, the solution of the equation for an input that is constant during a step:

============  ================================================  =======================================
node          euler                                             exact
============  ================================================  =======================================
LIF, LI       leak = 1 - dt / tau, gain = r dt / tau            leak = exp(-dt / tau), gain = r (1 - leak)
IF, I         leak = 1, gain = r dt                             the same
CubaLIF,      as LIF, with the current of the same step:        none
CubaLI        current_leak = 1 - dt / tau_syn, its input
              times w_in dt / tau_syn
============  ================================================  =======================================

A spike is sent where the potential is above the threshold, not at it, so thresholds are the next larger number.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from qif2hw.discrete import SteppedLIF, SteppedSynaptic
from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.nir.tree import Node
from qif2hw.ir.stepped import Accumulator, SteppedNeuron

Method: TypeAlias = Literal["euler", "exact"]
"""How the equation becomes a step."""


@dataclass(frozen=True)
class Translated:
    """A neuron, what its input is multiplied by, and what is added to the product; both of the population's shape."""

    neuron: SteppedNeuron
    factor: FloatArray
    bias: FloatArray


@dataclass(frozen=True)
class _Step:
    """Numbers of a step, arrays or one number each."""

    leak: FloatArray
    gain: FloatArray
    rest: FloatArray
    threshold: FloatArray | None = None
    reset: FloatArray | None = None
    current_leak: FloatArray | None = None


def translated(node: Node, shape: tuple[int, ...], dt: float | None, method: Method) -> Translated:
    """A neuron node as a population of this shape.

    Raises
    ------
    InputError
        If a parameter is missing or of another shape, ``dt`` is missing or too long, or neurons of the population
        differ in more than threshold, reset, rest and resistance.
    """
    step = _NEURONS[node["type"]](_Parameters(node, shape, dt), method)
    if (np.asarray(step.leak) < 0).any():
        raise InputError(f"dt = {dt:g} is longer than its time constant: Euler's step needs a shorter one")
    leak = _one(step.leak, "tau")
    if step.threshold is None and step.current_leak is None and leak == 1:
        return Translated(Accumulator(), np.broadcast_to(step.gain, shape), np.zeros(shape))
    threshold = np.full((), np.inf) if step.threshold is None else np.nextafter(step.threshold, np.inf)
    reset = np.zeros(()) if step.reset is None else step.reset
    alike = all(np.ptp(one) == 0 for one in (threshold, reset, step.rest, step.gain) if np.isfinite(one).all())
    if alike:
        own = {"leak": leak, "rest": _first(step.rest), "threshold": _first(threshold), "reset": _first(reset)}
        factor, bias, own["gain"] = np.ones(shape), np.zeros(shape), _first(step.gain)
    else:
        # Each neuron in units of its own: (u - reset) / (threshold - reset).
        height = np.ones(shape) if step.threshold is None else step.threshold - reset
        if not (np.broadcast_to(height, shape) > 0).all():
            raise InputError("v_reset must lie below v_threshold")
        fires = np.inf if step.threshold is None else float(np.nextafter(1.0, np.inf))
        own = {"leak": leak, "rest": 0.0, "threshold": fires, "reset": 0.0, "gain": 1.0}
        factor = np.broadcast_to(step.gain / height, shape)
        bias = np.broadcast_to((1 - leak) * (step.rest - reset) / height, shape)
    if step.current_leak is None and np.isfinite(own["threshold"]):
        return Translated(SteppedLIF(**own), factor, bias)
    current = 0.0 if step.current_leak is None else _one(step.current_leak, "tau_syn")
    if not alike and current and bias.any():
        raise InputError("v_leak differs from v_reset, in neurons with a current that differ in their parameters")
    return Translated(SteppedSynaptic(current, **own), factor, bias)


class _Parameters:
    """Parameters of a node, by name: numbers, or arrays of the population's shape."""

    def __init__(self, node: Node, shape: tuple[int, ...], dt: float | None) -> None:
        self.node, self.shape, self._dt = node, shape, dt

    def __call__(self, name: str, default: float | None = None) -> FloatArray:
        value = self.node.get(name, default)
        if value is None:
            raise InputError(f"its parameter '{name}' is missing")
        array = np.asarray(value, np.float64)
        if not np.isfinite(array).all():
            raise InputError(f"its parameter '{name}' holds a value that is not finite")
        if array.size == 1:
            return array.reshape(())
        if array.size == int(np.prod(self.shape)):
            return array.reshape(self.shape)
        if len(self.shape) == 3 and array.size == self.shape[0]:
            return array.reshape(-1, 1, 1)
        raise InputError(f"its parameter '{name}' has shape {array.shape}, the population has {self.shape}")

    @property
    def dt(self) -> float:
        """Length of a time step."""
        if self._dt is None:
            raise InputError("it has constants in units of time: give the length of a time step, dt (--dt)")
        return self._dt


def _leaky(tau: FloatArray, r: FloatArray, dt: float, method: Method) -> tuple[FloatArray, FloatArray]:
    if not (tau > 0).all():
        raise InputError("its time constants must be positive")
    if method == "exact":
        return np.exp(-dt / tau), r * -np.expm1(-dt / tau)
    # A time constant in float32 that makes one step of all there is leaves a remainder.
    leak = 1 - dt / tau
    return np.where(np.abs(leak) < 1e-6, 0.0, leak), r * dt / tau


def _lif(of: _Parameters, method: Method) -> _Step:
    leak, gain = _leaky(of("tau"), of("r"), of.dt, method)
    return _Step(leak, gain, of("v_leak"), of("v_threshold"), of("v_reset", 0.0))


def _li(of: _Parameters, method: Method) -> _Step:
    leak, gain = _leaky(of("tau"), of("r"), of.dt, method)
    return _Step(leak, gain, of("v_leak"))


def _if(of: _Parameters, method: Method) -> _Step:
    return _Step(np.ones(()), of("r") * of.dt, np.zeros(()), of("v_threshold"), of("v_reset", 0.0))


def _i(of: _Parameters, method: Method) -> _Step:
    return _Step(np.ones(()), of("r") * of.dt, np.zeros(()))


def _cuba_lif(of: _Parameters, method: Method) -> _Step:
    step = _cuba_li(of, method)
    return _Step(step.leak, step.gain, step.rest, of("v_threshold"), of("v_reset", 0.0), step.current_leak)


def _cuba_li(of: _Parameters, method: Method) -> _Step:
    if method == "exact":
        raise InputError("a neuron with a current has no exact step of this form: use euler")
    leak, gain = _leaky(of("tau_mem"), of("r"), of.dt, method)
    current_leak, into = _leaky(of("tau_syn"), of("w_in", 1.0), of.dt, method)
    return _Step(leak, gain * into, of("v_leak"), current_leak=current_leak)


_NEURONS: Mapping[str, Callable[[_Parameters, Method], _Step]] = {
    "LIF": _lif,
    "LI": _li,
    "IF": _if,
    "I": _i,
    "CubaLIF": _cuba_lif,
    "CubaLI": _cuba_li,
}
NEURONS = tuple(_NEURONS)
"""Nodes that are neurons."""


def _one(values: Any, name: str) -> float:
    if np.ptp(values) != 0:
        raise InputError(f"its neurons differ in {name}: a population has one; split the node")
    return _first(values)


def _first(values: Any) -> float:
    return float(np.asarray(values).flat[0])
