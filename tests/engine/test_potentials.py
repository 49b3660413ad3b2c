"""Potentials for training: spikes are those of the specification, potentials what its registers hold before a reset."""

import math
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from qif2hw.engine.stepped import spec
from qif2hw.engine.stepped.potentials import potentials
from qif2hw.ir.stepped_program import SCALE_BITS, EulerStep, PlaneStep, SteppedProgramPopulation

UNIT = 1 / 4096


def arithmetic(kind: str, a: float, d: float) -> PlaneStep | EulerStep:
    threshold, reset = np.array([4096]), np.array([-300])
    if kind == "euler":
        return EulerStep(np.array([round(a * UNIT * 2**30)]), np.array([round(d / UNIT)]), threshold, reset)
    e = math.exp(-a * d)
    return PlaneStep(round(e * 2**15), np.array([round((1 - e) / d * UNIT * 2**28)]), 16, threshold, reset)


def population(own: PlaneStep | EulerStep) -> SteppedProgramPopulation:
    return SteppedProgramPopulation("p", (1, 5, 6), own, np.zeros(1), np.full(1, UNIT))


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(["plane", "euler"]),
    a=st.floats(0.01, 0.9),
    d=st.floats(0.2, 1.0),
    seed=st.integers(0, 2**32 - 1),
    size=st.sampled_from([100, 4000, 10**6]),
)
def test_spikes_and_potentials_are_those_of_the_specification(
    kind: str, a: float, d: float, seed: int, size: int
) -> None:
    own = arithmetic(kind, a, d)
    neurons, never_fire = population(own), population(replace(own, threshold=np.array([(1 << 31) - 1])))
    current = np.random.default_rng(seed).integers(-size, size + 1, (9, 30)).astype(np.int32)
    fired, potential = potentials(own, current)
    state = spec.start(neurons)[:, None]
    for n in range(9):
        x = current[n].astype(np.int64)[None]
        held, _ = spec.step(never_fire, state, x)
        expected = held[0, 0] if kind == "euler" else held[0, 0] * 2.0**SCALE_BITS / held[1, 0]
        np.testing.assert_array_equal(potential[n], expected.astype(np.float32))
        state, spikes = spec.step(neurons, state, x)
        np.testing.assert_array_equal(fired[n], spikes[0] > 0)
