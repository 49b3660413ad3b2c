"""A finer clock: the same network, its equations integrated in shorter steps."""

from dataclasses import replace

import numpy as np
import pytest
from networks import stepped_images, whole_images
from scipy.integrate import solve_ivp

from qif2hw.discrete import SteppedLIF, SteppedQIF
from qif2hw.errors import InputError
from qif2hw.ir import Dense, Projection
from qif2hw.ir.stepped import Accumulated, Accumulator, Frames, SteppedNetwork, SteppedPopulation, Steps
from qif2hw.ir.time_steps import coarser, finer
from qif2hw.reference import stepped as reference

CURRENT = np.array([0.1, 0.3, 0.5, 0.8, 1.3])
STEPS = 30


def one_neuron(neuron: SteppedQIF | SteppedLIF) -> SteppedNetwork:
    """A neuron that receives the input, and an accumulator that counts its spikes and adds 2 per step."""
    return SteppedNetwork(
        Steps(STEPS), (Frames("x", (1,)),),
        (
            SteppedPopulation("n", neuron, (1,), np.zeros(1)),
            SteppedPopulation("sum", Accumulator(), (1,), np.full(1, 2.0)),
        ),
        (Projection("x", "n", np.ones((1, 1)), Dense(1, 1)), Projection("n", "sum", np.ones((1, 1)), Dense(1, 1))),
        (Accumulated("sum"),),
    )  # fmt: skip


def spike_times(neuron: SteppedQIF | SteppedLIF, current: float) -> list[float]:
    """Spikes of the differential equation up to the last step."""

    def slope(t: float, u: np.ndarray) -> np.ndarray:
        if isinstance(neuron, SteppedQIF):
            return neuron.a * (u - neuron.u1) * (u - neuron.u2) + neuron.gain * current
        return np.log(neuron.leak) * (u - neuron.rest) + neuron.gain * current

    def at_threshold(t: float, u: np.ndarray) -> float:
        return float(u[0] - neuron.threshold)

    at_threshold.terminal = True  # type: ignore[attr-defined]
    found, now = [], 0.0
    while True:
        done = solve_ivp(slope, (now, STEPS), [neuron.reset], events=at_threshold, rtol=1e-10, atol=1e-12)
        if not len(done.t_events[0]):
            return found
        now = float(done.t_events[0][0])
        found.append(now)


@pytest.mark.parametrize("neuron", [SteppedQIF(), SteppedQIF(kind="euler"), SteppedLIF(reset=-0.2)])
def test_spike_times_become_those_of_the_equation(neuron: SteppedQIF | SteppedLIF) -> None:
    for parts in (8, 32, 128):
        run = reference.run(finer(one_neuron(neuron), parts), CURRENT[:, None])
        for k, current in enumerate(CURRENT):
            wanted = np.diff([0.0, *spike_times(neuron, current)])
            found = (np.flatnonzero(run.spikes["n"][k, :, 0]) + 1) / parts
            # A spike is found at the end of its step, where the next interval starts.
            intervals = np.diff([0.0, *found])
            assert abs(len(intervals) - len(wanted)) <= 1 + 8 * len(wanted) / parts
            both = min(len(intervals), len(wanted))
            assert (np.abs(intervals[:both] - wanted[:both]) < 4 * (1 + wanted[:both]) / parts).all()
            assert run.y[k, 0] == pytest.approx(2 * STEPS + len(found))
        assert run.spikes["n"].sum() > 20


def test_one_part_changes_nothing() -> None:
    network, x = stepped_images(), np.random.default_rng(0).normal(0, 1, (5, 2, 8, 8))
    same, run = finer(network, 1), reference.run(network, x)
    np.testing.assert_array_equal(reference.run(same, x).y, run.y)


def test_coarser_steps_undo_finer_ones() -> None:
    network, x = stepped_images(), np.random.default_rng(0).normal(0, 1, (5, 2, 8, 8))
    same, exact = coarser(finer(network, 4), 4), reference.run(network, x)
    np.testing.assert_allclose(reference.run(same, x).y, exact.y, rtol=1e-12)
    assert same.clock.count == network.clock.count
    twice = coarser(network, 2)
    assert twice.clock.count == 2
    assert twice.population("first").neuron == SteppedQIF(0.5, 0.0, 0.5, gain=2.0)
    for times in (0, 3):
        with pytest.raises(InputError, match=f"times = {times}: 4 time steps can be joined in whole groups alone"):
            coarser(network, times)
    with pytest.raises(InputError, match="threshold"):
        coarser(stepped_images(steps=16), 16)


def test_what_has_no_finer_clock_is_refused() -> None:
    network = one_neuron(SteppedQIF())
    with pytest.raises(InputError, match="parts = 0"):
        finer(network, 0)
    with pytest.raises(InputError, match="the time step of SteppedCUBA is fixed"):
        finer(whole_images(), 2)
    late = replace(network.projections[1], delay=np.array([1]))
    with pytest.raises(InputError, match="projection n -> sum: its delays"):
        finer(replace(network, projections=(network.projections[0], late)), 2)
