"""CUBA neurons and delays: against plain integers, and a network written out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import whole_images, whole_inputs

from qif2hw.compiler import SteppedOptions, compile_network
from qif2hw.compiler.stepped.ranges import _register
from qif2hw.discrete import SteppedCUBA, cuba
from qif2hw.engine import stepped as engine
from qif2hw.engine.stepped import neurons, spec
from qif2hw.errors import InputError
from qif2hw.ir.stepped_program import CubaStep, SteppedProgramPopulation
from qif2hw.reference import stepped as reference

TOP = 1 << 23


def step_in_plain_integers(u: int, v: int, x: int, bias: int, du: int, dv: int) -> tuple[int, int]:
    """The equations, on Python's integers: truncation by int division of magnitudes, wrap by counting turns."""

    def left(value: int, decay: int) -> int:
        size = abs(value) * (4096 - decay) // 4096
        return size if value >= 0 else -size

    u = left(u, du) + x
    while u > TOP:
        u -= 2 * TOP
    while u <= -TOP:
        u += 2 * TOP
    return u, max(min(left(v, dv) + u + bias, TOP - 1), -TOP + 1)


state = st.integers(-TOP + 1, TOP - 1)


@given(u=state, v=state, x=st.integers(-(2**30), 2**30), bias=state, du=st.integers(0, 4096), dv=st.integers(0, 4096))
def test_a_step_is_that_of_plain_integers(u: int, v: int, x: int, bias: int, du: int, dv: int) -> None:
    found = cuba.advance(*(np.array([n]) for n in (u, v, x, bias, du, dv)))
    assert tuple(int(part[0]) for part in found) == step_in_plain_integers(u, v, x, bias, du, dv)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.sampled_from([100, 10_000, 2**24, 2**30]), silent=st.booleans())
def test_the_compiled_loop_is_the_specification(seed: int, size: int, silent: bool) -> None:
    rng = np.random.default_rng(seed)
    decays = rng.integers(0, 4097, (2, 5))
    own = CubaStep(*decays, None if silent else rng.integers(0, 10_000, 5))
    population = SteppedProgramPopulation("p", (5,), own, rng.integers(-500, 500, 5), np.ones(5))
    current = rng.integers(-size, size + 1, (20, 9, 5)).astype(np.int32)
    fired = np.empty(current.shape, np.bool_)
    voltage = neurons.fire(population, current, fired)
    state = np.broadcast_to(spec.start(population)[:, None], (2, 20, 5))
    for n in range(9):
        state, spikes = spec.step(population, state, current[:, n].astype(np.int64))
        assert np.array_equal(spikes > 0, fired[:, n])
    assert np.array_equal(state[0], voltage)


@pytest.mark.parametrize("steps", [None, 12], ids=["constant", "frames"])
def test_engine_specification_and_reference_agree_in_every_spike(steps: int | None) -> None:
    """The float network of whole numbers is computed exactly, so there is no tolerance."""
    network, x = whole_images(), whole_inputs(40, steps)
    program = compile_network(network, None, x).program
    runs = [engine.run(program, x, machine=m) for m in ("fast", "spec", "checked")]  # type: ignore[arg-type]
    for run in (*runs[1:], reference.run(network, x)):
        assert np.array_equal(run.y, runs[0].y)
        assert run.spikes.keys() == runs[0].spikes.keys() == {"input", "conv", "dense"}
        for name, fired in runs[0].spikes.items():
            assert np.array_equal(run.spikes[name], fired), (run.backend, name)
            assert 0.02 < fired.mean() < 0.9


def test_the_network_written_out() -> None:
    """One sample after the other, neuron by neuron, from the equations: spikes, counts with delays, voltages."""
    network, x = whole_images(), whole_inputs(3, 12)
    run = engine.run(compile_network(network, None, x).program, x)
    x = network.check_inputs(x)
    parameters = {p.name: p for p in network.populations}
    for sample in range(3):
        sent = {"image": x[sample, :, :72], "events": x[sample, :, 72:]}
        for name in ("input", "conv", "dense", "voltage"):
            population = parameters[name]
            given = np.zeros((12, population.size))
            for p in network.incoming(name):
                dense = p.synapses.dense(p.weight)
                for n in range(12):
                    for j in range(p.synapses.shape[1]):
                        late = n - (0 if p.delay is None else p.delay[j])
                        if late >= 0:
                            given[n] += dense[:, j] * sent[p.pre][late, j]
            fired = np.zeros((12, population.size))
            neuron = population.neuron
            assert isinstance(neuron, SteppedCUBA)
            voltages = np.zeros(population.size)
            for i in range(population.size):
                channel = i // (population.size // population.shape[0])
                du, dv = (d[channel % len(d)] for d in (neuron.current_decay, neuron.voltage_decay))
                u = v = 0
                for n in range(12):
                    at = int(64 * given[n, i]), int(64 * population.current[i])
                    u, v = step_in_plain_integers(u, v, *at, du, dv)
                    if neuron.threshold and v > 64 * neuron.threshold[0]:
                        fired[n, i], v = 1, 0
                voltages[i] = v / 64
            sent[name] = fired
            if name != "voltage":
                assert np.array_equal(run.spikes[name][sample], fired > 0)
        last = next(p for p in network.projections if p.post == "count")
        assert last.delay is not None
        counts = [sent["dense"][: 12 - d, i].sum() for i, d in enumerate(last.delay)]
        assert np.array_equal(run.y[sample], [*(np.array(counts) * (1 / 12)), *voltages])


def test_weights_are_kept() -> None:
    network, x = whole_images(), whole_inputs(4)
    compiled = compile_network(network, None, x)
    program = compiled.program
    for p, q in zip(network.projections, program.projections, strict=True):
        unit = {e.name: e.unit for e in network.encoders}.get(p.pre, 1.0) or 1.0
        made = q.weight * 2.0**q.exponent * program.population(p.post).unit[0]
        assert np.array_equal(made, p.weight * unit)
        assert (q.delay is None) == (p.delay is None)
    assert np.array_equal(program.projections[2].weight, network.projections[2].weight)
    assert all(r["register"] <= TOP for r in compiled.report["ranges"]["populations"].values())
    with pytest.raises(InputError, match="are integers already and are kept"):
        compile_network(network, SteppedOptions(weight_bits=4), x)


def test_wrong_parameters_are_refused() -> None:
    with pytest.raises(InputError, match="current_decay from 4097 to 4097, it must lie in 0 to 4096"):
        SteppedCUBA((4097,), (0,), (1,))
    with pytest.raises(InputError, match="voltage_decay is empty"):
        SteppedCUBA((1,), (), (1,))
    with pytest.raises(InputError, match="threshold from 0 to 131072"):
        SteppedCUBA((1,), (1,), (0, 131072))
    with pytest.raises(InputError, match="a threshold is outside"):
        CubaStep(np.array([1]), np.array([1]), np.array([-1]))
    with pytest.raises(InputError, match="voltage_decay has shape"):
        CubaStep(np.array([1]), np.array([1, 2]))
    with pytest.raises(InputError, match="one decay per channel"):
        SteppedProgramPopulation("p", (3,), CubaStep(np.array([1]), np.array([1])), np.zeros(3), np.ones(3))


def test_registers_are_bounded_by_the_larger_side() -> None:
    """Inhibition drives them as far below zero as excitation above."""
    own = CubaStep(np.array([1000]), np.array([1000]), np.array([5000]))
    population = SteppedProgramPopulation("p", (1,), own, np.zeros(1), np.ones(1))
    assert _register(population, 8, -300, 2) == _register(population, 8, -2, 300) > 300
