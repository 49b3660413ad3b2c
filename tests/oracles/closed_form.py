"""One neuron in closed form, in 50 digits.

``V(t) = 1/2 + r tan(atan((V0 - 1/2) / r) + r t / tau)``
"""

import mpmath
import numpy as np
from numpy.typing import NDArray

DIGITS = 50


def closed_form_neuron(
    tau: float, i0: float, phi0: float, times: NDArray[np.float64], weights: NDArray[np.float64], trial: float
) -> tuple[list[float], float]:
    """Spike times in ``[0, trial]``, and the potential at ``trial``, of a neuron reset ``phi0`` before 0."""
    with mpmath.workdps(DIGITS):
        r = mpmath.sqrt(mpmath.mpf(i0) - mpmath.mpf("0.25"))
        half = mpmath.pi / 2
        # The argument of the tangent: -pi/2 at the reset, pi/2 at the spike.
        bend = -half + r * mpmath.mpf(phi0) / tau
        now, spikes = mpmath.mpf(0), []
        order = list(np.argsort(times, kind="stable"))
        for k in [*order, None]:
            until = mpmath.mpf(float(times[k]) if k is not None else trial)
            left = until - now
            while bend + r * left / tau >= half:
                wait = (half - bend) * tau / r
                left -= wait
                spikes.append(float(until - left))
                bend = -half
            bend += r * left / tau
            now = until
            if k is not None and bend > -half:
                bend = mpmath.atan(mpmath.tan(bend) + mpmath.mpf(float(weights[k])) / r)
        potential = mpmath.mpf("0.5") + r * mpmath.tan(bend) if bend > -half else mpmath.ninf
        return spikes, float(potential)
