r"""Neurons in discrete time steps: the quadratic (QIF) neuron that rests, and the leaky one (LIF) as the baseline.

In every step the potential relaxes, receives its input, and is compared with the threshold:

.. math::
    v_t = f(u_{t-1}) + g x_t, \qquad s_t = [v_t \ge \theta], \qquad u_t = s_t\, u_\mathrm{reset} + (1 - s_t)\, v_t

The QIF neuron is :math:`\dot u = a (u - u_1)(u - u_2)`, with time in steps.  With the centre ``m = (u1 + u2) / 2``, the
distance ``w = u - m`` and ``D = ((u2 - u1) / 2)^2`` its two discretizations are

.. math::
    \text{euler: } f(u) = m + w + a (w^2 - D), \qquad
    \text{exact: } f(u) = m + \frac{C w - a S D}{C - a S w},
    \quad C = \cosh k,\ S = \frac{\sinh k}{k},\ k^2 = a^2 D .

The exact one is the flow of the equation over one step.  It needs ``k^2`` alone, so it serves ``u1 < u2``, ``u1 = u2``
and complex conjugates, where it is a rotation.  The LIF neuron is ``f(u) = rest + leak (u - rest)``.  All three are one
rational map, `Relaxation`, which is what the compiled kernels and torch compute.

References
----------
E. Jahns, D. Moreno, M. Stojkov and M. A. Kinsy, *Discretized Quadratic Integrate-and-Fire Neuron Model for Deep
Spiking Neural Networks*, arXiv:2510.05168, 2025.
"""

from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

Kind: TypeAlias = Literal["exact", "euler"]
"""Discretizations of the QIF equation."""


class Relaxation(NamedTuple):
    """One step without input, ``u -> centre + relax(u - centre)``; floats, or torch scalars where they are learned."""

    centre: Any
    c0: Any
    c1: Any
    c2: Any
    d0: Any
    d1: Any


def relax(w: Any, c0: Any, c1: Any, c2: Any, d0: Any, d1: Any) -> Any:
    """Distance from the centre after a step without input: ``(c0 + c1 w + c2 w^2) / (d0 + d1 w)``."""
    return (c0 + w * (c1 + c2 * w)) / (d0 + d1 * w)


def relax_slope(w: Any, relaxed: Any, c1: Any, c2: Any, d0: Any, d1: Any) -> Any:
    """Slope of `relax` at ``w``; ``relaxed`` is its value there."""
    return (c1 + (c2 + c2) * w - d1 * relaxed) / (d0 + d1 * w)


def potential(relaxed: Any, x: Any, centre: Any, gain: Any) -> Any:
    """Potential that is compared with the threshold: the relaxed state (distance from the centre), plus the input."""
    return centre + relaxed + gain * x


def cosh_sinhc(z: Any, xp: Any = np) -> tuple[Any, Any]:
    r"""``cosh(k)`` and ``sinh(k) / k`` with ``k^2 = z`` of either sign, both divided by ``e^k`` where ``z`` is large.

    The common factor cancels in the exact map and keeps it finite.  ``xp`` is numpy or torch.
    """
    near, positive = xp.abs(z) < 0.01, z > 0
    k = xp.sqrt(xp.where(near, xp.ones_like(z), xp.abs(z)))
    decayed = xp.exp(-2 * k)
    c = xp.where(positive, 0.5 + 0.5 * decayed, xp.cos(k))
    s = xp.where(positive, 0.5 - 0.5 * decayed, xp.sin(k)) / k
    c_series = 1 + z / 2 * (1 + z / 12 * (1 + z / 30 * (1 + z / 56)))
    s_series = 1 + z / 6 * (1 + z / 20 * (1 + z / 42 * (1 + z / 72)))
    return xp.where(near, c_series, c), xp.where(near, s_series, s)


def exact_relaxation(a: Any, centre: Any, spread: Any, xp: Any = np) -> Relaxation:
    """Flow of the QIF equation over one step; ``spread = ((u2 - u1) / 2)^2`` is negative for complex ``u1``, ``u2``."""
    c, s = cosh_sinhc(a * a * spread, xp)
    zero = c - c
    return Relaxation(centre, -a * s * spread, c, zero, c, -a * s)


def euler_relaxation(a: Any, centre: Any, spread: Any) -> Relaxation:
    """Euler's step of the QIF equation."""
    zero = a - a
    return Relaxation(centre, -a * spread, zero + 1, a, zero + 1, zero)


def quadratic_relaxation(kind: Kind, a: Any, u1: Any, u2: Any, xp: Any = np) -> Relaxation:
    """The step of a QIF neuron from its parameters: numpy or torch scalars in double precision."""
    half = (u2 - u1) / 2
    centre, spread = xp.real((u1 + u2) / 2), xp.real(half * half)
    return exact_relaxation(a, centre, spread, xp) if kind == "exact" else euler_relaxation(a, centre, spread)


def leaky_relaxation(leak: Any, rest: Any) -> Relaxation:
    """The step of a LIF neuron."""
    zero = leak - leak
    return Relaxation(rest, zero, leak, zero, zero + 1, zero)
