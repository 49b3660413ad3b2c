"""What can arrive, and what it does to every register: proven, and never exceeded."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import branched, ordinary, published

from qif2hw import engine
from qif2hw.compiler import CompileOptions, compile_network
from qif2hw.engine import spec
from qif2hw.errors import InputError
from qif2hw.ir import Network, Projection
from qif2hw.ir.ptc import ACCUMULATOR_MAX, STATE_MAX

FORMS = ["cotangent", "grid", "plane"]


def heavy(weight: float) -> Network:
    wide = ordinary((1, 400, 2))
    matrix = np.full((2, 400), -0.01)
    matrix[1] = weight
    matrix[1, 7] = 1.0
    return Network(
        wide.trial,
        wide.encoders,
        wide.populations,
        (wide.projections[0], Projection("hidden1", "output", matrix)),
        wide.outputs,
    )


def test_too_much_at_once_is_refused_with_the_neuron_and_its_sources() -> None:
    options = CompileOptions(rounding="nearest", payload_bits=8)
    with pytest.raises(InputError) as error:
        compile_network(heavy(0.9), options)
    text = str(error.value)
    assert text.startswith("neuron 1 of population 'output' may accumulate ")
    assert "400 sources of one sign" in text
    assert "the heaviest: hidden1[7], hidden1[0], hidden1[1]" in text
    assert text.endswith("use fewer payload bits than 8: 6 fit")
    assert compile_network(heavy(0.9), replace(options, payload_bits=6)).program


def test_payload_bits_that_nobody_fixed_are_the_most_that_fit() -> None:
    report = compile_network(heavy(0.9), CompileOptions(rounding="nearest")).report
    assert report["ranges"]["payload_bits"] == report["time-grid"]["lateness_bits"] == 6
    assert report["ranges"]["payload_bits_wanted"] == 8
    fixed = compile_network(heavy(0.9), CompileOptions(rounding="nearest", payload_bits=6))
    assert report["time-grid"] == fixed.report["time-grid"]
    assert compile_network(heavy(0.9), CompileOptions(rounding="nearest")).program == fixed.program
    light = compile_network(ordinary((1, 16, 2)), CompileOptions(rounding="nearest")).report["ranges"]
    assert light["payload_bits"] == light["payload_bits_wanted"] == 8


def test_payload_bits_that_nobody_fixed_are_at_most_the_targets(tmp_path: Path) -> None:
    target = tmp_path / "narrow.toml"
    target.write_text(
        '[target]\nname = "narrow"\ntitle = "narrow spikes"\n[limits.payload_bits]\nvalue = 5\nsource = "none"\n'
    )
    options = CompileOptions(rounding="nearest", target=str(target))
    assert compile_network(ordinary((1, 16, 2)), options).program.grid.lateness_bits == 5
    with pytest.raises(InputError, match=r"payload bits = 6: 0 to 5 are possible on target 'narrow'"):
        compile_network(ordinary((1, 16, 2)), replace(options, payload_bits=6))


def test_signs_are_bounded_apart() -> None:
    """Half of the weights positive, half negative: half the sum is the most that can arrive."""
    network = heavy(0.9)
    matrix = network.projections[1].weight * np.where(np.arange(400) % 2, 1, -1)
    mixed = replace(network, projections=(network.projections[0], Projection("hidden1", "output", matrix)))
    ranges = compile_network(mixed, CompileOptions(rounding="nearest", payload_bits=7)).report["ranges"]
    found = ranges["populations"]["output"]
    assert found["a0_max"] == max(found["up"], found["down"])
    assert found["up"] + found["down"] < 2.1 * found["a0_max"]
    assert found["witness"]["count"] == 200


@settings(max_examples=25, deadline=None)
@given(
    form=st.sampled_from(FORMS),
    kind=st.sampled_from(["ordinary", "published", "branched"]),
    sizes=st.lists(st.integers(1, 12), min_size=2, max_size=3),
    scale=st.sampled_from([0.01, 1.0, 30.0, 1000.0]),
    bits=st.integers(2, 8),
    payload=st.integers(0, 8),
    moments=st.integers(0, 2),
    steps=st.integers(16, 150),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_compiled_network_overflows(
    form: str, kind: str, sizes: list[int], scale: float, bits: int, payload: int, moments: int, steps: int, seed: int
) -> None:
    """On inputs (the machine's checked mode), and on the worst that its proof allows, in every state."""
    network = {
        "ordinary": lambda: ordinary((*sizes, 2), seed, scale),
        "published": lambda: published((*sizes, 2), seed),
        "branched": lambda: branched(seed),
    }[kind]()
    passes = (
        f"time-grid{{steps={steps} lateness_bits={payload}}},weights{{bits={bits}}},ranges,"
        f"tables{{form={form} table_bits=5 moments={min(moments, 1) if form == 'grid' else moments}}},lower,registers"
    )
    try:
        compiled = compile_network(network, CompileOptions(passes=passes))
    except InputError:
        # Too heavy for the registers: what is not compiled cannot overflow. Weights of the usual size must compile.
        if scale > 1:
            return
        raise
    program, rng = compiled.program, np.random.default_rng(seed)
    x = np.concatenate([rng.random((2, network.inputs)), np.zeros((1, network.inputs)), np.ones((1, network.inputs))])
    engine.run(program, x, machine="checked")

    grid = program.grid
    for population in program.populations:
        got = compiled.report["ranges"]["populations"][population.name]
        assert max(got["a0_max"], got["a1_max"], got["flush_max"]) <= ACCUMULATOR_MAX
        low, high = -got["down"], got["up"]
        late = max(1, grid.ticks - 1)
        most = late * late >> grid.lateness_bits
        sums = np.meshgrid([low, 0, high], [low * late, 0, high * late], [low * most, 0, high * most])
        a0, a1, a2 = (m.ravel() for m in sums)
        shape = (40, a0.size, population.size)
        state = spec.start(population, grid)
        tall = np.broadcast_to(state[:, None, None], (state.shape[0], *shape)).copy()
        if state.shape[0] == 1:
            tall[0] = rng.integers(0, grid.threshold, shape)
        else:
            angle = rng.random(shape) * np.pi
            tall[0], tall[1] = (np.rint(c(angle) * (1 << 22) * 0.999) for c in (np.cos, np.sin))
        pull = np.array([-got["flush_max"], got["flush_max"]])[rng.integers(0, 2, shape)]
        nothing = np.zeros(shape, np.int64)
        for m, got in (
            (1, (a0[:, None], a1[:, None], a2[:, None])),
            (grid.trial_steps, (a0[:, None], a1[:, None], a2[:, None])),
            (grid.trial_steps + 1, (nothing, pull, nothing)),
        ):
            out = spec.step(population, grid, m, tall.astype(np.int64), *(np.broadcast_to(a, shape) for a in got))
            assert np.abs(out.state).max() <= STATE_MAX
            assert out.payload.min() >= 0
            assert out.payload.max() <= max(late, (grid.threshold >> population.flush_drop) + 1)
            if state.shape[0] == 1:
                assert out.state.min() >= 0
                assert out.state.max() <= grid.threshold


@pytest.mark.parametrize("form", FORMS)
def test_the_report_names_every_register(form: str) -> None:
    report = compile_network(ordinary((2, 9, 2)), CompileOptions(form=form, rounding="nearest", steps=64)).report
    for registers in report["registers"]["populations"].values():
        assert {"sum of weights", "weights times lateness", "weights times flush"} < set(registers)
        assert ("phase" in registers) == (form != "plane")
        assert all(found["bits"] <= found["of"] for found in registers.values())


def test_weights_too_large_for_the_products_are_refused() -> None:
    with pytest.raises(InputError, match=r"may need \d+ bits, 64 there are: the weights of neuron \d+ are too large"):
        compile_network(ordinary((2, 9, 2), gain=1e5), CompileOptions(form="cotangent", rounding="nearest", steps=16))
