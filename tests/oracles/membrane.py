"""One neuron by numerical integration of its membrane potential, ``tau dV/dt = V (V - 1) + I0``.

Far from the origin ``u = 1 / V`` is integrated instead, ``tau du/dt = -(1 - u + I0 u^2)``: the spike, ``V =
+-inf``, is the regular point ``u = 0``.  Nothing of phases, angles or phase transition curves is used.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

_FAR = 3.0
"""Beyond this the reciprocal is integrated; it hands back at 1 (so the two charts do not flicker)."""


@dataclass
class _State:
    value: float  # V, or 1 / V
    far: bool

    def kicked(self, weight: float) -> "_State":
        if not self.far:
            return _State(self.value + weight, False)
        # V + w = (1 + w u) / u; keep whichever of V and 1 / V is small.
        above, below = 1.0 + weight * self.value, self.value
        return _State(above / below, False) if abs(above) < abs(below) else _State(below / above, True)


def _integrate(state: _State, start: float, stop: float, tau: float, i0: float, spikes: list[float]) -> _State:
    """Integrate from ``start`` to ``stop``; every crossing of ``V = inf`` is appended to ``spikes``."""
    now = start
    while now < stop:
        if state.far:
            u0 = state.value

            def slope(_t: float, u: NDArray[np.float64]) -> NDArray[np.float64]:
                return -(1.0 - u + i0 * u * u) / tau

            def leaves(_t: float, u: NDArray[np.float64]) -> float:
                return float(abs(u[0]) - 1.0)

            def fires(_t: float, u: NDArray[np.float64]) -> float:
                return float(u[0])

            leaves.terminal, leaves.direction = True, 1  # type: ignore[attr-defined]
            fires.terminal, fires.direction = True, -1  # type: ignore[attr-defined]
            events = [leaves, fires] if u0 > 0 else [leaves]
        else:

            def slope(_t: float, v: NDArray[np.float64]) -> NDArray[np.float64]:
                return (v * (v - 1.0) + i0) / tau

            def leaves(_t: float, v: NDArray[np.float64]) -> float:
                return float(v[0] - _FAR)

            leaves.terminal, leaves.direction = True, 1  # type: ignore[attr-defined]
            events = [leaves]
            if state.value >= _FAR:
                state = _State(1.0 / state.value, True)
                continue

        found = solve_ivp(slope, (now, stop), [state.value], method="DOP853", rtol=1e-13, atol=1e-14, events=events)
        assert found.success, found.message
        now, value = float(found.t[-1]), float(found.y[0, -1])
        if found.status == 0:
            return _State(value, state.far)
        if len(events) == 2 and found.t_events[1].size:
            spikes.append(now)
            state = _State(-0.0, True)
        else:
            state = _State(1.0 / value, not state.far)
    return state


def membrane_neuron(
    tau: float, i0: float, phi0: float, times: NDArray[np.float64], weights: NDArray[np.float64], trial: float
) -> tuple[list[float], float]:
    """Spike times in ``[0, trial]``, and the potential at ``trial``, of a neuron that was reset ``phi0``
    before 0.

    The initial potential, too, comes from the equation: it is integrated from the reset, ``V = -inf`` at
    ``-phi0``.
    """
    before: list[float] = []
    state = _integrate(_State(-0.0, True), -phi0, 0.0, tau, i0, before)
    assert not before, "a free neuron does not fire before its period is over"
    spikes: list[float] = []
    now = 0.0
    for k in np.argsort(times, kind="stable"):
        state = _integrate(state, now, float(times[k]), tau, i0, spikes).kicked(float(weights[k]))
        now = float(times[k])
    state = _integrate(state, now, trial, tau, i0, spikes)
    if not state.far:
        return spikes, state.value
    return spikes, 1.0 / state.value if state.value != 0.0 else -np.inf
