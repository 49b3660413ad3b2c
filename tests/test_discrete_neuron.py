"""Neurons in discrete time: the maps against an ODE integrator and closed forms, their laws, bounds and refusals."""

import math
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from stepped import exact_neurons

from qif2hw import neuron as oscillating
from qif2hw.discrete import MARGIN, Stepped, SteppedLIF, SteppedQIF, apply, potential_moments
from qif2hw.discrete.maps import cosh_sinhc, relax_slope
from qif2hw.errors import InputError

law = settings(deadline=None)
EXAMPLES = {
    "two roots": SteppedQIF(),
    "wide": SteppedQIF(a=1.0, u1=-0.3, u2=0.9, threshold=0.8, reset=-0.5),
    "one root": SteppedQIF(a=0.4, u1=0.2, u2=0.2),
    "complex": SteppedQIF(a=0.7, u1=0.1 + 0.6j, u2=0.1 - 0.6j),
}


def step(q: Stepped, u: float) -> float:
    return float(apply(q, np.float64(u)))


class TestExact:
    @pytest.mark.parametrize("name", EXAMPLES)
    @pytest.mark.parametrize("u", [-20.0, -1.0, 0.0, 0.3, 0.75])
    def test_against_an_integrator(self, name: str, u: float) -> None:
        q = EXAMPLES[name]
        s, p = complex(q.u1 + q.u2).real, complex(q.u1 * q.u2).real
        flow = solve_ivp(lambda _, v: q.a * (v * v - s * v + p), (0, 1), [u], method="DOP853", rtol=1e-12, atol=1e-13)
        assert step(q, u) == pytest.approx(flow.y[0, -1], rel=1e-9, abs=1e-9)

    @law
    @given(exact_neurons(), st.floats(-50, 1))
    def test_the_fractional_map_in_fifty_digits(self, q: SteppedQIF, part: float) -> None:
        assume(q.u2.real - q.u1.real > 1e-6)
        u = float(q.u1.real + part * (q.threshold - q.u1.real))
        with mpmath.workdps(50):
            a, u1, u2 = mpmath.mpf(q.a), mpmath.mpf(q.u1.real), mpmath.mpf(q.u2.real)
            e = mpmath.exp(-a * (u2 - u1))
            expected = float(((u1 - u2 * e) * u - u1 * u2 * (1 - e)) / ((1 - e) * u + e * u1 - u2))
            scale = float(abs(u) + abs(u1) + abs(u2)) + abs(expected)
        assert step(q, u) == pytest.approx(expected, abs=1e-9 * scale)

    def test_one_root(self) -> None:
        q = EXAMPLES["one root"]
        assert step(q, -3.0) == pytest.approx(0.2 + -3.2 / (1 + 0.4 * 3.2), rel=1e-14)

    @given(st.floats(-9, 1e3))
    def test_hyperbolic_functions_of_either_sign(self, z: float) -> None:
        c, s = cosh_sinhc(np.float64(z))
        with mpmath.workdps(30):
            k = mpmath.sqrt(mpmath.mpf(z))
            scaled = mpmath.exp(-k) if z >= 0.01 else mpmath.mpf(1)
            cosh, sinhc = mpmath.re(mpmath.cosh(k) * scaled), mpmath.re(mpmath.sinh(k) / k * scaled if z else 1)
        assert (float(c), float(s)) == (pytest.approx(float(cosh), abs=1e-15), pytest.approx(float(sinhc), abs=1e-15))

    @law
    @given(st.sampled_from(sorted(EXAMPLES)), st.floats(0.01, 0.9), st.floats(-30, 0.7))
    def test_two_steps_are_one_of_their_length(self, name: str, h: float, u: float) -> None:
        q = EXAMPLES[name]
        first, second = q.with_step(h), q.with_step(1 - h)
        assert step(second, step(first, u)) == pytest.approx(step(q, u), rel=1e-10, abs=1e-10)
        product = second.plane_matrix @ first.plane_matrix
        unit = [m / math.sqrt(np.linalg.det(m)) for m in (product, q.plane_matrix)]
        np.testing.assert_allclose(unit[0], unit[1], rtol=1e-10, atol=1e-12)

    @pytest.mark.parametrize("name", EXAMPLES)
    def test_the_plane_vector(self, name: str) -> None:
        q = EXAMPLES[name]
        p, r = q.plane_matrix @ (0.3, 1.0)
        assert p / r == pytest.approx(step(q, 0.3), rel=1e-13)

    def test_complex_roots_are_the_oscillating_neuron(self) -> None:
        free = oscillating.QIF()
        root = 1j * free.r
        q = SteppedQIF(a=0.1 / free.tau, u1=0.5 + root, u2=0.5 - root)
        phase = 1.7
        before, after = (float(oscillating.voltage(np.float64(t), free)) for t in (phase, phase + 0.1))
        assert step(q, before) == pytest.approx(after, rel=1e-13)
        assert (q.rest, q.basin, q.rest_slope) == (None, None, None)

    @pytest.mark.parametrize("name", EXAMPLES)
    def test_slope(self, name: str) -> None:
        q = EXAMPLES[name]
        centre, _, c1, c2, d0, d1 = q.relaxation
        h = 1e-5
        slope = (step(q, 0.4 + h) - step(q, 0.4 - h)) / (2 * h)
        assert relax_slope(0.4 - centre, step(q, 0.4) - centre, c1, c2, d0, d1) == pytest.approx(slope, rel=1e-8)


class TestFixedPoints:
    @pytest.mark.parametrize("kind", ["exact", "euler"])
    def test_rest_its_slope_and_its_basin(self, kind: Any) -> None:
        q = SteppedQIF(a=0.6, u1=-0.2, u2=0.7, kind=kind)
        assert step(q, -0.2) == pytest.approx(-0.2, abs=1e-15)
        assert step(q, 0.7) == pytest.approx(0.7, abs=1e-15)
        assert q.rest_slope == pytest.approx((step(q, -0.2 + 1e-6) - step(q, -0.2 - 1e-6)) / 2e-6, rel=1e-6)
        assert q.basin is not None
        low, high = q.basin
        inside = [max(low, -1e3) + 1e-3, -0.5, 0.3, high - 1e-3]
        for u in inside:
            for _ in range(200):
                u = step(q, u)
            assert u == pytest.approx(-0.2, abs=1e-6)
        outside = [high + 1e-3, *([low - 1e-3] if math.isfinite(low) else [])]
        for u in outside:
            steps = 0
            while u < q.threshold and steps < 100:
                u, steps = step(q, u), steps + 1
            assert u >= q.threshold

    def test_lif(self) -> None:
        q = SteppedLIF(leak=0.3, rest=0.2)
        assert (step(q, 0.2), step(q, 1.2)) == (0.2, pytest.approx(0.5, rel=1e-15))
        assert (q.rest_slope, q.basin) == (0.3, (-math.inf, math.inf))

    def test_euler_is_the_published_recurrence(self) -> None:
        q = SteppedQIF(a=0.3, u1=-0.1, u2=0.8, kind="euler")
        assert step(q, -1.3) == pytest.approx(-1.3 + 0.3 * (-1.3 + 0.1) * (-1.3 - 0.8), rel=1e-14)

    @pytest.mark.parametrize(("a", "u2", "u_min", "u_r"), [(0.25, 0.5, -1.75, -4.41), (1.0, 1.0, 0.0, -1.0)])
    def test_rebound(self, a: float, u2: float, u_min: float, u_r: float) -> None:
        q = SteppedQIF(a=a, u1=0.0, u2=u2, kind="euler")
        assert (q.u_min, q.u_r) == (pytest.approx(u_min), pytest.approx(u_r, abs=5e-3))
        assert step(q, q.u_min - 0.1) == pytest.approx(step(q, q.u_min + 0.1), rel=1e-12)
        assert step(q, q.u_r) == pytest.approx(q.threshold, rel=1e-12)
        assert step(q, q.u_min) == q.lower_bound
        exact = SteppedQIF(a=a, u1=0.0, u2=u2)
        assert (exact.u_min, exact.u_r) == (-math.inf, -math.inf)
        assert step(exact, 10 * u_r) < 0

    @law
    @given(exact_neurons())
    def test_bounds_of_the_exact_map(self, q: SteppedQIF) -> None:
        u1, u2, a = q.u1.real, q.u2.real, q.a
        e = math.exp(-a * (u2 - u1))
        scale = abs(u1) + abs(u2) + q.u_c - u1
        if e < 0.99:
            assert q.u_c == pytest.approx((u2 - u1 * e) / (1 - e), abs=1e-9 * scale)
            assert q.lower_bound == pytest.approx((u1 - u2 * e) / (1 - e), abs=1e-9 * scale)
        assert q.threshold < q.u_c
        assert q.lower_bound <= step(q, q.reset) + 1e-12 * scale
        assert step(q, -1e15 * scale) == pytest.approx(q.lower_bound, abs=1e-9 * scale)


@law
@given(exact_neurons(), st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12))
def test_exact_states_stay_within_their_bounds(q: SteppedQIF, inputs: list[float]) -> None:
    u = q.reset
    for x in inputs:
        relaxed = step(q, u)
        tolerance = 1e-9 * (abs(q.u1) + abs(q.u2) + q.upper_bound - q.rest + abs(u))  # type: ignore[operator]
        assert q.lower_bound - tolerance <= relaxed <= q.upper_bound + tolerance
        v = relaxed + q.gain * x
        u = q.reset if v >= q.threshold else v


@law
@given(st.floats(0.01, 3.0), st.floats(-1, 1), st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12))
def test_states_with_complex_roots_too(angle: float, part: float, inputs: list[float]) -> None:
    """Below the pole the map rises, so that its value at minus infinity bounds every step from below."""
    a = 0.5
    pole = angle / a / math.tan(angle)
    threshold = pole - (1.01 * MARGIN + abs(part)) * angle / (a * math.sin(angle))
    q = SteppedQIF(a=a, u1=1j * angle / a, u2=-1j * angle / a, threshold=threshold, reset=threshold - 1)
    u = q.reset
    for x in inputs:
        relaxed = step(q, u)
        assert q.lower_bound - 1e-9 * abs(u) - 1e-9 <= relaxed <= q.upper_bound + 1e-9 * q.upper_bound + 1e-9
        v = relaxed + x
        u = q.reset if v >= q.threshold else v


class TestSpikingjelly:
    @pytest.mark.parametrize("v", [-2.0, -0.1, 0.5])
    def test_qif(self, v: float) -> None:
        q = SteppedQIF.from_spikingjelly(tau=3.0, v_c=0.7, a0=1.2, v_rest=-0.05)
        x = 0.4
        expected = v + (x + 1.2 * (v + 0.05) * (v - 0.7)) / 3.0
        assert step(q, v) + q.gain * x == pytest.approx(expected, rel=1e-14)
        default = SteppedQIF.from_spikingjelly()
        assert (default.a, default.u1, default.u2, default.threshold, default.reset) == (0.5, 0.0, 0.8, 1.0, -0.1)
        assert (default.gain, default.kind) == (0.5, "euler")

    @pytest.mark.parametrize("decay_input", [True, False])
    def test_lif(self, decay_input: bool) -> None:
        q = SteppedLIF.from_spikingjelly(tau=4.0, decay_input=decay_input, v_reset=0.1)
        v, x = 0.6, 0.5
        expected = v + (x - (v - 0.1)) / 4.0 if decay_input else v - (v - 0.1) / 4.0 + x
        assert step(q, v) + q.gain * x == pytest.approx(expected, rel=1e-14)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"u1": 0.5, "u2": 0.0}, "u1 = 0.5, u2 = 0: rest u1 must not lie above u2; exchange"),
    ({"u1": 1.5, "u2": 2.0}, "above the rest u1|above the rest 1.5"),
    ({"u1": 0.5 + 1j, "u2": 0.5 + 1j}, "conjugates"),
    ({"a": 0.0}, "a = 0: the curvature"),
    ({"a": -1.0}, "a = -1"),
    ({"a": math.nan}, "a = nan"),
    ({"u2": math.inf}, "u2 = inf"),
    ({"threshold": 1e9}, "threshold = 1e\\+09.*size"),
    ({"reset": 1.0}, "reset = 1: it must lie below the threshold"),
    ({"gain": 0.0}, "gain = 0"),
    ({"threshold": 3.9}, "too near to the pole u_c = 4.25521 .*at most 3.82969"),
    ({"threshold": 5.0}, "pole"),
    ({"a": 4.0, "u1": 2j, "u2": -2j}, "turns by 8 in a step"),
    ({"kind": "midpoint"}, "'midpoint'.*exact and euler"),
    ({"kind": "euler", "a": 4.0}, r"a \(u2 - u1\) = 2: .*stable"),
    ({"kind": "euler", "u2": 0.0}, "stable"),
    ({"kind": "euler", "u1": 1j, "u2": -1j}, "complex"),
]


@pytest.mark.parametrize(("parameters", "message"), REFUSED)
def test_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        SteppedQIF(**parameters)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("part", [1 - MARGIN - 1e-6, 1 - MARGIN + 1e-6])
def test_the_margin_is_a_share_of_the_way_from_rest_to_the_pole(part: float) -> None:
    q = EXAMPLES["wide"]
    threshold = q.u1.real + part * (q.u_c - q.u1.real)
    if part < 1 - MARGIN:
        SteppedQIF(q.a, q.u1, q.u2, threshold, q.reset)
    else:
        with pytest.raises(InputError, match="pole"):
            SteppedQIF(q.a, q.u1, q.u2, threshold, q.reset)


def test_alternating_euler_is_warned_about() -> None:
    with pytest.warns(UserWarning, match="alternation"):
        SteppedQIF(a=1.5, u1=0.0, u2=1.0, kind="euler")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"leak": 1.1}, "leak = 1.1"),
        ({"leak": math.nan}, "leak = nan"),
        ({"rest": 1.0}, "above the rest 1"),
        ({"reset": 2.0}, "reset = 2"),
    ],
)
def test_refused_lif(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SteppedLIF(**parameters)


def test_the_exact_neuron_alone_is_a_plane_vector() -> None:
    with pytest.raises(InputError, match="plane vector"):
        _ = SteppedQIF(kind="euler").plane_matrix


class TestMoments:
    @pytest.mark.parametrize(
        ("q", "published"),
        [(SteppedLIF(), 1.08), (SteppedQIF(kind="euler"), 1.11), (SteppedQIF(), 1.17)],
    )
    def test_against_simulation(self, q: Stepped, published: float) -> None:
        moments = potential_moments(q, 6)
        assert moments[0] == (step(q, q.reset), 1.0)
        assert moments[-1][1] == pytest.approx(published, abs=0.01)
        rng = np.random.default_rng(0)
        u = np.full(200_000, q.reset)
        for mean, deviation in moments:
            v = apply(q, u) + q.gain * rng.normal(0.0, q.threshold, u.size)
            # The potential is not quite normal: the recursion is an approximation, good to a few percent.
            assert (float(v.mean()), float(v.std())) == (
                pytest.approx(mean, abs=0.05),
                pytest.approx(deviation, rel=0.05),
            )
            u = np.where(v >= q.threshold, q.reset, v)

    def test_the_gain_scales_the_input(self) -> None:
        q = SteppedLIF(leak=0.0, gain=0.5)
        assert np.array(potential_moments(q, 3, deviation=4.0)) == pytest.approx(np.array([(0.0, 2.0)] * 3), abs=1e-12)

    @pytest.mark.parametrize("deviation", [0.0, -1.0, math.nan])
    def test_refuses_a_bad_deviation(self, deviation: float) -> None:
        with pytest.raises(InputError, match="deviation"):
            potential_moments(SteppedLIF(), 3, deviation)
