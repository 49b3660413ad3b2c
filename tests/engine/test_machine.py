"""The integer machine: spec and fast are one, no register overflows, and it is close to the exact network."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from networks import branched, ordinary, published

from qif2hw import engine, reference, zoo
from qif2hw.compiler import CompileOptions, compile_network
from qif2hw.compiler.ptc_tables import respond
from qif2hw.engine import curve, plane, spec
from qif2hw.errors import InputError
from qif2hw.ir import Network, PlaneVector, Table
from qif2hw.ir.ptc import VECTOR_BITS
from qif2hw.neuron import kick as exact_kick


def same(network: Network, options: CompileOptions, samples: int, seed: int = 0) -> None:
    program = compile_network(network, options).program
    x = np.random.default_rng(seed).random((samples, network.inputs))
    slow, fast = engine.run(program, x, machine="checked"), engine.run(program, x)
    assert slow.machine == fast.machine
    assert slow.step_spikes.keys() == fast.step_spikes.keys()
    for name, spikes in slow.step_spikes.items():
        assert spikes == fast.step_spikes[name], name
    np.testing.assert_array_equal(slow.y, fast.y)


@pytest.mark.parametrize(
    "network", [ordinary((2, 9, 7, 2)), published((2, 9, 7, 4)), branched()], ids=["ordinary", "flush", "graph"]
)
@pytest.mark.parametrize("steps", [33, 200])
@pytest.mark.parametrize(("form", "moments"), [*((f, m) for f in ("cotangent", "plane") for m in (1, 2)), ("grid", 1)])
def test_spec_equals_fast(network: Network, steps: int, form: str, moments: int) -> None:
    same(network, CompileOptions(steps=steps, form=form, lateness_moments=moments, rounding="nearest"), samples=7)


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=2, max_size=4),
    gain=st.floats(0.01, 60),
    steps=st.integers(16, 120),
    bits=st.integers(2, 8),
    payload=st.integers(0, 8),
    form=st.sampled_from(["cotangent", "grid", "plane"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_program_overflows_and_both_machines_agree(
    sizes: list[int], gain: float, steps: int, bits: int, payload: int, form: str, seed: int
) -> None:
    network = ordinary((*sizes, 2), seed, gain)
    options = CompileOptions(
        steps=steps, weight_bits=bits, payload_bits=payload, form=form, table_bits=5, rounding="nearest"
    )
    same(network, options, samples=3, seed=seed)


@pytest.mark.parametrize("form", ["cotangent", "plane"])
@pytest.mark.parametrize("sizes", [(1, 32, 32, 2), (3, 20, 20, 2)])
def test_ordinary_spike_times_are_within_a_tenth_of_a_step(sizes: tuple[int, ...], form: str) -> None:
    program = compile_network(ordinary(sizes, 1), CompileOptions(form=form, rounding="nearest")).program
    x = np.random.default_rng(2).random((200, sizes[0]))
    exact, run = reference.run(program.network(), x), engine.run(program, x)
    assert exact.ordinary.all()
    assert run.ordinary.all()
    error = (run.spike_time - exact.spike_time) / program.grid.delta
    assert np.sqrt(np.mean(error**2)) < 0.1


@pytest.mark.parametrize(("form", "most"), [("cotangent", 0.1), ("plane", 0.1), ("grid", 0.5)])
def test_flush_reproduces_pseudospikes(form: str, most: float) -> None:
    program = compile_network(published((2, 16, 16, 2), 3), CompileOptions(form=form, rounding="nearest")).program
    x = np.random.default_rng(2).random((200, 2))
    exact, run = reference.run(program.network(), x), engine.run(program, x)
    assert not exact.ordinary.any()
    assert not run.ordinary.any()
    assert np.abs(run.spike_time - exact.spike_time).max() < most * program.grid.delta


def test_lateness_payload_is_worth_ten_times() -> None:
    network = ordinary((1, 32, 32, 2), 1)
    x = np.random.default_rng(2).random((200, 1))
    errors = []
    for payload in (8, 0):
        program = compile_network(network, CompileOptions(steps=128, payload_bits=payload, rounding="nearest")).program
        run, exact = engine.run(program, x), reference.run(program.network(), x)
        errors.append(np.sqrt(np.mean((run.y - exact.y) ** 2)))
    assert errors[1] > 10 * errors[0]


@pytest.mark.parametrize("form", ["cotangent", "plane"])
def test_the_square_of_the_lateness_is_worth_twice_on_coarse_grids(form: str) -> None:
    network = ordinary((2, 32, 32, 2), 1)
    x = np.random.default_rng(2).random((200, 2))
    errors = []
    for moments in (1, 2):
        options = CompileOptions(steps=96, lateness_moments=moments, form=form, rounding="nearest")
        program = compile_network(network, options).program
        run, exact = engine.run(program, x), reference.run(program.network(), x)
        errors.append(np.sqrt(np.mean((run.y - exact.y) ** 2)))
    assert errors[0] > 2 * errors[1]


@pytest.fixture(scope="module", params=[1, 2], ids=["lateness", "and its square"])
def tables(request):  # type: ignore[no-untyped-def]
    options = CompileOptions(form="cotangent", lateness_moments=request.param, rounding="nearest")
    program = compile_network(ordinary((1, 8, 2), 5), options).program
    return program.populations[1], program.grid


@settings(max_examples=60, deadline=None)
@example(a0=0, a1=0, m2=1958, seed=1958)
@given(
    a0=st.integers(-300, 300), a1=st.integers(-2000, 2000), m2=st.integers(-2000, 2000), seed=st.integers(0, 2**32 - 1)
)
def test_integer_ptc_is_monotone_but_for_rounding_with_exact_ends(tables, a0: int, a1: int, m2: int, seed: int) -> None:  # type: ignore[no-untyped-def]
    population, grid = tables
    rng = np.random.default_rng(seed)
    phase = np.unique(
        np.concatenate([rng.integers(0, grid.threshold + 1, 3000), [0, grid.threshold], np.arange(20000)])
    )
    kicked = curve.kick(
        population.ptc,
        grid.threshold,
        phase,
        np.full_like(phase, a0 << population.ptc.kick_bits),
        np.full_like(phase, a1),
        np.full_like(phase, m2),
    )
    # With the second moment the slope at a phase is rounded too: a 256th of a step of fall, where two roundings meet.
    fall = grid.increment >> 8 if population.ptc.second is not None else 0
    assert np.diff(kicked).min() >= -fall
    assert kicked[0] == 0
    assert kicked[-1] == grid.threshold
    assert ((kicked >= 0) & (kicked <= grid.threshold)).all()


def test_integer_ptc_follows_the_exact_one(tables) -> None:  # type: ignore[no-untyped-def]
    population, grid = tables
    phase = np.arange(1, grid.threshold, 997)
    for weight in (-200, -3, 5, 180):
        kicked = curve.kick(
            population.ptc,
            grid.threshold,
            phase,
            np.full_like(phase, weight << population.ptc.kick_bits),
            np.zeros_like(phase),
            np.zeros_like(phase),
        )
        exact = exact_kick(np.pi * phase / grid.threshold, weight * population.unit / population.neuron.r) / np.pi
        assert np.abs(kicked / grid.threshold - exact).max() * grid.period_steps < 0.03


def test_look_up_interpolates_between_knots_placed_like_floats() -> None:
    # first_octave 3, two mantissa bits: knots at 0 2 4 6 | 8 10 12 14 | 16 20 24 28 | 32
    table = Table(np.array([90, 80, 70, 60, 50, 45, 40, 35, 30, 20, 10, 4, 0], np.int32), 3, 2)
    x = np.array([0, 1, 2, 7, 8, 9, 15, 16, 17, 19, 28, 30, 32])
    assert curve.look_up(table, x).tolist() == [90, 85, 80, 55, 50, 48, 33, 30, 28, 23, 4, 2, 0]
    # Ten over a distance of 2 at the start, of 4 at the end.
    assert curve.steepest(table) == 40


def test_plane_vector_follows_the_exact_ptc_and_finds_every_phase() -> None:
    program = compile_network(ordinary((1, 8, 2), 5), CompileOptions(form="plane", rounding="nearest")).program
    population, grid = program.populations[1], program.grid
    phase = np.arange(1, grid.threshold, 997)
    assert isinstance(population.ptc, PlaneVector)
    for weight in (-200, -3, 0, 5, 180):
        got = respond(population.ptc, grid.threshold, phase, weight)
        exact = exact_kick(np.pi * phase / grid.threshold, weight * population.unit / population.neuron.r) / np.pi
        assert np.abs(got / grid.threshold - exact).max() * grid.period_steps < 0.01


def test_plane_vector_keeps_its_length_within_a_bit() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(-(1 << 30), 1 << 30, (2, 1000))
    x, y = plane.normalise(x, y)
    size = np.maximum(np.abs(x), np.abs(y))
    assert size.max() <= 1 << VECTOR_BITS
    assert size.min() >= (1 << VECTOR_BITS) // 2


def test_what_the_trial_undoes_of_an_earlier_step_leaves_no_phase() -> None:
    """A neuron that has fired and is kicked back beyond its reset when the trial ends stays at the reset."""
    program = zoo.bundle("burgers_pinn").program
    population = next(p for p in program.populations if isinstance(p.ptc, PlaneVector))
    grid, one = program.grid, 1 << (VECTOR_BITS - 1)
    angle = 0.5 * np.pi * grid.increment / grid.threshold
    state = np.repeat(
        np.rint(one * np.array([np.cos(angle), np.sin(angle)])).astype(np.int64)[:, None, None], 3, axis=2
    )
    nothing = np.zeros((1, 3), np.int64)
    kicks = np.array([[0, -20_000, -600_000]])
    out = spec.step(population, grid, grid.trial_steps, state, kicks, nothing, nothing)
    assert not out.flag.any()
    assert (out.state[1, 0, :2] > 1).all()
    assert out.state[:, 0, 2].tolist() == [one, 0]
    table = zoo.bundle("parabola").program
    population, grid = table.populations[0], table.grid
    phase = np.full((1, 1, 2), grid.increment // 2)
    kicks = np.array([[0, -200_000]])
    out = spec.step(population, grid, grid.trial_steps, phase, kicks, nothing[:, :2], nothing[:, :2])
    assert not out.flag.any()
    assert out.state[0, 0, 0] > 1
    assert out.state[0, 0, 1] == 0


def test_kicks_beyond_a_table_are_its_largest() -> None:
    """As no compiled program has them: its table lacks the rows of the largest kicks."""
    options = CompileOptions(steps=100, form="grid", table_bits=6, rounding="nearest")
    program = compile_network(ordinary((2, 9, 9, 2), gain=20.0), options).program
    lost = [(p.ptc.shift.shape[0] - 3) // 2 for p in program.populations]
    short = replace(
        program,
        populations=tuple(
            replace(p, ptc=replace(p.ptc, shift=p.ptc.shift[n:-n]))
            for p, n in zip(program.populations, lost, strict=True)
        ),
    )
    x = np.random.default_rng(0).random((20, 2))
    slow, fast = engine.run(short, x, machine="spec"), engine.run(short, x)
    assert slow.machine == fast.machine != engine.run(program, x).machine
    assert slow.step_spikes == fast.step_spikes


def test_delay_compensation_does_not_depend_on_depth() -> None:
    """A chain of neurons that never touch each other fires where each would fire alone."""
    sizes = (1, 1, 1, 1, 2)
    rng = np.random.default_rng(0)
    network = ordinary(sizes)
    silent = Network(
        network.trial,
        network.encoders,
        network.populations,
        tuple(type(p)(p.pre, p.post, 0 * p.weight) for p in network.projections),
        network.outputs,
    )
    program = compile_network(silent, CompileOptions(rounding="nearest")).program
    run = engine.run(program, rng.random((1, 1)))
    for population in network.populations:
        expected = population.neuron.period - population.phi0
        assert np.abs(np.sort(run.spikes[population.name].time) - np.sort(expected)).max() <= 0.51 * program.grid.tick


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((4, 2)), r"inputs have shape \(4, 2\)"),
        (np.zeros(3), r"inputs have shape \(3,\)"),
        (np.array([[1.5]]), r"1.5 at \[0, 0\]"),
        (np.array([[np.nan]]), r"nan at \[0, 0\]"),
        (np.zeros((0, 1)), "no sample"),
        (np.array([["a"]]), "not an array of numbers"),
    ],
)
def test_wrong_inputs(x: np.ndarray, message: str) -> None:
    program = compile_network(ordinary((1, 3, 2))).program
    with pytest.raises(InputError, match=message):
        engine.run(program, x)


def test_one_accumulator_holds_both_sums_where_they_fit() -> None:
    options = CompileOptions(steps=128, payload_bits=2, rounding="nearest")
    program = compile_network(ordinary((2, 5, 5, 2), 1), options).program
    assert all(p.packed_bits > 0 for p in program.populations)
    apart = replace(program, populations=tuple(replace(p, packed_bits=0) for p in program.populations))
    x = np.random.default_rng(0).random((20, 2))
    runs = [engine.run(program, x, machine="checked"), engine.run(apart, x, machine="checked"), engine.run(program, x)]
    assert runs[0].machine == runs[1].machine == runs[2].machine
    wide = compile_network(ordinary((2, 60, 60, 2), 1), CompileOptions(rounding="nearest")).program
    assert wide.populations[1].packed_bits == 0


@given(a0=st.integers(-(1 << 10), 1 << 10), a1=st.integers(-(1 << 11) + 1, (1 << 11) - 1))
def test_packed_sums_come_apart(a0: int, a1: int) -> None:
    got = spec.unpack(np.array((a0 << 12) + a1), 12)
    assert (int(got[0]), int(got[1])) == (a0, a1)


def test_a_vector_at_its_start_has_not_fired() -> None:
    """It fires where it leaves the upper half plane, whose edge on the right belongs to it."""
    x, y = np.array([5, 5, -5, -5, 0]), np.array([0, -1, 0, 1, 1])
    turned_x, turned_y, fired = plane.cross(x, y)
    assert fired.tolist() == [0, 1, 1, 0, 0]
    assert (turned_x.tolist(), turned_y.tolist()) == ([5, -5, 5, -5, 0], [0, 1, 0, 1, 1])
