"""The target that binds what public models of Loihi 2 neurons give evidence of."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import branched, ordinary, published

import qif2hw
from qif2hw import engine, reference, zoo
from qif2hw.compiler import CompileOptions, compile_network, load_target, passes_for
from qif2hw.compiler.default_inputs import spread
from qif2hw.compiler.driver import run_passes
from qif2hw.compiler.passes import tables
from qif2hw.compiler.passes.fit import assess
from qif2hw.compiler.passes.ranges import range_of
from qif2hw.compiler.proof import prove
from qif2hw.compiler.ptc_tables import direction_of_any_length, turn_error
from qif2hw.compiler.state import State
from qif2hw.experiments.reproduce import qif
from qif2hw.experiments.reproduce.zoo_build import trials
from qif2hw.ir import Network, PlaneVector, Program
from qif2hw.ir.ptc import LATE_FRACTION, STATE_BITS, NarrowProducts

TARGET = "loihi2-microcode"
PRODUCT_BITS = 40
QUICK = ("parabola", "poisson_pinn")


def widest(program: Program) -> int:
    """Most bits of any register, product, and number on the way to them, proven with machine-wide products."""
    return max(
        max(r.bits, r.widest)
        for p in program.populations
        for r in prove(p, program.grid, range_of(program, p.name)).values()
    )


def test_it_has_the_published_limits_and_inferred_ones() -> None:
    base, own = load_target("loihi2"), load_target(TARGET)
    assert {name: own.limits[name] for name in base.limits} == base.limits
    inferred = {name for name, limit in own.limits.items() if limit.status == "inferred"}
    assert (
        inferred
        == {"product_bits", "table_bytes", "division", "messages_per_spike"}
        == set(own.limits) - set(base.limits)
    )
    assert own.limit("product_bits") == PRODUCT_BITS
    assert own.named("product_bits") == "product_bits, inferred"
    assert own.named("cores") == "cores"


@given(angle=st.floats(1e-3, math.pi / 2 - 1e-3), bits=st.integers(8, 15))
def test_constants_of_few_bits_have_the_right_direction(angle: float, bits: int) -> None:
    cosine, sine = direction_of_any_length(angle, bits)
    assert min(cosine, sine) >= 0
    assert (1 << bits) // 2 - 1 <= math.hypot(cosine, sine) <= (1 << bits) + 1
    nearest = math.atan2(round(math.sin(angle) * (1 << bits)), round(math.cos(angle) * (1 << bits)))
    assert abs(math.atan2(sine, cosine) - angle) <= abs(nearest - angle)


@pytest.mark.parametrize("steps", [128, 301, 512, 520, 2000])
def test_any_number_of_steps_turns_right(steps: int) -> None:
    program = compile_network(
        ordinary((1, 4, 2)), CompileOptions(target=TARGET, steps=steps, rounding="nearest")
    ).program
    for p in program.populations:
        assert isinstance(p.ptc, PlaneVector)
        assert p.ptc.trig_bits == 15
        assert turn_error(p.ptc, program.grid) < 0.01
        assert max(p.ptc.cosine, p.ptc.sine) <= 1 << 15


@pytest.mark.parametrize(
    "network",
    [ordinary((2, 12, 12, 2), 3), ordinary((2, 12, 12, 2), 3, 20.0), published((2, 12, 12, 4)), branched()],
    ids=["ordinary", "large weights", "flush", "branched"],
)
def test_what_is_compiled_for_it_keeps_its_limits(network: Network) -> None:
    compiled = compile_network(network, CompileOptions(target=TARGET, rounding="nearest"))
    program = compiled.program
    assert compiled.report["fit"]["fits"], compiled.report["fit"]["reasons"]
    assert widest(program) <= PRODUCT_BITS
    assert all(p.message_bits is not None for p in program.populations)
    x = np.random.default_rng(0).random((30, network.inputs))
    runs = [engine.run(program, x, machine=machine) for machine in ("fast", "spec", "checked")]
    assert runs[0].machine == runs[1].machine == runs[2].machine
    assert runs[0].step_spikes == runs[1].step_spikes == runs[2].step_spikes
    assert assess(program, load_target("loihi2")).fits


def test_one_message_carries_what_two_do() -> None:
    """The same program with flag and payload as two messages gives the same spikes."""
    program = compile_network(ordinary((2, 12, 12, 2), 3), CompileOptions(target=TARGET, rounding="nearest")).program
    assert all(p.one_message for p in program.populations)
    for target in (TARGET, "loihi2"):
        options = CompileOptions(rounding="nearest", target=target)
        told = compile_network(ordinary((2, 4, 2)), options).report["ranges"]["populations"]
        assert all(("one_message" in one) == (target == TARGET) for one in told.values())
    apart = replace(program, populations=tuple(replace(p, one_message=None) for p in program.populations))
    x = np.random.default_rng(0).random((30, 2))
    assert engine.run(program, x, machine="spec").step_spikes == engine.run(apart, x, machine="spec").step_spikes
    few = compile_network(ordinary((2, 5, 5, 2), 1), CompileOptions(target=TARGET, steps=128, payload_bits=2)).program
    assert all(p.packed_bits and p.one_message is None for p in few.populations)


def test_what_is_compiled_for_loihi2_is_told_which_limits_decide() -> None:
    bundle = qif2hw.compile(ordinary((2, 12, 12, 2), 3), rounding="nearest", form="cotangent")
    fit = assess(bundle.program, load_target(TARGET))
    assert not fit.fits
    assert set(fit.limits) == {
        f"{name}, inferred" for name in ("table_bytes", "product_bits", "messages_per_spike")
    } - (set() if widest(bundle.program) > PRODUCT_BITS else {"product_bits, inferred"})
    assert len(fit.limits) == len(fit.reasons)
    assert any(reason.startswith("the tables of population 'hidden1' have ") for reason in fit.reasons)
    wide = qif2hw.compile(ordinary((2, 12, 12, 2), 3), rounding="nearest", form="plane")
    assert "product_bits, inferred" in assess(wide.program, load_target(TARGET)).limits


def test_the_choice_names_the_limits_and_what_they_cost() -> None:
    compiled = compile_network(ordinary((2, 12, 12, 2), 3), CompileOptions(target=TARGET, rounding="nearest"))
    for found in compiled.report["tables"]["populations"].values():
        assert found["form"] == "plane"
        assert "product_bits, inferred" in found["why"]
        small = found["tried"]["cotangent"]
        assert small["limit"].startswith("table_bytes, inferred")
        assert small["bytes"] <= 288
        assert small["max_error_steps"] > 0.2
        assert f"{small['max_error_steps']:.2g} steps with {small['bytes']} bytes of tables" in found["why"]


@pytest.mark.parametrize("name", ["parabola", "poisson_pinn"])
def test_tables_within_its_limit_are_offered_at_a_cost(name: str) -> None:
    network = zoo.network(name)
    options = {"target": TARGET, "rounding": "nearest", "steps": 256}
    compiled = compile_network(network, CompileOptions(form="cotangent", **options))
    assert compiled.report["fit"]["fits"], compiled.report["fit"]["reasons"]
    assert widest(compiled.program) <= PRODUCT_BITS
    assert all(p.ptc.bytes <= 288 for p in compiled.program.populations)
    x = network.unscaled(np.random.default_rng(0).random((100, network.width)))
    exact = reference.run(network, x).y
    error = [
        np.linalg.norm(engine.run(program, x).y - exact)
        for program in (compiled.program, compile_network(network, CompileOptions(**options)).program)
    ]
    assert error[0] > 5 * error[1]


def test_second_moments_are_a_second_message() -> None:
    network = ordinary((2, 12, 12, 2), 3)
    assert compile_network(network, CompileOptions(target=TARGET, steps=64)).report["tables"]["lateness_moments"] == 1
    report = compile_network(network, CompileOptions(target=TARGET, steps=64, lateness_moments=2)).report
    assert set(report["fit"]["limits"]) == {"messages_per_spike, inferred"}


@pytest.mark.parametrize("name", zoo.names(stepped=False))
def test_bundles_of_the_zoo_keep_its_limits(name: str) -> None:
    bundle = zoo.bundle(name, TARGET)
    assert bundle.options["target"] == TARGET
    assert bundle.program.steps <= 520
    assert widest(bundle.program) <= PRODUCT_BITS
    fit = assess(bundle.program, load_target(TARGET))
    assert fit.fits, fit.reasons
    assert bundle.golden.matches(bundle.run(bundle.golden.x))


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.long]) for n in zoo.names(stepped=False)]
)
def test_it_is_as_near_to_the_float_result_as_tables_at_512_steps(name: str) -> None:
    task, network = trials()[name].qif_task, zoo.network(name)
    x = network.unscaled(np.random.default_rng(7).random((1000, network.width)))
    exact = reference.run(network, x).y
    tables = qif.compiled(network, task, form="cotangent")
    distance = {
        key: np.linalg.norm(bundle.run(x).y - exact)
        for key, bundle in (("tables", tables), ("microcode", zoo.bundle(name, TARGET)))
    }
    assert distance["microcode"] <= 2 * distance["tables"]


def test_products_that_never_fit_are_as_narrow_as_they_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search for their width ends, and whether they fit is for others to say."""
    network = ordinary((2, 6, 2))
    passes = passes_for(CompileOptions(rounding="nearest", target=TARGET))
    names = [one.name for one in passes]
    start = State.start(network, load_target(TARGET), spread(20, 2))
    state, _ = run_passes(start, passes[: names.index("tables")])
    wide = NarrowProducts(PRODUCT_BITS - STATE_BITS - 1, LATE_FRACTION - 1)
    monkeypatch.setattr(tables, "prove", lambda *given: {"shear product": SimpleNamespace(fits=False, bits=44)})
    assert tables.narrow_products(state, network.populations[0], 0, False) == wide
