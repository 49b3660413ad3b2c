"""Laws of spike matching."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qif2hw.errors import InputError
from qif2hw.ir import Spikes
from qif2hw.parity import match

law = settings(deadline=None)
SHAPE = (3, 4)


def spikes(rows: list[tuple[int, int, float]]) -> Spikes:
    rows = sorted(rows)
    return Spikes(
        np.array([r[0] for r in rows], np.int32),
        np.array([r[1] for r in rows], np.int32),
        np.array([r[2] for r in rows]),
    )


def without(s: Spikes, k: int) -> Spikes:
    return Spikes(np.delete(s.sample, k), np.delete(s.neuron, k), np.delete(s.time, k))


some_spikes = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.floats(0, 10)), max_size=30).map(spikes)
at_least_one = some_spikes.filter(lambda s: len(s) > 0)


@law
@given(some_spikes, st.floats(0, 1))
def test_a_run_matches_itself(s: Spikes, tolerance: float) -> None:
    found = match(s, s, SHAPE, tolerance)
    np.testing.assert_array_equal(found.partner, np.arange(len(s)))
    assert not found.missing.size
    assert not found.extra.size
    assert not found.error.any()


@law
@given(at_least_one, st.data(), st.floats(0, 1))
def test_a_deleted_spike_is_the_one_missing(s: Spikes, data: st.DataObject, tolerance: float) -> None:
    k = data.draw(st.integers(0, len(s) - 1))
    found = match(s, without(s, k), SHAPE, tolerance)
    assert not found.extra.size
    assert not found.error.any()
    (missing,) = found.missing
    # Of several spikes at one time it cannot be told which is gone.
    assert (s.sample[missing], s.neuron[missing], s.time[missing]) == (s.sample[k], s.neuron[k], s.time[k])


@law
@given(at_least_one, st.data(), st.floats(0, 1))
def test_an_added_spike_is_the_one_extra(s: Spikes, data: st.DataObject, tolerance: float) -> None:
    k = data.draw(st.integers(0, len(s) - 1))
    found = match(without(s, k), s, SHAPE, tolerance)
    assert not found.missing.size
    assert not found.error.any()
    (extra,) = found.extra
    assert (s.sample[extra], s.neuron[extra], s.time[extra]) == (s.sample[k], s.neuron[k], s.time[k])


@law
@given(at_least_one, st.floats(-5, 5))
def test_a_shift_is_measured_however_large(s: Spikes, shift: float) -> None:
    found = match(s, Spikes(s.sample, s.neuron, s.time + shift), SHAPE, tolerance=1e-3)
    assert not found.missing.size
    assert not found.extra.size
    np.testing.assert_allclose(found.error, shift, rtol=0, atol=1e-12)


def best_by_trying(a: list[float], b: list[float], tolerance: float) -> tuple[int, float]:
    for pairs in range(min(len(a), len(b)), 0, -1):
        costs = [
            sum(abs(u - v) for u, v in zip(us, vs, strict=True))
            for us in combinations(a, pairs)
            for vs in combinations(b, pairs)
            if all(abs(u - v) <= tolerance for u, v in zip(us, vs, strict=True))
        ]
        if costs:
            return pairs, min(costs)
    return 0, 0.0


times = st.lists(st.integers(0, 20).map(lambda t: t / 4), max_size=5).map(sorted)


@law
@given(times, times, st.sampled_from([0.0, 0.25, 1.0, 6.0]))
def test_unequal_numbers_are_aligned_optimally(a: list[float], b: list[float], tolerance: float) -> None:
    if len(a) == len(b):
        b = [*b, 99.0]
    found = match(spikes([(1, 2, t) for t in a]), spikes([(1, 2, t) for t in b]), SHAPE, tolerance)
    pairs, cost = best_by_trying(a, b, tolerance)
    assert len(found.paired) == pairs
    assert np.abs(found.error).sum() == cost
    assert len(found.missing) == len(a) - pairs
    assert len(found.extra) == len(b) - pairs
    assert (np.diff(found.partner[found.paired]) > 0).all()


def test_neurons_and_samples_are_kept_apart() -> None:
    found = match(spikes([(0, 0, 1.0), (1, 0, 2.0)]), spikes([(0, 1, 1.0), (1, 1, 2.0)]), SHAPE, 10.0)
    assert len(found.missing) == len(found.extra) == 2
    assert not found.paired.size


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(0, 0, 2.0), (0, 0, 1.0)], "not sorted"),
        ([(0, 1, 1.0), (0, 0, 2.0)], "not sorted"),
        ([(3, 0, 1.0)], "sample 3 to 3: there are 3"),
        ([(0, -1, 1.0)], "neuron -1 to -1: there are 4"),
        ([(0, 0, np.nan)], "not finite"),
    ],
)
def test_refuses_what_is_no_list_of_spikes(rows: list[tuple[int, int, float]], message: str) -> None:
    columns = [np.array(c) for c in zip(*rows, strict=True)]
    bad = Spikes(columns[0].astype(np.int32), columns[1].astype(np.int32), columns[2])
    with pytest.raises(InputError, match=message):
        match(spikes([]), bad, SHAPE, 1.0)
