"""Parameters of the neurons in discrete time, checked, and what follows from them: fixed points, basins, bounds."""

import math
import warnings
from dataclasses import dataclass, fields, replace
from typing import ClassVar, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from qif2hw.discrete.maps import Kind, Relaxation, cosh_sinhc, leaky_relaxation, quadratic_relaxation, relax
from qif2hw.errors import InputError

MARGIN = 0.1
"""Least distance of the threshold to the pole of the exact map, in units of the distance of rest to the pole.

With complex roots the unit is ``1 / (a S)``; in both cases the map's denominator stays 0.1 of its largest eigenvalue.
"""

LARGEST = 1e6
"""Largest size of a parameter; potentials are float32, and Euler's kind squares them."""

RESOLUTION = 1e-4
"""Least distance of the threshold to the pole, in units of the largest potential: float32 must resolve it."""


def _check_common(neuron: "SteppedQIF | SteppedLIF") -> None:
    for field in fields(neuron):
        value = getattr(neuron, field.name)
        if not isinstance(value, str) and not abs(value) <= LARGEST:
            raise InputError(f"{field.name} = {value:g}: a number of at most {LARGEST:g} in size is needed")
    if neuron.gain <= 0:
        raise InputError(f"gain = {neuron.gain:g}: the gain of the input must be positive")
    if neuron.reset >= neuron.threshold:
        raise InputError(f"reset = {neuron.reset:g}: it must lie below the threshold {neuron.threshold:g}")
    if neuron.rest is not None and neuron.threshold <= neuron.rest:
        raise InputError(f"threshold = {neuron.threshold:g}: it must lie above the rest {neuron.rest:g}")


@dataclass(frozen=True)
class SteppedQIF:
    r"""Parameters of a QIF neuron that rests, in discrete time.

    Parameters
    ----------
    a
        Curvature per time step, positive.
    u1, u2
        Roots of the equation, ``u1 <= u2``: the stable rest and the unstable potential above which the neuron runs
        away.  Of the exact kind also complex conjugates, where the neuron has no rest and fires without input.
    threshold
        Spike if ``v >= threshold``.
    reset
        State after a spike, and at the start.
    gain
        Factor of the input.
    kind
        ``exact``, the flow of the equation, or ``euler``, the published kind.

    Raises
    ------
    InputError
        If a number is not finite or beyond `LARGEST`, ``a <= 0``, ``u1 > u2``, or the threshold is not above rest and
        reset; of the exact kind if the threshold comes nearer to the pole `u_c` than `MARGIN`, or than `RESOLUTION`, or
        the neuron turns by half a circle in a step; of Euler's unless ``0 < a (u2 - u1) < 2``.

    Warns
    -----
    UserWarning
        If ``a (u2 - u1) > 1`` for Euler's kind: rest is then approached in alternation from both sides.
    """

    a: float = 0.25
    u1: complex = 0.0
    u2: complex = 0.5
    threshold: float = 1.0
    reset: float = 0.0
    gain: float = 1.0
    kind: Kind = "exact"

    learnable: ClassVar[tuple[str, ...]] = ("a", "u1", "u2", "threshold", "reset", "gain")

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise InputError(f"kind = {self.kind!r}: the discretizations are {' and '.join(get_args(Kind))}")
        self._check_roots()
        _check_common(self)
        if self.a <= 0:
            raise InputError(f"a = {self.a:g}: the curvature must be positive")
        if self.kind == "exact":
            self._check_exact()
        else:
            self._check_euler()

    def _check_roots(self) -> None:
        u1, u2 = complex(self.u1), complex(self.u2)
        if u1.imag == u2.imag == 0:
            object.__setattr__(self, "u1", u1.real)
            object.__setattr__(self, "u2", u2.real)
            if u1.real > u2.real:
                raise InputError(f"u1 = {u1.real:g}, u2 = {u2.real:g}: rest u1 must not lie above u2; exchange them")
        elif u1 != u2.conjugate():
            raise InputError(f"u1 = {u1:g}, u2 = {u2:g}: two real numbers or two complex conjugates are needed")

    def _check_exact(self) -> None:
        _, _, c, _, _, d1 = self.relaxation
        z = self.a**2 * self.spread
        if z <= -(math.pi**2):
            raise InputError(f"a = {self.a:g}: the neuron turns by {math.sqrt(-z):.3g} in a step, pi or more; lower a")
        largest = c - d1 * math.sqrt(self.spread) if z > 0 else math.sqrt(c * c - z * (d1 / self.a) ** 2)
        if d1 == 0:  # so flat that nothing is near to the pole
            return
        scale = max(abs(self.u1), abs(self.u2), self.threshold)
        highest = self.u_c - max(-MARGIN * largest / d1, RESOLUTION * scale)
        if self.threshold > highest:
            raise InputError(
                f"threshold = {self.threshold:g}: too near to the pole u_c = {self.u_c:g} of the exact map, at most "
                f"{highest:g} is possible; lower the threshold or a"
            )

    def _check_euler(self) -> None:
        if isinstance(self.u1, complex) or isinstance(self.u2, complex):
            raise InputError("u1 and u2 are complex: Euler's kind needs real ones; use kind='exact'")
        rate = self.a * (self.u2 - self.u1)
        if not 0 < rate < 2:
            raise InputError(
                f"a (u2 - u1) = {rate:g}: Euler's rest is stable between 0 and 2 only; change a or use kind='exact'"
            )
        if rate > 1:
            warnings.warn(
                f"a (u2 - u1) = {rate:g} > 1: Euler's neuron approaches its rest in alternation from both sides",
                stacklevel=4,
            )

    @classmethod
    def from_spikingjelly(
        cls,
        tau: float = 2.0,
        v_c: float = 0.8,
        a0: float = 1.0,
        v_threshold: float = 1.0,
        v_rest: float = 0.0,
        v_reset: float = -0.1,
        kind: Kind = "euler",
    ) -> "SteppedQIF":
        """The neuron of spikingjelly's ``QIFNode``, with its names and defaults: the input has the gain ``1 / tau``."""
        if not (math.isfinite(tau) and tau > 0):
            raise InputError(f"tau = {tau:g}: the membrane time constant must be positive")
        return cls(a0 / tau, v_rest, v_c, v_threshold, v_reset, 1 / tau, kind)

    def with_step(self, h: float) -> "SteppedQIF":
        """The same neuron with time steps ``h`` times as long: ``a`` and the gain of the input per step change."""
        return replace(self, a=self.a * h, gain=self.gain * h)

    @property
    def centre(self) -> float:
        """``(u1 + u2) / 2``."""
        return float(self.relaxation.centre)

    @property
    def spread(self) -> float:
        """``((u2 - u1) / 2)^2``; negative for complex roots."""
        return float(np.real(((self.u2 - self.u1) / 2) ** 2))

    @property
    def relaxation(self) -> Relaxation:
        """The step without input."""
        return Relaxation(*map(float, quadratic_relaxation(self.kind, np.float64(self.a), self.u1, self.u2)))

    @property
    def plane_matrix(self) -> NDArray[np.float64]:
        """The exact step as a matrix for the plane vector ``(p, q)``, ``u = p / q``: ``exp(G)``, up to a factor.

        ``G = [[-a m, a u1 u2], [-a, a m]]``; an input is the shear ``p += gain x q``, a spike ``p >= threshold q``.
        """
        if self.kind != "exact":
            raise InputError(f"kind = {self.kind!r}: the exact neuron alone is a plane vector")
        c, s = cosh_sinhc(np.float64(self.a**2 * self.spread))
        m = self.centre
        return c * np.eye(2) + s * self.a * np.array([[-m, m * m - self.spread], [-1.0, m]])

    @property
    def rest(self) -> float | None:
        """Stable fixed point ``u1``; None if there is none (complex roots)."""
        return None if isinstance(self.u1, complex) else float(self.u1)

    @property
    def rest_slope(self) -> float | None:
        """Slope of the map at rest: ``1 - a (u2 - u1)`` or ``exp(-a (u2 - u1))``; rest is stable if below 1 in size."""
        if self.rest is None:
            return None
        rate = 2 * self.a * math.sqrt(self.spread)
        return math.exp(-rate) if self.kind == "exact" else 1 - rate

    @property
    def basin(self) -> tuple[float, float] | None:
        """Open interval of states that go to rest without input and threshold; None if there is no rest."""
        if self.rest is None:
            return None
        return (-math.inf if self.kind == "exact" else self.rest - 1 / self.a), float(np.real(self.u2))

    @property
    def u_min(self) -> float:
        """State below which Euler's map falls, so that inhibition pushes the neuron up; minus infinity if exact."""
        return -math.inf if self.kind == "exact" else self.centre - 0.5 / self.a

    @property
    def u_r(self) -> float:
        """State below which Euler's neuron fires without input, ``f(u_r) = threshold``; minus infinity if exact."""
        if self.kind == "exact":
            return -math.inf
        root = math.sqrt(1 + 4 * self.a * (self.a * self.spread + self.threshold - self.centre))
        return self.centre - (1 + root) / (2 * self.a)

    @property
    def u_c(self) -> float:
        """Pole of the exact map, which the threshold must not reach; infinity for Euler's."""
        _, _, _, _, d0, d1 = self.relaxation
        return self.centre - d0 / d1 if d1 else math.inf

    @property
    def lower_bound(self) -> float:
        """Infimum of the states below the threshold after a step without input."""
        if self.kind == "euler":
            return float(apply(self, np.float64(self.u_min)))
        _, _, c1, _, _, d1 = self.relaxation
        return self.centre + c1 / d1 if d1 else -math.inf

    @property
    def upper_bound(self) -> float:
        """Supremum of the states below the threshold after a step without input; of Euler's kind from `u_r` on."""
        return float(apply(self, np.float64(self.threshold)))


@dataclass(frozen=True)
class SteppedLIF:
    """Parameters of a leaky integrate-and-fire neuron in discrete time, ``f(u) = rest + leak (u - rest)``.

    Parameters
    ----------
    leak
        Share of the distance to rest that is left after a step, in [0, 1].
    rest
        Potential without input.
    threshold, reset, gain
        As of `SteppedQIF`.

    Raises
    ------
    InputError
        If a number is not finite or beyond `LARGEST`, the leak not in [0, 1], or the threshold not above rest, reset.
    """

    leak: float = 0.5
    rest: float = 0.0
    threshold: float = 1.0
    reset: float = 0.0
    gain: float = 1.0

    learnable: ClassVar[tuple[str, ...]] = ("leak", "rest", "threshold", "reset", "gain")

    def __post_init__(self) -> None:
        _check_common(self)
        if not 0 <= self.leak <= 1:
            raise InputError(f"leak = {self.leak:g}: a number from 0 to 1 is needed")

    @classmethod
    def from_spikingjelly(
        cls, tau: float = 2.0, decay_input: bool = True, v_threshold: float = 1.0, v_reset: float = 0.0
    ) -> "SteppedLIF":
        """The neuron of spikingjelly's ``LIFNode``, with its names and defaults; it rests at ``v_reset``."""
        if not (math.isfinite(tau) and tau >= 1):
            raise InputError(f"tau = {tau:g}: the membrane time constant must be at least one step")
        return cls(1 - 1 / tau, v_reset, v_threshold, v_reset, 1 / tau if decay_input else 1.0)

    def with_step(self, h: float) -> "SteppedLIF":
        """The same neuron with time steps ``h`` times as long."""
        return replace(self, leak=self.leak**h, gain=self.gain * h)

    @property
    def relaxation(self) -> Relaxation:
        """The step without input."""
        return Relaxation(*map(float, leaky_relaxation(self.leak, self.rest)))

    @property
    def rest_slope(self) -> float:
        """Slope of the map at rest: the leak."""
        return self.leak

    @property
    def basin(self) -> tuple[float, float]:
        """Every state goes to rest."""
        return -math.inf, math.inf


@dataclass(frozen=True)
class SteppedSynaptic:
    r"""Parameters of a leaky neuron with a synaptic current, in real numbers: a baseline from other frameworks.

    .. math::
        i_t = c\, i_{t-1} + x_t, \qquad v_t = \mathrm{rest} + \mathrm{leak} (u_{t-1} - \mathrm{rest}) + g\, i_t

    with spike and reset as of `SteppedLIF`; the current starts at 0 and is not reset.

    Parameters
    ----------
    current_leak
        Share of the current that is left after a step, in [0, 1].
    leak, rest, threshold, reset, gain
        As of `SteppedLIF`.  Where the threshold is infinite the neuron never spikes, and results are read from its
        potential, which starts at ``reset``.

    Raises
    ------
    InputError
        As of `SteppedLIF`, and if ``current_leak`` does not lie in [0, 1].
    """

    current_leak: float = 0.0
    leak: float = 0.5
    rest: float = 0.0
    threshold: float = 1.0
    reset: float = 0.0
    gain: float = 1.0

    def __post_init__(self) -> None:
        # An infinite threshold is above everything.
        threshold = LARGEST if self.threshold == math.inf else self.threshold
        if threshold != self.threshold and max(self.rest, self.reset) >= LARGEST:
            raise InputError(f"rest = {self.rest:g}, reset = {self.reset:g}: below {LARGEST:g} is needed")
        SteppedLIF(self.leak, self.rest, threshold, self.reset, self.gain)
        if not 0 <= self.current_leak <= 1:
            raise InputError(f"current_leak = {self.current_leak:g}: a number from 0 to 1 is needed")


Stepped: TypeAlias = SteppedQIF | SteppedLIF
"""A neuron in discrete time steps."""


def apply(neuron: Stepped, u: NDArray[np.float64] | np.float64) -> NDArray[np.float64] | np.float64:
    """States after one step without input, in float64; element by element."""
    relaxation = neuron.relaxation
    result: NDArray[np.float64] = relaxation.centre + relax(u - relaxation.centre, *relaxation[1:])
    return result
