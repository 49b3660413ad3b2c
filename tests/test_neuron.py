"""The formulas of the neuron against arbitrary precision, finite differences, and their own laws."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracles import closed_form_neuron

from qif2hw import neuron
from qif2hw.errors import InputError
from qif2hw.neuron import QIF

law = settings(deadline=None)
neurons = st.builds(QIF, tau=st.floats(0.05, 20), i0=st.floats(0.3, 30))
weights = st.floats(-100, 100)
parts = st.floats(0, 1)
inner = st.floats(1e-3, 1 - 1e-3)


def exact_ptc(phase: float, weight: float, q: QIF) -> mpmath.mpf:
    """By the potential, in 50 digits: phase -> V -> V + w -> phase."""
    r = mpmath.sqrt(mpmath.mpf(q.i0) - mpmath.mpf(1) / 4)
    theta = r / q.tau * mpmath.mpf(phase)
    if mpmath.sin(theta) <= 0:
        return mpmath.mpf(phase)
    potential = mpmath.mpf("0.5") - r * mpmath.cot(theta) + mpmath.mpf(weight)
    return (mpmath.atan((potential - mpmath.mpf("0.5")) / r) + mpmath.pi / 2) * q.tau / r


class TestParameters:
    @law
    @given(neurons)
    def test_derived(self, q: QIF) -> None:
        assert q.r == pytest.approx(float(mpmath.sqrt(mpmath.mpf(q.i0) - 0.25)), rel=1e-15)
        assert q.omega * q.period == pytest.approx(math.pi, rel=1e-15)

    def test_the_published_neuron(self) -> None:
        assert (QIF().r, QIF().period) == (1.0, pytest.approx(6.0, rel=1e-15))

    @pytest.mark.parametrize("tau", [0.0, -1.0, math.nan, math.inf])
    def test_refuses_a_bad_time_constant(self, tau: float) -> None:
        with pytest.raises(InputError, match="time constant must be positive"):
            QIF(tau=tau)

    @pytest.mark.parametrize("i0", [0.25, 0.0, -3.0, math.nan, math.inf])
    def test_refuses_a_neuron_that_rests(self, i0: float) -> None:
        with pytest.raises(InputError, match="drive above 1/4"):
            QIF(i0=i0)


class TestPotential:
    @law
    @given(neurons, inner)
    def test_solves_the_equation(self, q: QIF, part: float) -> None:
        phase = part * q.period
        v = neuron.voltage(phase, q)
        h = 1e-5 * phase * (1 - part)
        slope = (neuron.voltage(phase + h, q) - neuron.voltage(phase - h, q)) / (2 * h)
        assert q.tau * slope == pytest.approx(v * (v - 1) + q.i0, rel=1e-6)

    @law
    @given(neurons, inner)
    def test_phase_is_its_inverse(self, q: QIF, part: float) -> None:
        assert neuron.phase_of(neuron.voltage(part * q.period, q), q) == pytest.approx(part * q.period, rel=1e-12)

    @law
    @given(neurons)
    def test_reset_and_spike_are_the_infinities(self, q: QIF) -> None:
        assert neuron.phase_of(-math.inf, q) == 0.0
        assert neuron.phase_of(math.inf, q) == pytest.approx(q.period, rel=1e-15)


class TestPhaseTransitionCurve:
    @law
    @given(neurons, weights, parts)
    def test_in_fifty_digits(self, q: QIF, weight: float, part: float) -> None:
        phase = part * q.period
        # Rounding may carry the last phase past the end of the cycle, where the curve starts anew.
        with mpmath.workdps(50):
            wanted = float(exact_ptc(phase, weight, q))
        slack = 1e-15 * q.period * (2 + neuron.ptc_slope(phase, weight, q))
        assert neuron.ptc(phase, weight, q) == pytest.approx(wanted, rel=0, abs=slack)

    @law
    @given(neurons, weights)
    def test_ends_stay(self, q: QIF, weight: float) -> None:
        assert neuron.ptc(0.0, weight, q) == 0.0
        # math.pi lies 1.2e-16 below pi.
        assert neuron.kick(math.pi, weight / q.r) == pytest.approx(math.pi, rel=0, abs=1e-15 * (1 + abs(weight) / q.r))

    @law
    @given(neurons, weights, st.lists(parts, min_size=2, max_size=8, unique=True))
    def test_keeps_the_order_of_phases_inside_the_cycle(self, q: QIF, weight: float, some: list[float]) -> None:
        phase = np.sort(some) * q.period
        after = neuron.ptc(phase, weight, q)
        assert (np.diff(after) >= 0).all()
        assert after[0] >= 0
        assert after[-1] <= q.period * (1 + 1e-15)

    @law
    @given(neurons, inner, weights, weights)
    def test_more_weight_is_more_phase(self, q: QIF, part: float, one: float, other: float) -> None:
        assume(abs(one - other) > 1e-6)
        low, high = sorted((one, other))
        assert neuron.ptc(part * q.period, low, q) < neuron.ptc(part * q.period, high, q)

    @law
    @given(neurons, inner, st.floats(-5, 5), st.floats(-5, 5))
    def test_two_spikes_at_once_are_one(self, q: QIF, part: float, one: float, other: float) -> None:
        phase = part * q.period
        twice = neuron.ptc(neuron.ptc(phase, one, q), other, q)
        slack = 1e-15 * q.period * (4 + 4 * neuron.ptc_steepest(other, q))
        assert twice == pytest.approx(neuron.ptc(phase, one + other, q), rel=0, abs=slack)

    @law
    @given(neurons, weights, inner)
    def test_slopes(self, q: QIF, weight: float, part: float) -> None:
        phase = part * q.period
        with mpmath.workdps(50):
            by_phase = float(mpmath.diff(lambda p: exact_ptc(p, weight, q), phase))
            by_weight = float(mpmath.diff(lambda w: exact_ptc(phase, w, q), weight))
        # D is a difference near the spike: its relative error grows with the weight.
        slack = 1e-13 * (1 + (weight / q.r) ** 2)
        assert neuron.ptc_slope(phase, weight, q) == pytest.approx(by_phase, rel=slack)
        assert neuron.ptc_weight_slope(phase, weight, q) == pytest.approx(by_weight, rel=slack)

    @law
    @given(neurons, weights)
    def test_steepest_is_reached_and_not_exceeded(self, q: QIF, weight: float) -> None:
        # Uniform in the phase after the spike, which is where the curve is steep.
        after = np.linspace(0, q.period, 20001)[1:-1]
        slopes = neuron.ptc_slope(neuron.ptc(after, -weight, q), weight, q)
        top = neuron.ptc_steepest(weight, q)
        assert slopes.max() <= top * (1 + 1e-9)
        assert slopes.max() >= top * (1 - 1e-6)

    def test_broadcasts(self) -> None:
        phase, weight = np.linspace(0.1, 5.9, 7)[:, None], np.linspace(-3, 3, 5)
        table = neuron.ptc(phase, weight, QIF())
        assert table.shape == (7, 5)
        assert table[3, 1] == neuron.ptc(phase[3, 0], weight[1], QIF())


coordinates = st.floats(-4, 4)


class TestPlaneVector:
    @law
    @given(coordinates, coordinates, coordinates, coordinates, st.floats(-7, 7), st.floats(-50, 50))
    def test_areas_are_kept(self, x: float, y: float, u: float, v: float, angle: float, a: float) -> None:
        c, s = math.cos(angle), math.sin(angle)
        one, other = neuron.rotate(x, y, c, s), neuron.rotate(u, v, c, s)
        assert one[0] * other[1] - one[1] * other[0] == pytest.approx(x * v - y * u, abs=1e-13)
        sheared = neuron.shear(x, y, a) * v - y * neuron.shear(u, v, a)
        assert sheared == pytest.approx(x * v - y * u, abs=1e-12)

    @law
    @given(neurons, weights, inner, inner)
    def test_is_the_neuron(self, q: QIF, weight: float, part: float, wait: float) -> None:
        """Rotate and shear a vector; its angle is the phase."""
        dt = wait * (1 - part) * q.period
        x, y = math.cos(q.omega * part * q.period), math.sin(q.omega * part * q.period)
        x, y = neuron.rotate(x, y, math.cos(q.omega * dt), math.sin(q.omega * dt))
        x = neuron.shear(x, y, weight / q.r)
        phase = part * q.period + dt
        slack = 1e-14 * q.period * (1 + neuron.ptc_slope(phase, weight, q))
        assert math.atan2(y, x) / q.omega == pytest.approx(neuron.ptc(phase, weight, q), rel=0, abs=slack)

    @law
    @given(coordinates, coordinates, st.floats(-50, 50))
    def test_length_change(self, x: float, y: float, a: float) -> None:
        after = neuron.shear(x, y, a)
        wanted = (after * after + y * y) - (x * x + y * y)
        assert neuron.length_change(x, y, a) == pytest.approx(wanted, rel=1e-12, abs=1e-10)


class TestLateSpikes:
    @staticmethod
    def exactly(v: float, a: NDArray[np.float64], late: NDArray[np.float64]) -> float:
        """Turn back to each spike, kick, and turn on to the end of the step; angles in radians."""
        theta = math.atan2(1.0, -v) - late.max()
        now = late.max()
        for k in np.argsort(-late):
            theta = float(neuron.kick(theta + now - late[k], a[k]))
            now = late[k]
        return -1.0 / math.tan(theta + now)

    @law
    @given(st.floats(-2, 2), st.lists(st.floats(-1, 1), min_size=1, max_size=5), parts)
    def test_error_is_of_second_order_in_a_common_lateness(self, v: float, kicks: list[float], part: float) -> None:
        a, late = np.array(kicks), np.full(len(kicks), part)
        assert self.remainder(v, a, late, 1e-3) < 200 * 1e-3**2

    @law
    @given(st.floats(-2, 2), st.lists(st.tuples(st.floats(-1, 1), parts), min_size=2, max_size=5))
    def test_forgets_the_order_of_spikes_and_nothing_else(self, v: float, spikes: list[tuple[float, float]]) -> None:
        """The remainder of first order is that of the pairs, ``a_i a_j |delta_i - delta_j|``: kicks do not commute."""
        a, late = np.array([s[0] for s in spikes]), np.array([s[1] for s in spikes])
        pairs = 0.5 * float(np.sum(np.outer(a, a) * np.abs(np.subtract.outer(late, late))))
        assert self.remainder(v, a, late, 1e-3, pairs) < 1000 * 1e-3**2

    def remainder(
        self, v: float, a: NDArray[np.float64], late: NDArray[np.float64], step: float, pairs: float = 0.0
    ) -> float:
        found = neuron.late_kick(v, a.sum(), float(a @ late) * step) - pairs * step
        return abs(found - self.exactly(v, a, late * step))

    def test_second_order_means_a_fourth_at_half_the_step(self) -> None:
        a, late = np.array([0.7, 0.4, -0.2]), np.full(3, 0.8)
        coarse, fine = (self.remainder(0.5, a, late, step) for step in (2e-3, 1e-3))
        assert 0.24 < fine / coarse < 0.26

    def test_without_the_lateness_it_is_of_first_order(self) -> None:
        """That the law above can fail: forget a1."""
        a, late = np.array([0.7]), np.array([1e-3])
        assert abs(neuron.late_kick(0.5, 0.7, 0.0) - self.exactly(0.5, a, late)) > 1e-3 * 0.5

    @staticmethod
    def unequal(v: float, a: NDArray[np.float64], late: NDArray[np.float64], step: float) -> float:
        moments = float(a @ late) * step, float(a @ late**2) * step
        a1, m2 = moments
        lost = neuron.commutator(a.sum(), a1, m2, step)
        return neuron.unequal_kick(v, a.sum(), a1, m2 * step, lost)

    @law
    @given(st.floats(-2, 2), st.floats(-1, 1), parts)
    def test_the_square_of_the_lateness_leaves_one_term_of_second_order(self, v: float, a: float, part: float) -> None:
        kick, late, step = np.array([a]), np.array([part]), 1e-3
        left_out = 0.5 * a * a * (part * step) ** 2 * v
        found = self.unequal(v, kick, late, step) + left_out
        assert abs(found - self.exactly(v, kick, late * step)) < 1000 * step**3

    @law
    @given(st.floats(-2, 2), st.lists(st.tuples(st.floats(-1, 1), parts), min_size=2, max_size=5))
    def test_squares_tell_distances_by_a_parabola(self, v: float, spikes: list[tuple[float, float]]) -> None:
        """Of first order, what is left is how far each pair's distance lies from the parabola."""
        a, late, step = np.array([s[0] for s in spikes]), np.array([s[1] for s in spikes]), 1e-3
        d = np.abs(np.subtract.outer(late, late))
        pairs = 0.5 * float(np.sum(np.outer(a, a) * (d - 1.5 * d * d)))
        found = self.unequal(v, a, late, step) - pairs * step
        assert abs(found - self.exactly(v, a, late * step)) < 1000 * step**2

    def test_no_parabola_is_nearer_to_the_distance_of_two_times(self) -> None:
        one, other = np.meshgrid(*[(np.arange(400) + 0.5) / 400] * 2)
        d = np.abs(one - other).ravel()
        best = d @ d**2 / (d**2 @ d**2)
        assert neuron.commutator(1.0, 0.0, 1.0, 1.0) == pytest.approx(best, abs=1e-4)

    @law
    @given(st.floats(-3, 3), st.floats(-3, 3))
    def test_in_time_it_is_a_plain_kick(self, v: float, a0: float) -> None:
        assert neuron.late_kick(v, a0, 0.0) == v + a0
        theta = math.atan2(1.0, -v)
        assert -1.0 / math.tan(neuron.kick(theta, a0)) == pytest.approx(v + a0, rel=1e-9, abs=1e-9)


class TestSpikeSlopes:
    """Closed-form derivatives of spike times against central differences of a 50-digit closed form."""

    trial = 30.0

    @staticmethod
    def slopes(
        q: QIF, phi0: float, times: NDArray[np.float64], weight: NDArray[np.float64], spike: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        """By weight, input time and initial phase, of the spike at time ``spike``."""
        x, y, now = math.cos(q.omega * phi0), math.sin(q.omega * phi0), 0.0
        heights, before, after = (np.zeros(len(times)) for _ in range(3))
        for k in np.argsort(times):
            if times[k] >= spike:
                break
            angle = q.omega * (times[k] - now)
            x, y = neuron.rotate(x, y, math.cos(angle), math.sin(angle))
            heights[k], before[k] = y, x * x + y * y
            x = neuron.shear(x, y, weight[k] / q.r)
            after[k], now = x * x + y * y, float(times[k])
        length2 = x * x + y * y
        return (
            neuron.spike_weight_slope(heights, length2, q.r, q.omega),
            neuron.spike_input_slope(before, after, length2),
            neuron.spike_phase_slope(length2),
        )

    @pytest.mark.parametrize("seed", range(6))
    @pytest.mark.parametrize("q", [QIF(), QIF(tau=0.7, i0=3.0)])
    def test_several_spikes_of_a_neuron(self, q: QIF, seed: int) -> None:
        rng = np.random.default_rng(seed)
        times, weight = np.sort(rng.uniform(0.5, 12, 6)), rng.uniform(-2, 2, 6)
        phi0 = float(rng.uniform(0.2, 0.8) * q.period)

        def run(t: NDArray[np.float64], w: NDArray[np.float64], p: float) -> NDArray[np.float64]:
            return np.array(closed_form_neuron(q.tau, q.i0, p, t, w, self.trial)[0])

        h = 1e-5
        spikes = run(times, weight, phi0)
        shown = [k for k, t in enumerate(spikes) if np.abs(times - t).min() > 1e-3][:6]
        assert len(shown) >= 3
        found = [self.slopes(q, phi0, times, weight, float(spikes[k])) for k in shown]
        for i in range(6):
            e = np.eye(6)[i] * h
            by_weight = (run(times, weight + e, phi0)[shown] - run(times, weight - e, phi0)[shown]) / (2 * h)
            by_time = (run(times + e, weight, phi0)[shown] - run(times - e, weight, phi0)[shown]) / (2 * h)
            np.testing.assert_allclose([f[0][i] for f in found], by_weight, rtol=1e-6, atol=1e-8)
            np.testing.assert_allclose([f[1][i] for f in found], by_time, rtol=1e-6, atol=1e-8)
        by_phase = (run(times, weight, phi0 + h)[shown] - run(times, weight, phi0 - h)[shown]) / (2 * h)
        np.testing.assert_allclose([f[2] for f in found], by_phase, rtol=1e-6, atol=1e-8)


class TestPseudospikes:
    @law
    @given(neurons, parts, st.integers(0, 4), st.floats(1, 30))
    def test_is_when_the_free_neuron_would_fire(self, q: QIF, part: float, extra: int, trial: float) -> None:
        time = neuron.pseudospike_time(part * math.pi, trial, extra, q)
        assert time == pytest.approx(trial + (1 - part + extra) * q.period, rel=1e-12)

    @law
    @given(parts)
    def test_pseudo_phase_counts_turns(self, part: float) -> None:
        assert neuron.pseudo_phase(part * math.pi) == pytest.approx(part, rel=1e-15)


@law
@given(part=inner)
def test_cotangent_and_back(part: float) -> None:
    theta = math.pi * part
    assert neuron.cotangent(theta) == pytest.approx(float(mpmath.cot(theta)), rel=1e-12, abs=1e-15)
    assert neuron.angle_of_cotangent(neuron.cotangent(theta)) == pytest.approx(theta, rel=1e-12)


@law
@given(part=st.floats(0.05, 0.95), a0=st.floats(-0.01, 0.01), late=st.floats(0, 0.01))
def test_late_turn_is_late_kick_in_the_angle(part: float, a0: float, late: float) -> None:
    """To first order in the weight: the second order is at most of the size of ``a0 a1``."""
    theta, a1 = math.pi * part, a0 * late
    kicked = neuron.kick(theta, a0)
    by_angle = kicked + a1 * (neuron.late_turn(theta) + neuron.late_turn(kicked))
    by_cotangent = neuron.angle_of_cotangent(-neuron.late_kick(-neuron.cotangent(theta), a0, a1))
    assert abs(by_angle - by_cotangent) <= 2 * abs(a0 * a1) + 1e-14
    assert abs(by_cotangent - kicked - 2 * a1 * neuron.late_turn(theta)) <= 4 * abs(a0 * a1) + 4 * a1 * a1 + 1e-14
