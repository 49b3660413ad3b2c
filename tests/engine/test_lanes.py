"""Samples side by side in the lanes of vectors: the same bits as the specification, whatever shares a vector."""

from dataclasses import replace

import numba
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from networks import ordinary
from parity.random_programs import random_program

from qif2hw.compiler import CompileOptions, compile_network
from qif2hw.engine import encode, fast, spec
from qif2hw.engine.fast_arrivals import group_size
from qif2hw.ir import Program


def unpacked(program: Program) -> Program:
    """Flag and payload as two messages: one for both holds what is proven of given weights alone."""
    return replace(program, populations=tuple(replace(p, packed_bits=0) for p in program.populations))


def check(program: Program, x: np.ndarray) -> None:
    """Spikes, with and without registers, equal the specification's."""
    step, late = encode(program, x)
    slow = spec.run(program, step, late)
    assert fast.run(program, step, late) == slow
    assert fast.run(program, step, late, {}) == slow


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), samples=st.integers(1, 40))
@example(seed=20, samples=17)
def test_random_programs(seed: int, samples: int) -> None:
    program = unpacked(random_program(seed))
    check(program, program.unscaled(np.random.default_rng(seed).random((samples, program.inputs))))


@pytest.mark.parametrize("form", ["cotangent", "plane", "grid"])
@pytest.mark.parametrize("exponent", [0, 7])
def test_narrow_and_wide_lanes(form: str, exponent: int) -> None:
    """Weights that leave 32 bits are added up in 64, and no test but this one has any."""
    options = CompileOptions(form=form, rounding="nearest", steps=96)
    program = unpacked(compile_network(ordinary((3, 20, 40, 2), 4), options).program)
    program = replace(
        program,
        populations=tuple(
            replace(p, ptc=replace(p.ptc, late_shift=0 if exponent else p.ptc.late_shift)) for p in program.populations
        ),
        projections=tuple(replace(q, exponent=exponent) for q in program.projections),
    )
    x = np.random.default_rng(1).random((9, 3))
    step, late = encode(program, x)
    messages = fast._inputs(program, step, late)
    first = program.populations[0]
    [incoming] = program.incoming(first.name)
    weight = incoming.synapses.by_source(incoming.weight.astype(np.int32) << incoming.exponent)
    expected = np.int64 if exponent or form == "grid" else np.int32
    assert fast._lanes(first, program.grid, messages, weight) is expected
    check(program, x)


@pytest.mark.parametrize("form", ["cotangent", "plane"])
def test_a_sample_does_not_depend_on_the_others(form: str) -> None:
    """Layers of 1, 5 and 70 neurons: many, some and one sample in a group, the last one not full."""
    program = compile_network(
        ordinary((2, 70, 5, 1, 2), 3), CompileOptions(form=form, rounding="nearest", steps=64)
    ).program
    samples = 67
    assert [group_size(n, samples) for n in (70, 5, 1)] == [1, 12, 64]
    step, late = encode(program, np.random.default_rng(5).random((samples, 2)))
    together, spikes = fast.run(program, step, late)
    for b in (0, 11, 12, 66):
        alone, own = fast.run(program, step[b : b + 1], late[b : b + 1])
        for name in ("step", "lateness", "flush"):
            np.testing.assert_array_equal(getattr(together, name)[b], getattr(alone, name)[0])
        for name, found in spikes.items():
            mine = found.sample == b
            for column in ("neuron", "step", "lateness"):
                np.testing.assert_array_equal(getattr(found, column)[mine], getattr(own[name], column))


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one thread alone is allowed here")
@pytest.mark.parametrize("form", ["cotangent", "plane"])
def test_the_same_on_any_number_of_threads(form: str) -> None:
    program = compile_network(ordinary((2, 9, 5, 2), 3), CompileOptions(form=form, rounding="nearest")).program
    step, late = encode(program, np.random.default_rng(5).random((50, 2)))
    found = []
    for threads in (1, 2):
        before = numba.get_num_threads()
        numba.set_num_threads(threads)
        try:
            found.append(fast.run(program, step, late))
        finally:
            numba.set_num_threads(before)
    assert found[0] == found[1]


def test_inputs_that_never_come() -> None:
    """The machine takes a channel whose step is none of a trial's, as the specification does."""
    program = compile_network(ordinary((3, 6, 2), 3), CompileOptions(rounding="nearest", steps=64)).program
    step, late = encode(program, np.random.default_rng(5).random((6, 3)))
    step[0, 1], step[1, :], step[2, 2] = -1, -1, program.steps + 5
    assert fast.run(program, step, late) == spec.run(program, step, late)
