r"""The quadratic integrate-and-fire (QIF) neuron: every formula of the project.

.. math:: \tau\, \dot V = V (V - 1) + I_0, \qquad V \to V + w \text{ at an input spike of weight } w

With ``I0 > 1/4`` the neuron oscillates.  ``r = sqrt(I0 - 1/4)``, ``omega = r / tau``, period ``Theta = pi tau / r``.
The phase ``phi`` in ``[0, Theta)`` is the time since the reset of the free neuron; ``theta = omega phi`` is its angle
and ``V = 1/2 - r cot(theta)``.  A spike is ``theta = pi``, the reset ``theta = 0``.

The same neuron is a vector ``(x, y) = R (cos theta, sin theta)`` of the plane: time rotates it, a spike shears it
(``x -= (w / r) y``), and it fires each time it crosses ``y = 0`` from above.

All functions take and return float64 scalars or arrays and broadcast.  Those that numba compiles into kernels
(``rotate``, ``shear`` ...) use operators and numpy functions only.

References
----------
C. Klos and R.-M. Memmesheimer, *Smooth exact gradient descent learning in spiking neural networks*, 2025.
R. Wan, G. E. Karniadakis and P. Stinis, *From LIF to QIF*, arXiv:2511.06614, 2025.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from qif2hw.errors import InputError

Real = TypeVar("Real", float, NDArray[np.float64])
"""A float64 scalar, or an array of them: the functions below serve both, and numba compiles them for scalars."""


class Arithmetic(Protocol):
    """A number, an array of numpy or a tensor of torch: whatever can be subtracted and multiplied."""

    def __sub__(self, other: Any, /) -> Any:
        """Difference."""

    def __mul__(self, other: Any, /) -> Any:
        """Product."""


Times = TypeVar("Times", bound=Arithmetic)


@dataclass(frozen=True)
class QIF:
    r"""Parameters of an oscillating QIF neuron.

    Parameters
    ----------
    tau
        Membrane time constant, in units of time.
    i0
        Constant drive, dimensionless; must exceed 1/4.

    Raises
    ------
    InputError
        If ``tau <= 0`` or ``i0 <= 1/4`` (the neuron would rest instead of oscillate), or either is not finite.
    """

    tau: float = 6 / math.pi
    i0: float = 1.25

    def __post_init__(self) -> None:
        if not (math.isfinite(self.tau) and self.tau > 0):
            raise InputError(f"tau = {self.tau:g}: the membrane time constant must be positive")
        if not (math.isfinite(self.i0) and self.i0 > 0.25):
            raise InputError(f"I0 = {self.i0:g}: an oscillating QIF neuron needs a drive above 1/4")
        if not (self.omega > 0 and 0 < self.period < math.inf):
            raise InputError(f"tau = {self.tau:g}, I0 = {self.i0:g}: the period of such a neuron is no number")

    @property
    def r(self) -> float:
        """``sqrt(I0 - 1/4)``: the voltage scale; a weight ``w`` shears by ``w / r``."""
        return math.sqrt(self.i0 - 0.25)

    @property
    def omega(self) -> float:
        """Angular speed ``r / tau``."""
        return self.r / self.tau

    @property
    def period(self) -> float:
        """Period ``Theta = pi tau / r`` of the free neuron; the threshold of the phase."""
        return math.pi / self.omega


def voltage(phase: Real, neuron: QIF) -> Real:
    r"""Membrane potential ``V = 1/2 - r cot(omega phi)`` of a neuron with phase ``phi`` in ``(0, Theta)``."""
    return 0.5 - neuron.r / np.tan(neuron.omega * phase)


def phase_of(potential: Real, neuron: QIF) -> Real:
    r"""Phase ``phi = (atan((V - 1/2) / r) + pi/2) / omega`` of a neuron with potential ``V``; inverse of `voltage`."""
    return (np.arctan((potential - 0.5) / neuron.r) + 0.5 * np.pi) / neuron.omega


def kick(theta: Real, a: Real) -> Real:
    r"""Angle after a shear ``a = w / r``: ``atan2(sin, cos - a sin)``, exact at both ends, monotone in between."""
    # Where omega Theta rounds above pi the sine is -1e-16: the cycle's end must not become its beginning.
    s, c = np.maximum(np.sin(theta), 0.0), np.cos(theta)
    return np.arctan2(s, c - a * s)


def kick_derivatives(theta: Real, a: Real) -> tuple[Real, Real, Real, Real, Real, Real]:
    r"""The angle after a `kick`, and its derivatives by ``t = theta`` and ``a``: ``t, a, tt, ta, aa``.

    With ``b = cos - a sin`` and ``D = sin^2 + b^2``: ``1 / D``, ``sin^2 / D``, and the derivatives of these two.
    """
    s, c = np.sin(theta), np.cos(theta)
    b = c - a * s
    d = s * s + b * b
    d_t, d_a = 2.0 * (s * c - b * (s + a * c)), -2.0 * s * b
    return np.arctan2(s, b), 1.0 / d, s * s / d, -d_t / (d * d), -d_a / (d * d), -s * s * d_a / (d * d)


def kick_third_derivatives(theta: Real, a: Real) -> tuple[Real, Real, Real, Real]:
    """Third derivatives of a `kick` by ``t = theta`` and ``a``: ``ttt, tta, taa, aaa``."""
    s, c = np.sin(theta), np.cos(theta)
    b, e = c - a * s, s + a * c
    d = s * s + b * b
    d_t, d_a = 2.0 * (s * c - b * e), -2.0 * s * b
    d_tt, d_ta, d_aa = 2.0 * (c * c - s * s + e * e - b * b), 2.0 * (s * e - b * c), 2.0 * s * s
    inner = 2.0 * d_a * d_a / d - d_aa
    tta = (2.0 * d_t * d_a / d - d_ta) / (d * d)
    return (2.0 * d_t * d_t / d - d_tt) / (d * d), tta, inner / (d * d), s * s * inner / (d * d)


def kick_change(theta: Real, a: Real) -> Real:
    r"""``H(theta) - theta`` of a `kick`, in (-pi, pi), for an angle that also counts half turns."""
    s, c = np.sin(theta), np.cos(theta)
    return np.arctan2(a * s * s, c * (c - a * s) + s * s)


def slope(theta: Real, a: Real) -> Real:
    r"""Slope ``1 / D`` of a `kick`, ``D = sin^2 + (cos - a sin)^2``."""
    s = np.sin(theta)
    return 1.0 / (s * s + (np.cos(theta) - a * s) ** 2)


def steepest(a: Real) -> Real:
    r"""Largest slope of a `kick` over all angles, ``L = g^2``; ``g = (|a| + sqrt(a^2 + 4)) / 2`` is a shear's norm."""
    g = 0.5 * (np.abs(a) + np.sqrt(a * a + 4.0))
    return g * g


def slope_bounds(slope: Real, a: Real, most: Real, reach: Real) -> tuple[Real, Real]:
    r"""Bounds of the slope ``1 / D`` of a `kick` over all angles within ``reach`` of one where it is ``slope``.

    ``sqrt(D)``, the length of the sheared unit vector, changes by at most ``|a|`` per angle, and ``1 / D`` lies between
    ``1 / most`` and ``most = L(a)`` (`steepest`).
    """
    root = 1.0 / np.sqrt(slope)
    low, high = root + np.abs(a) * reach, root - np.abs(a) * reach
    # Where the lower bound of the root is worse than the norm's, the norm's holds.
    high = np.maximum(high, 1.0 / np.sqrt(most))
    return np.maximum(1.0 / (low * low), 1.0 / most), 1.0 / (high * high)


def swap_bound(theta: Real, reach: Real, total: Real, load: Real, window: Real, moved: Real) -> Real:
    r"""Bound on what another order of spikes that are nearly simultaneous changes in the angle after them.

    Turned back to one time, which is at most ``w = window`` away in angle, each spike is ``1 + a_i N_i`` with
    ``N_i = N + O(w)``, ``N^2 = 0``, so that the product of all in whatever order is ``1 + a N + E``, ``a`` their
    ``total`` and ``|E| <= e = w (2 A + A^2 exp(2 w A))``, ``A`` the sum of sizes ``load``.  Swapping two
    neighbours, ``d`` apart, changes the vector by ``a_i a_j [N_i, N_j] ~ 2 a_i a_j sin(d)`` along the axis, hence the
    angle after all spikes by ``2 a_i a_j d sin^2(theta) / D``: the same for all orders of the others.

    Parameters
    ----------
    theta, reach
        Angle before the spikes, and how far the exact one may be from it.
    total, load
        Sums of ``a_i`` and of ``|a_i|``.
    window
        ``w``, in radians.
    moved
        Sum of ``|a_i a_j| d_ij`` over the pairs that may be swapped.

    Returns
    -------
    Real
        The bound; more than can be where the series above says nothing.
    """
    growth = load * np.exp(np.minimum(2.0 * window * load, 50.0))
    rest = window * load * (2.0 + growth)
    beside = 2.0 * rest * (2.0 + rest) + 4.0 * window * (1.0 + load + rest) ** 2
    s, c = np.sin(theta), np.cos(theta)
    root = np.sqrt(s * s + (c - total * s) ** 2)
    high = root + np.abs(total) * reach + rest
    low = np.maximum(root - np.abs(total) * reach - rest, 1.0 / (1.0 + growth))
    across = moved * (2.0 * (np.abs(s) + reach + rest) ** 2 + high * beside)
    shorter = across / (low * low) + moved * (2.0 + beside) / low
    sine = across / (low * low * np.maximum(1.0 - shorter, 1e-3))
    # asin(x) <= x + 0.571 x^3 up to one.
    return sine + 0.571 * sine**3 + 1e9 * (np.maximum(sine - 0.99, 0.0) + np.maximum(shorter - 0.99, 0.0))


def edge_bound(a: Real, distance: Real) -> Real:
    r"""Bound on ``|H(theta) - theta|`` within ``distance`` of the cycle's ends.

    ``d theta / da = sin^2(theta) / D`` with ``sqrt(D) >= cos - |a| sin``, and ``1 / D <= L`` (see `slope_bounds`).
    """
    g = 0.5 * (np.abs(a) + np.sqrt(a * a + 4.0))
    root = np.maximum(1.0 - np.abs(a) * distance - 0.5 * distance * distance, 1.0 / g)
    return np.abs(a) * distance * distance / (root * root)


def ptc(phase: Real, weight: Real, neuron: QIF) -> Real:
    r"""Phase transition curve ``H_w(phi)``: the phase after an input spike of weight ``w`` at phase ``phi``."""
    return kick(neuron.omega * phase, weight / neuron.r) / neuron.omega


def _ptc_stretch(theta: Real, a: Real) -> Real:
    s = np.sin(theta)
    return s * s + (np.cos(theta) - a * s) ** 2


def ptc_slope(phase: Real, weight: Real, neuron: QIF) -> Real:
    r"""``dH_w/dphi = 1 / D`` with ``D = sin^2 + (cos - (w/r) sin)^2``."""
    return 1.0 / _ptc_stretch(neuron.omega * phase, weight / neuron.r)


def ptc_weight_slope(phase: Real, weight: Real, neuron: QIF) -> Real:
    r"""``dH_w/dw = (tau / r^2) sin^2(theta) / D``."""
    theta = neuron.omega * phase
    return neuron.tau / neuron.r**2 * np.sin(theta) ** 2 / _ptc_stretch(theta, weight / neuron.r)


def ptc_steepest(weight: Real, neuron: QIF) -> Real:
    r"""Largest slope of the PTC over all phases: ``L(w) = 1 + c^2/2 + |c| sqrt(1 + c^2/4)``, ``c = w / r``."""
    c = np.abs(weight / neuron.r)
    return 1.0 + 0.5 * c * c + c * np.sqrt(1.0 + 0.25 * c * c)


def rotate(x: Real, y: Real, c: Real, s: Real) -> tuple[Real, Real]:
    """Let time pass: rotate the plane vector by the angle whose cosine and sine are ``c`` and ``s``."""
    return c * x - s * y, s * x + c * y


def shear(x: Real, y: Real, a: Real) -> Real:
    """Receive a spike ``a = w / r``: the new ``x``; ``y`` stays."""
    return x - a * y


def length_change(x: Real, y: Real, a: Real) -> Real:
    r"""``R+^2 - R-^2 = a y (a y - 2 x)``: change of a vector's squared length by a shear ``a``."""
    return a * y * (a * y - (x + x))


def cotangent(theta: Real) -> Real:
    """``cot(theta)``; the coordinate in which a spike is a sum is ``v = -cot(theta)``."""
    return 1.0 / np.tan(theta)


def angle_of_cotangent(cot: Real) -> Real:
    """Angle in (0, pi) whose cotangent is ``cot``; inverse of `cotangent`."""
    return 0.5 * np.pi - np.arctan(cot)


def late_turn(theta: Real) -> Real:
    r"""``-sin(2 theta) / 2``: half of what a lateness factor ``a1`` adds to the angle, to first order in the weights.

    ``theta -> theta' + a1 (late_turn(theta) + late_turn(theta'))``, ``theta'`` being the angle after the kick: it is
    `late_kick` with ``dv = d(theta) / sin^2(theta)``.
    """
    return -0.5 * np.sin(2.0 * theta)


def late_kick(v: Real, a0: Real, a1: Real) -> Real:
    r"""Several spikes of one time step, each late by its own ``delta_i``, in the coordinate ``v = -cot(theta)``.

    ``v -> v + a0 + a1 (2 v + a0)`` with ``a0 = sum_i w_i / r`` and ``a1 = omega sum_i w_i delta_i / r``: what they do
    at the step's end, to first order in a common lateness.  It follows from ``dv/dt = omega (1 + v^2)``.  Spikes of
    unequal lateness do not commute: what this leaves out is at most ``omega sum_{i<j} |a_i a_j (delta_i - delta_j)|``.
    """
    return v + a0 + a1 * (2.0 * v + a0)


def commutator(a0: Real, a1: Real, m2: Real, step: Real) -> Real:
    r"""What spikes of unequal lateness in one step take away: about ``sum_{i<j} a_i a_j |l_i - l_j|``.

    ``l_i = omega delta_i`` lies in ``[0, step)``.  Earlier spikes come first, which is one commutator per pair, their
    distance times both weights.  Sums do not know distances, but their squares: ``|d| ~ 3 d^2 / (2 step)`` is the best
    such parabola for two times drawn anywhere in the step, and ``sum_{i<j} a_i a_j (l_i - l_j)^2 = a0 a2 - a1^2`` with
    ``a2 = m2 step = sum_i a_i l_i^2``.  Zero where all are equally late.
    """
    return 1.5 * (a0 * m2 - a1 * a1 / step)


def unequal_kick(v: Real, a0: Real, a1: Real, a2: Real, lost: Real) -> Real:
    """`late_kick` to second order in the lateness, and for spikes of unequal lateness: see `commutator`.

    A spike late by ``l`` is the field ``a (cos l + v sin l)^2`` on the line of ``v``, so several are
    ``a0 - a2 + 2 a1 v + a2 v^2``, and what they do is its exponential, less what is ``lost``: the `commutator`.
    Of second order one term is left out, ``a0 a2 v / 2``, which saves a product.
    """
    return v + a0 - a2 - lost + (a1 + a2 * (0.5 * v + a0)) * (2.0 * v + a0)


def spike_weight_slope(y: Real, length2: Real, r: float, omega: float) -> Real:
    r"""``dt_k/dw_i = -y_i^2 / (r omega R_k^2)``: vector height at the input, squared length at the output spike."""
    return -y * y / (r * omega * length2)


def spike_input_slope(before2: Real, after2: Real, length2: Real) -> Real:
    r"""``dt_k/dt_i = (R_i+^2 - R_i-^2) / R_k^2``: squared lengths after and before the shear, and at the spike."""
    return (after2 - before2) / length2


def spike_phase_slope(length2: Real) -> Real:
    r"""``dt_k/dphi0 = -1 / R_k^2`` (start of length 1)."""
    return -1.0 / length2


def turn_second(phi_i: Real, phi_j: Real, phi_ij: Real, s_i: Real, s_j: Real, e: Real, length2: Real) -> Real:
    r"""Second derivative that a turn adds, seen from the start: ``phi_ij R^2 + 2 e (phi_i h_j + phi_j h_i)``.

    ``h = S + phi R^2 / 2``, where ``S`` are the first derivatives of the equivalent turn at the start before this one,
    and ``e = d(R^2)/dtheta0 / 2`` is the product of the vector with that solution of its recurrence which starts at a
    right angle to it.
    """
    return phi_ij * length2 + (e + e) * (phi_i * s_j + phi_j * s_i + phi_i * phi_j * length2)


def angle_second(g: Real, s_i: Real, s_j: Real, e: Real, length2: Real) -> Real:
    r"""``theta_ij = (G_ij - 2 S_i S_j e / R^2) / R^2``: an angle, from the sums of `turn_second`."""
    return (g - 2.0 * s_i * s_j * e / length2) / length2


def latency(x: Times, earliest: Any, latest: Any) -> Times:
    r"""Spike time ``t = latest - x (latest - earliest)`` that encodes ``x`` in [0, 1]: larger values spike first.

    Arguments are numbers, numpy arrays or torch tensors, and broadcast.
    """
    return latest - x * (latest - earliest)


def difference(start: Times, stop: Times, scale: Any, offset: Any) -> Times:
    r"""Result ``y = offset + scale (t_stop - t_start)`` of two first spike times; arguments as those of `latency`."""
    return offset + scale * (stop - start)


def pseudo_phase(theta: Real) -> Real:
    r"""Normalised pseudo-phase ``psi = theta' / pi`` that a neuron shows its successors when the trial ends."""
    return theta / np.pi


def pseudospike_time(theta: Real, trial: float, extra: Real, neuron: QIF) -> Real:
    r"""Time of a spike after the trial: ``T + (pi - theta') / omega + extra Theta``.

    ``theta'`` is the angle after the extra shear at ``T``; ``extra = k - 1 - n_fired`` periods for the k-th spike.
    """
    return trial + (np.pi - theta) / neuron.omega + extra * neuron.period
