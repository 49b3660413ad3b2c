"""The stepped machine: the compiled form equals the specification, and both follow the equations."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qif2hw.engine import stepped
from qif2hw.engine.stepped import neurons, spec
from qif2hw.errors import InputError
from qif2hw.ir import Conv2d, ProgramProjection, Sparse
from qif2hw.ir.stepped import Accumulated, Steps
from qif2hw.ir.stepped_program import (
    AddUp,
    Arithmetic,
    CubaStep,
    EulerStep,
    LeakStep,
    PlaneStep,
    ProgramFrames,
    SteppedProgram,
    SteppedProgramPopulation,
)

UNIT = 1 / 5000.0


def arithmetic(kind: str, channels: int, a: float = 0.25, d: float = 0.5) -> Arithmetic:
    """Neurons with threshold 1 in units of 1 / 5000, rest 0, a little different in each channel."""
    threshold = np.arange(5000, 5000 + channels)
    reset = -np.arange(channels) * 100
    if kind == "plane":
        e = math.exp(-a * d)
        coupling = np.full(channels, round((1 - e) / d * UNIT * 2**28))
        return PlaneStep(round(e * 2**15), coupling, 16, threshold, reset)
    if kind == "euler":
        return EulerStep(
            np.full(channels, round(a * UNIT * 2**30)), np.full(channels, round(d / UNIT)), threshold, reset
        )
    if kind == "cuba":
        decay = np.arange(channels)
        return CubaStep(round(2**12 * min(a, 1)) - 40 * decay % 300 + 0 * decay, np.full(channels, 700), threshold)
    return LeakStep(round(0.6 * 2**15), threshold, reset)


def program(kind: str, steps: int = 6, seed: int = 0) -> SteppedProgram:
    rng = np.random.default_rng(seed)
    one = Conv2d((2, 7, 7), 4, (3, 3), (2, 2), (1, 1))
    two = Conv2d((4, 4, 4), 4, (3, 3), padding=(1, 1), groups=2)
    keep, _ = Sparse.of(rng.random((64, 64)) < 0.1)

    def weight(shape: tuple[int, ...]) -> Any:
        return 2 * rng.integers(-100, 101, shape)

    def population(name: str, shape: tuple[int, ...], own: Arithmetic) -> SteppedProgramPopulation:
        bias = rng.integers(0, 1500, shape if name == "two" else shape[:1])
        return SteppedProgramPopulation(name, shape, own, bias, np.full(shape[0], UNIT))

    return SteppedProgram(
        Steps(steps),
        (ProgramFrames("image", (2, 7, 7), 0.01),),
        (
            population("one", (4, 4, 4), arithmetic(kind, 4)),
            population("two", (4, 4, 4), arithmetic(kind, 4)),
            population("out", (3,), AddUp()),
        ),
        (
            ProgramProjection("image", "one", weight(one.weight_shape), -2, one),
            ProgramProjection("one", "two", weight(two.weight_shape), 4, two),
            ProgramProjection("one", "two", weight(keep.weight_shape), 3, keep),
            ProgramProjection("two", "out", weight((3, 64)), 1),
        ),
        (Accumulated("out", 1 / steps),),
    )


@pytest.mark.parametrize("frames", [False, True], ids=["constant", "frames"])
@pytest.mark.parametrize("kind", ["plane", "euler", "leak"])
def test_compiled_equals_the_specification(kind: str, frames: bool) -> None:
    made = program(kind)
    x = np.random.default_rng(1).normal(0, 1, (150, *([6] if frames else []), 2, 7, 7))
    runs = [stepped.run(made, x, machine=machine) for machine in ("fast", "spec", "checked")]  # type: ignore[arg-type]
    for run in runs[1:]:
        assert np.array_equal(run.y, runs[0].y)
        for name, fired in runs[0].spikes.items():
            assert np.array_equal(run.spikes[name], fired)
    for fired in runs[0].spikes.values():
        assert 0.02 < fired.mean() < 0.9


def test_progress_counts_the_steps_of_all_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepped, "MOST_SAMPLES", 4)
    x, told = np.random.default_rng(1).normal(0, 1, (10, 2, 7, 7)), []
    stepped.run(program("leak", steps=6), x, progress=lambda done, whole: told.append((done, whole)))
    assert told == [(24, 60), (48, 60), (60, 60)]


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(["plane", "euler", "leak"]),
    a=st.floats(0.01, 1.5),
    d=st.floats(0.2, 1.0),
    seed=st.integers(0, 2**32 - 1),
    size=st.sampled_from([100, 5000, 10**6]),
)
def test_any_currents(kind: str, a: float, d: float, seed: int, size: int) -> None:
    """Currents of any size: no step of the compiled loops differs from the specification."""
    rng = np.random.default_rng(seed)
    own = arithmetic(kind, 5, a, d)
    population = SteppedProgramPopulation("p", (5,), own, np.zeros(5), np.full(5, UNIT))
    current = rng.integers(-size, size + 1, (20, 9, 5)).astype(np.int32)
    fired = np.empty(current.shape, np.bool_)
    neurons.fire(population, current, fired)
    state = np.broadcast_to(spec.start(population)[:, None], (len(spec.start(population)), 20, 5))
    for n in range(9):
        state, spikes = spec.step(population, state, current[:, n].astype(np.int64))
        assert np.array_equal(spikes > 0, fired[:, n])


def potential(population: SteppedProgramPopulation, state: np.ndarray) -> np.ndarray:
    """Real potentials of registers (registers, samples, neurons)."""
    if len(state) == 2:
        return state[0] * UNIT * (1 << 12) / state[1]
    return state[0] * UNIT


@pytest.mark.parametrize("kind", ["plane", "euler", "leak"])
def test_each_step_follows_the_equation(kind: str) -> None:
    """From the potential that the registers hold, a step ends within four units of the equation's."""
    a, d = 0.25, 0.5
    own = arithmetic(kind, 1, a, d)
    population = SteppedProgramPopulation("p", (1,), own, np.zeros(1), np.array([UNIT]))
    e, rng = math.exp(-a * d), np.random.default_rng(0)
    state = np.broadcast_to(spec.start(population)[:, None], (len(spec.start(population)), 200, 1))
    spiked = 0
    for _ in range(50):
        x, w = rng.integers(-900, 900, (200, 1)), potential(population, state)
        state, spikes = spec.step(population, state, x)
        relaxed = {"plane": e * w / (1 - (1 - e) / d * w), "euler": w + a * w * (w - d), "leak": 0.6 * w}[kind]
        expected, spiked = relaxed + x * UNIT, spiked + spikes.sum()
        assert (expected[spikes > 0] > 1 - 4 * UNIT).all()
        assert (expected[spikes == 0] < 1 + 4 * UNIT).all()
        off = np.abs(potential(population, state) - np.where(spikes > 0, 0, expected))
        assert off.max() < 4 * UNIT
    assert (spiked > 0) == (kind != "leak")


def test_wrong_programs_are_refused() -> None:
    with pytest.raises(InputError, match="the reset must lie below the threshold"):
        LeakStep(1, np.array([5]), np.array([5]))
    with pytest.raises(InputError, match="decay 40000"):
        PlaneStep(40000, np.array([1]), 3, np.array([5]), np.array([0]))
    with pytest.raises(InputError, match="one threshold per channel"):
        SteppedProgramPopulation("p", (3,), arithmetic("leak", 2), np.zeros(3), np.ones(3))
    with pytest.raises(InputError, match="the bias has shape"):
        SteppedProgramPopulation("p", (3, 2, 2), arithmetic("leak", 3), np.zeros(4), np.ones(3))
    with pytest.raises(InputError, match="20 bits, 2 to 17"):
        ProgramFrames("x", (3,), 1.0, 20)
