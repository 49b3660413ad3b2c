"""Certificates hold: against the reference and forty digits; the bounds they rest on hold against the kick itself."""

from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.closed_form import closed_form_neuron
from oracles.nets import random_layers
from parity.conftest import Case, compiled
from parity.random_programs import random_program

from qif2hw import neuron, parity, reference, zoo
from qif2hw.engine import encode, fast, spec
from qif2hw.ir import Program, layered
from qif2hw.parity import trial
from qif2hw.parity.certificates import certificate_kernels, certified
from qif2hw.parity.certificates.certificate import certify
from qif2hw.parity.certificates.certified import compare_certificate
from qif2hw.parity.certificates.spike_errors import AT_END, CAUSES, CERTIFIED

law = settings(max_examples=200, deadline=None)
SIZE = st.floats(-6, 6)
ANGLE = st.floats(0, np.pi)


def checked(program: Program, samples: int, seed: int) -> certified.CertifiedRun:
    x = program.unscaled(np.random.default_rng(seed).random((samples, program.width)))
    return compare_certificate(program, certify(program, x), "engine", reference.run(program.network(), x))


def violations(seeds: range) -> tuple[list[int], int, int, int]:
    """Seeds with a wrong certificate; output spikes, those certified, and pseudospikes among them."""
    wrong, spikes, known, pseudo = [], 0, 0, 0
    for seed in seeds:
        found = checked(random_program(seed), 4, seed)
        if found.violated:
            wrong.append(seed)
        first = found.first.errors.status == CERTIFIED
        spikes, known = spikes + first.size, known + int(first.sum())
        pseudo += int((first & ~found.certificate.run.ordinary).sum())
    return wrong, spikes, known, pseudo


def test_no_certificate_of_random_networks_is_violated() -> None:
    wrong, spikes, known, pseudo = violations(range(120))
    assert not wrong
    # That there is something to violate.
    assert known > 0.75 * spikes
    assert pseudo > 30


def test_sharpness_of_pseudospikes() -> None:
    """Their bounds, through the shear at the trial's end, are near the errors, too."""
    bounds, errors = [], []
    for seed in range(60):
        program = random_program(seed)
        found = checked(program, 4, seed)
        run = found.certificate.run
        pseudo = (found.first.errors.status == CERTIFIED) & ~run.ordinary
        x = program.unscaled(np.random.default_rng(seed).random((4, program.width)))
        error = np.abs(run.spike_time - reference.run(program.network(), x).spike_time)
        bounds += list((found.first.errors.bound[pseudo] / program.grid.delta).ravel())
        errors += list((error[pseudo] / program.grid.delta).ravel())
    assert len(bounds) > 20
    assert np.median(bounds) <= 10 * np.median(errors)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_no_certificate_of_ten_thousand_random_networks_is_violated() -> None:
    wrong, spikes, known, pseudo = violations(range(1000, 11000))
    print(f"{known} of {spikes} output spikes certified, {pseudo} of them pseudospikes")
    assert not wrong
    assert known > 0.75 * spikes
    assert pseudo > 4000


@pytest.mark.parametrize(
    ("name", "samples"),
    [
        ("parabola", 100),
        ("ricker", 100),
        ("ripple", 100),
        ("ripple_fields", 100),
        ("poisson_pinn", 100),
        ("poisson_operator", 10),
    ],
)
def test_sharpness_on_trained_networks(name: str, samples: int) -> None:
    """At least 99 % of the output spikes are proven within half a step, by bounds at most 3 times the errors."""
    bundle = zoo.bundle(name)
    found = checked(bundle.program, samples, 0)
    assert not found.violated
    bound = found.first.errors.bound / bundle.program.grid.delta
    assert (bound <= 0.5).mean() >= 0.99
    x = bundle.program.unscaled(np.random.default_rng(0).random((samples, bundle.program.width)))
    exact = reference.run(bundle.program.network(), x).spike_time
    error = np.abs(found.certificate.run.spike_time - exact) / bundle.program.grid.delta
    assert np.median(bound) <= 3 * np.median(error)


def test_it_is_about_the_run_of_the_engine(case: Case) -> None:
    found = certify(case.program, case.x)
    assert found.run.machine == case.engine.machine
    assert found.run.step_spikes == case.engine.step_spikes
    assert set(found.spikes) == {p.name for p in case.program.populations}
    for name, errors in found.spikes.items():
        assert errors.error.shape == (len(case.engine.spikes[name]), len(CAUSES))


def test_blocks_of_samples_are_joined(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = certify(case.program, case.x)
    monkeypatch.setattr("qif2hw.parity.certificates.certificate._MOST_SAMPLES", 7)
    parts = certify(case.program, case.x)
    assert parts.run.step_spikes == whole.run.step_spikes
    np.testing.assert_array_equal(parts.result.radius, whole.result.radius)
    np.testing.assert_array_equal(parts.spikes["output"].error, whole.spikes["output"].error)


@pytest.mark.parametrize("seed", [0, 3, 8, 14])
def test_kept_registers_are_those_of_the_specification(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    program = random_program(seed)
    x = np.random.default_rng(seed).random((3, program.inputs))
    states: dict[tuple[str, int], Any] = {}
    step = spec.step

    def watched(population: Any, grid: Any, local: int, *rest: Any) -> Any:
        out = step(population, grid, local, *rest)
        states[population.name, local + population.depth] = out.state
        return out

    monkeypatch.setattr(spec, "step", watched)
    spec.run(program, *encode(program, x))
    kept: dict[str, fast.Registers] = {}
    fast.run(program, *encode(program, x), kept)
    for population in program.populations:
        found, last = kept[population.name], program.grid.trial_steps + population.depth
        for b in range(len(x)):
            slots = int(np.argmax(found.step[b])) + 1
            assert found.step[b, slots - 1] == last
            for slot in range(slots):
                state = states[population.name, int(found.step[b, slot])][:, b]
                np.testing.assert_array_equal(found.state[b, slot], state)


def test_against_fifty_digits() -> None:
    """Neurons with two inputs: exact spike times in closed form, by mpmath, independent of the reference."""
    network = random_layers((2, 2), 5, gain=2.0)
    program = compiled(network, steps=64)
    exact = program.network()
    (population,), (projection,), (encoder,) = exact.populations, exact.projections, exact.encoders
    x = np.random.default_rng(0).random((40, 2))
    found = certify(program, x)
    assert (found.first.status == CERTIFIED).all()
    for b, i in np.ndindex(found.first.radius.shape):
        times, _ = closed_form_neuron(
            population.neuron.tau, population.neuron.i0, population.phi0[i], encoder.times(x[b]), projection.weight[i],
            exact.trial,
        )  # fmt: skip
        error = found.run.spike_time[b, i] - times[0]
        assert abs(error - found.first.estimate[b, i]) <= found.first.radius[b, i]


def test_a_spike_at_the_end_is_named_not_bounded() -> None:
    """A neuron that receives nothing and sends its second spike exactly when the trial ends: Theta = 6, T = 9."""
    network = random_layers((1, 4, 2), 0, trial=9.0)
    weights = [p.weight.copy() for p in network.projections]
    weights[0][0] = 0.0
    phi0 = [np.array([3.0, 2.0, 3.5, 4.0]), np.array([1.0, 0.5])]
    program = compiled(layered(weights, phi0, trial=network.trial, encode=(0.05, 1.95)))
    x = np.array([[0.3]])
    found = certify(program, x)
    spikes, status = found.run.spikes["hidden1"], found.spikes["hidden1"].status
    assert spikes.neuron[1] == 0
    assert spikes.time[1] == pytest.approx(network.trial, abs=program.grid.delta)
    assert list(status) == [CERTIFIED, AT_END, *[CERTIFIED] * (len(status) - 2)]
    assert found.run.ordinary.all()
    assert not np.isfinite(found.spikes["hidden1"].radius[1])
    assert not compare_certificate(program, found, "engine", reference.run(program.network(), x)).violated
    # What comes before is not touched.
    assert (found.first.status == CERTIFIED).all()


def test_spikes_without_a_synapse_change_no_bound_on_swaps() -> None:
    shears = np.array([[0.3, 0.0], [0.0, 0.2], [-0.4, -0.1], [0.1, 0.5]])

    def bound(neuron: int, chosen: list[int]) -> float:
        time, none = np.array([0.0, 1e-3, 2e-3, 3e-3])[chosen], np.zeros(len(chosen), np.int64)
        arriving = certificate_kernels.Arriving(
            np.array([0, len(chosen)]), none, none, time, np.zeros((len(chosen), len(CAUSES))),
            np.full(len(chosen), 5e-3), none, np.array([-5e-3]), np.array([8e-3]),
        )  # fmt: skip
        return float(certificate_kernels._swapped(arriving, 0, len(chosen), shears[chosen], neuron, 0.5, 1.2, 1e-6))

    assert bound(0, [0, 1, 2, 3]) == bound(0, [0, 2, 3]) > bound(0, [2, 3]) > 0
    assert bound(1, [0, 1, 2, 3]) == bound(1, [1, 2, 3]) > bound(1, [1, 2]) > 0


def test_a_wrong_certificate_breaks_parity(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(program: Program, x: Any) -> Any:
        found = certify(program, x)
        return replace(found, first=replace(found.first, error=found.first.error + 1e-6))

    assert parity.check(case.program, case.x).ok
    monkeypatch.setattr(trial, "certify", wrong)
    report = parity.check(case.program, case.x)
    assert [v.quantity for v in report.verdicts if not v.ok] == ["certificates that the reference contradicts"]


def test_what_is_proven_too_far_off_breaks_parity(case: Case) -> None:
    report = parity.check(case.program, case.x, bounds=parity.Bounds(certified=0.001))
    (broken,) = [v for v in report.verdicts if not v.ok]
    assert "proven more than 0.001 Delta off" in broken.quantity
    assert report.certified is not None
    actual = np.abs(report.timing[0].first_error) / report.delta
    assert broken.measured == pytest.approx((actual > 0.001).sum(), abs=3)
    assert parity.check(case.program, case.x, bounds=parity.Bounds(certified=None)).certified is None


def test_numbers_for_json(case: Case) -> None:
    report = parity.check(case.program, case.x)
    numbers = report.to_dict()["certificates"]
    assert report.certified is not None
    remainder = report.certified.first.errors.radius.max() / report.delta
    assert 0 < remainder < 1
    assert numbers["first"]["remainder_delta"]["largest"] == pytest.approx(remainder)
    assert numbers["backend"] == "engine"
    assert numbers["first"]["violated"] == 0
    assert numbers["first"]["status"]["certified"] == numbers["first"]["spikes"] == 80
    assert [row["name"] for row in numbers["populations"]] == ["hidden1", "hidden2", "output"]
    assert set(numbers["first"]["causes_rms_delta"]) == set(CAUSES)
    assert 0 < numbers["result"]["bound_median"] <= numbers["result"]["bound_largest"]


def test_causes_are_what_they_say() -> None:
    """Coarser payloads, coarser tables, fewer steps: each raises its own cause."""
    network = random_layers((3, 20, 20, 2), 0)
    x = np.random.default_rng(0).random((30, 3))

    def causes(**options: Any) -> dict[str, float]:
        error = certify(compiled(network, **options), x).first.error
        return dict(zip(CAUSES, np.sqrt((error**2).mean(axis=(0, 1))), strict=True))

    fine = causes(form="cotangent", payload_bits=6)
    assert causes(form="cotangent", payload_bits=2)["payload"] > 5 * fine["payload"]
    assert causes(form="cotangent", payload_bits=6, table_bits=3)["arithmetic"] > 5 * fine["arithmetic"]
    first, second = (causes(form="cotangent", payload_bits=6, steps=64, lateness_moments=m) for m in (1, 2))
    assert first["order"] > 1.5 * second["order"]
    assert fine["start"] < 1e-10


@law
@given(ANGLE, SIZE, st.floats(0, 1), st.floats(-1, 1))
def test_slopes_within_reach(theta: float, a: float, reach: float, part: float) -> None:
    low, high = neuron.slope_bounds(neuron.slope(theta, a), a, neuron.steepest(a), reach)
    assert low * (1 - 1e-12) <= neuron.slope(theta + part * reach, a) <= high * (1 + 1e-12)
    assert neuron.steepest(a) == pytest.approx(neuron.ptc_steepest(a, neuron.QIF(1.0, 1.25)), rel=1e-12)


@law
@given(SIZE, st.floats(-0.5, 0.5))
def test_a_kick_near_the_ends_moves_little(a: float, distance: float) -> None:
    assert abs(neuron.kick_change(distance, a)) <= neuron.edge_bound(a, abs(distance)) * (1 + 1e-9) + 1e-15


@law
@given(ANGLE, SIZE)
def test_the_change_of_a_kick(theta: float, a: float) -> None:
    assert theta + neuron.kick_change(theta, a) == pytest.approx(neuron.kick(theta, a), abs=1e-13)
    assert neuron.kick_change(theta + 3 * np.pi, a) == pytest.approx(neuron.kick_change(theta, a), abs=1e-12)


@law
@given(
    ANGLE,
    st.lists(st.tuples(st.floats(-2, 2), st.floats(0, 1)), min_size=2, max_size=4),
    st.sampled_from([1e-4, 1e-3, 1e-2]),
)
def test_the_order_of_nearly_simultaneous_spikes(theta: float, spikes: list[tuple[float, float]], span: float) -> None:
    """All orders of up to four spikes, each at its own time, against the order of their times."""
    a, at = np.array([s[0] for s in spikes]), span * np.array([s[1] - 0.5 for s in spikes])

    def after(order: Any) -> float:
        angle = theta
        for k in order:
            angle += neuron.kick_change(angle + at[k], a[k])
        return angle

    ordered = np.argsort(at)
    for order in permutations(range(len(a))):
        place = np.argsort(order)
        moved = sum(
            abs(a[i] * a[j] * (at[i] - at[j]))
            for i in range(len(a))
            for j in range(i)
            if (at[i] - at[j]) * (place[i] - place[j]) < 0
        )
        bound = neuron.swap_bound(theta, 0.0, a.sum(), np.abs(a).sum(), 0.5 * span, moved)
        assert abs(after(order) - after(ordered)) <= bound + 1e-13


def test_the_bound_on_swaps_is_sharp() -> None:
    """Two weak spikes: what the swap does is the bound, but for a hundredth."""
    theta, a, b, apart = 1.2, 0.1, 0.07, 1e-4
    one = theta + neuron.kick_change(theta, a)
    one += neuron.kick_change(one + apart, b)
    two = theta + neuron.kick_change(theta + apart, b)
    two += neuron.kick_change(two, a)
    bound = neuron.swap_bound(theta, 0.0, a + b, a + b, 0.5 * apart, a * b * apart)
    assert 0.97 * bound <= abs(one - two) <= bound
