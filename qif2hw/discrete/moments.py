"""Mean and deviation of the membrane potential under normal input, step by step."""

import math
from functools import lru_cache

import numpy as np

from qif2hw.discrete.parameters import Stepped, apply
from qif2hw.errors import InputError

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(128)  # type: ignore[no-untyped-call]
_FAR = 9.0


@lru_cache
def potential_moments(
    neuron: Stepped, time_steps: int, deviation: float | None = None
) -> tuple[tuple[float, float], ...]:
    r"""Mean and standard deviation of the potential ``v`` in each step, under normal input.

    The potential is taken to be normal in every step; the part below the threshold relaxes, the rest is reset:

    .. math::
        m' = E[f(u)], \quad s'^2 = E[f(u)^2] - m'^2 + g^2 \sigma^2, \quad
        E[h(u)] = \int_{-\infty}^{\theta} h\, dN(m, s^2) + P(v \ge \theta)\, h(u_\mathrm{reset}) .

    The deviation is the half width of a rectangular surrogate derivative whose bias is of fourth order if the threshold
    is about one deviation above the mean, as with batch normalisation to the threshold (tdBN).

    Parameters
    ----------
    neuron
        Parameters of the neuron.
    time_steps
        Number of steps.
    deviation
        Standard deviation ``sigma`` of the input, whose mean is 0; the threshold if None, as tdBN makes it.
    """
    sigma = neuron.threshold if deviation is None else deviation
    if not (math.isfinite(sigma) and sigma > 0):
        raise InputError(f"deviation = {sigma:g}: the deviation of the input must be positive")
    after_reset = float(apply(neuron, np.float64(neuron.reset)))
    noise = (neuron.gain * sigma) ** 2
    moments = [(after_reset, math.sqrt(noise))]
    for _ in range(time_steps - 1):
        mean, spread = moments[-1]
        # Gauss-Legendre from far below to the threshold.
        low, high = mean - _FAR * spread, min(neuron.threshold, mean + _FAR * spread)
        half = max(0.5 * (high - low), 0.0)
        u = low + half * (_NODES + 1)
        density = half * _WEIGHTS * np.exp(-0.5 * ((u - mean) / spread) ** 2) / (math.sqrt(2 * math.pi) * spread)
        relaxed, fired = apply(neuron, u), 1 - float(density.sum())
        first = float((density * relaxed).sum()) + fired * after_reset
        second = float((density * relaxed**2).sum()) + fired * after_reset**2
        moments.append((first, math.sqrt(max(second - first**2, 0.0) + noise)))
    return tuple(moments)
