"""The passes: what they decide, what they refuse, and that the program says the same as the network."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import branched, ordinary

from qif2hw.compiler import CompileOptions, SteppedOptions, compile_network, load_target, passes_for, ptc_tables
from qif2hw.compiler.passes.time_grid import ChooseTimeGrid
from qif2hw.compiler.state import State
from qif2hw.errors import InputError
from qif2hw.ir import Network, Population, Projection, TimeGrid
from qif2hw.ir.weight_grid import largest_weight, nearest_unit, round_to_grid, weight_step
from qif2hw.neuron import QIF


@settings(max_examples=60, deadline=None)
@given(bits=st.integers(2, 8), seed=st.integers(0, 2**32 - 1), scale=st.floats(1e-3, 1e3))
def test_weight_grid(bits: int, seed: int, scale: float) -> None:
    weight = np.random.default_rng(seed).normal(size=(5, 7)) * scale
    unit = nearest_unit(weight, bits)
    rounded = round_to_grid(weight, unit, bits)
    assert (rounded % weight_step(bits) == 0).all()
    assert np.abs(rounded).max() == largest_weight(bits)
    assert np.abs(rounded * unit - weight).max() <= 0.5 * weight_step(bits) * unit * (1 + 1e-9)
    # What quantization-aware training exports is a fixed point of the compiler.
    again = rounded * unit
    np.testing.assert_array_equal(round_to_grid(again, nearest_unit(again, bits), bits), rounded)


def test_grid_has_a_power_of_two_increment_and_keeps_within_the_steps() -> None:
    for steps in (40, 128, 512, 1000):
        compiled = compile_network(ordinary((1, 4, 4, 2)), CompileOptions(steps=steps))
        grid, program = compiled.program.grid, compiled.program
        assert program.steps <= steps
        assert program.steps > 0.97 * steps - 4
        assert grid.threshold == grid.period_steps * grid.increment
        assert grid.increment & (grid.increment - 1) == 0
        assert grid.delta == pytest.approx(6.0 / grid.period_steps, rel=1e-12)
        for population in program.populations:
            assert 0 <= grid.overshoot(population.depth) < grid.increment + grid.layers * grid.half_tick


@pytest.mark.parametrize("layers", [1, 3])
def test_the_grid_keeps_within_the_steps(layers: int) -> None:
    rng, base = np.random.default_rng(0), ordinary((1, *[2] * layers), 0)
    period = base.populations[0].neuron.period
    for _ in range(200):
        steps = int(rng.integers(30, 700))
        # Trials of any part of a period: their last step is rounded up.
        network = replace(base, trial=float(rng.uniform(0.5, 4.0)) * period)
        state = State.start(network, load_target("loihi2"), np.zeros((1, 1)))
        grid = ChooseTimeGrid(steps, 4).run(state)[TimeGrid]
        assert grid.trial_steps + 1 + layers <= steps


def test_program_network_has_the_rounded_weights() -> None:
    network = branched(4)
    program = compile_network(network, CompileOptions(weight_bits=8, rounding="nearest")).program
    back = program.network()
    for before, after in zip(network.projections, back.projections, strict=True):
        assert (before.pre, before.post) == (after.pre, after.post)
        assert np.abs(before.weight - after.weight).max() <= np.abs(before.weight).max() / 127
    for population in network.populations:
        error = np.abs(back.population(population.name).phi0 - population.phi0)
        assert error.max() <= program.grid.period / program.grid.threshold
    assert back.outputs == network.outputs


def test_report_is_json_and_repeatable() -> None:
    first, second = (compile_network(ordinary((2, 5, 2))) for _ in range(2))
    assert json.dumps(first.report) == json.dumps(second.report)
    assert first.program == second.program
    for facts in first.report["tables"]["populations"].values():
        assert facts["monotone"]
        assert 0 < facts["rms_error_steps"] < facts["max_error_steps"] < 0.05


def test_coarser_tables_have_larger_errors() -> None:
    fine, coarse = (
        compile_network(
            ordinary((1, 4, 2)), CompileOptions(table_bits=bits, form="cotangent", rounding="nearest")
        ).report["tables"]["populations"]["output"]
        for bits in (7, 4)
    )
    assert coarse["bytes"] < fine["bytes"]
    assert coarse["max_error_steps"] > 10 * fine["max_error_steps"]


def test_a_curve_that_falls_somewhere_is_not_monotone(monkeypatch: pytest.MonkeyPatch) -> None:
    network = ordinary((1, 3, 2), 0)
    program = compile_network(network, CompileOptions(rounding="nearest")).program
    made, population, respond = program.populations[0], network.populations[0], ptc_tables.respond

    def measured() -> bool:
        return ptc_tables.measure(made.ptc, program.grid, population, made.unit, 100).monotone

    def falling(*arguments: Any) -> Any:
        counts = respond(*arguments)
        counts[10:12] = counts[11:9:-1] if arguments[-1] == 100 else counts[10:12]
        return counts

    assert measured()
    monkeypatch.setattr(ptc_tables, "respond", falling)
    assert not measured()


def test_fit_names_what_does_not_fit(tmp_path) -> None:  # type: ignore[no-untyped-def]
    assert compile_network(ordinary((1, 4, 2))).report["fit"]["fits"]
    tiny = tmp_path / "tiny.toml"
    tiny.write_text(
        '[target]\nname = "tiny"\ntitle = "a small chip"\n[limits.cores]\nvalue = 1\nsource = "made up"\n'
        '[limits.neurons_per_core]\nvalue = 3\nsource = "made up"\n'
    )
    fit = compile_network(ordinary((1, 4, 2)), CompileOptions(target=str(tiny))).report["fit"]
    assert not fit["fits"]
    assert fit["reasons"] == ["3 cores are needed, 1 there are"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 7}, "steps = 7"),
        ({"weight_bits": 9}, "weight bits = 9"),
        ({"weight_bits": 1}, "weight bits = 1"),
        ({"payload_bits": 13}, "payload bits = 13"),
        ({"payload_bits": -1}, "payload bits = -1"),
        ({"payload_bits": "most"}, "payload bits = most: a whole number is needed, or auto"),
        ({"table_bits": 1}, "table bits = 1"),
        ({"target": "loihi9"}, "no target 'loihi9'"),
        ({"steps": 60000, "payload_bits": 12}, "fewer of either"),
    ],
)
def test_options_out_of_range(options: dict[str, int | str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        compile_network(ordinary((1, 3, 2)), CompileOptions(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("clock", "text", "message"),
    [
        (CompileOptions, "time-grid{steps=7}", "steps = 7: 8 to 65536"),
        (CompileOptions, "time-grid{lateness_bits=13}", "payload bits = 13: 0 to 12"),
        (CompileOptions, "weights{bits=8/9}", "weight bits = 8/9: 2 to 8"),
        (CompileOptions, "adapt-rounding{bits=1}", "weight bits = 1: 2 to 8"),
        (CompileOptions, "adapt-rounding{rounds=-1}", "rounds = -1: 0 or more"),
        (CompileOptions, "ranges{fewest_payload_bits=-1}", "payload bits = -1: 0 to 12"),
        (CompileOptions, "tables{table_bits=9999999999999999}", "table bits = 9999999999999999: 2 to 12"),
        (CompileOptions, "tables{bytes=-1}", "bytes = -1: a positive number"),
        (CompileOptions, "tables{form=grid moments=2}", "form = grid: it uses one"),
        (CompileOptions, "moments{table_bits=1}", "table bits = 1: 2 to 12"),
        (CompileOptions, "moments{form=round}", "form = round: auto"),
        (CompileOptions, "tune-tables{samples=1}", "samples = 1: two"),
        (CompileOptions, "compensate{rounds=-1}", "rounds = -1: 0 or more"),
        (SteppedOptions, "inputs{bits=18}", "input bits = 18: 2 to 17"),
        (SteppedOptions, "weights{bits=9}", "weight bits = 9: 2 to 8"),
        (SteppedOptions, "weights{thresholds=neuron}", "thresholds = neuron"),
    ],
)
def test_options_out_of_every_range_are_refused_before_a_pass_works(clock: Any, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        passes_for(clock(passes=text))


@pytest.mark.parametrize(
    "options",
    [{"table_bits": 13}, {"weight_bits": 9}, {"weight_bits": (8, 1)}, {"payload_bits": 13}, {"form": "round"}],
)
def test_so_are_they_in_place_of_a_list_of_passes(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=rf"{next(iter(options)).replace('_', ' ')} = .* are possible"):
        passes_for(CompileOptions(**options))


def test_the_form_grid_keeps_one_moment_and_says_why() -> None:
    found = compile_network(ordinary((1, 3, 2)), CompileOptions(form="grid", rounding="nearest")).report["moments"]
    assert (found["moments"], found["why"]) == (1, "the form 'grid' uses one")


def test_too_wide_an_accumulator_is_refused_with_its_neuron() -> None:
    wide = ordinary((1, 400, 2))
    heavy = Network(
        wide.trial,
        wide.encoders,
        wide.populations,
        (wide.projections[0], Projection("hidden1", "output", np.ones((2, 400)))),
        wide.outputs,
    )
    with pytest.raises(
        InputError, match=r"neuron 0 of population 'output' may accumulate .* fewer payload bits than 8"
    ):
        compile_network(heavy, CompileOptions(payload_bits=8))
    assert compile_network(heavy, CompileOptions(payload_bits=4)).program


def test_networks_the_machine_cannot_run() -> None:
    base = ordinary((2, 3, 2))
    other = Population("hidden1", QIF(tau=1.0), np.full(3, 0.5))
    with pytest.raises(InputError, match="one time grid needs one period"):
        compile_network(
            Network(base.trial, base.encoders, (other, base.populations[1]), base.projections, base.outputs)
        )
    skip = Projection("input", "output", np.ones((2, 2)))
    with pytest.raises(InputError, match="input -> output spans 2 layers"):
        compile_network(Network(base.trial, base.encoders, base.populations, (*base.projections, skip), base.outputs))


def test_the_compiler_picks_a_form_and_says_why() -> None:
    network = ordinary((1, 8, 2), 1)

    def tables(text: str) -> dict[str, object]:
        passes = f"time-grid,weights,ranges,tables{{{text}}},lower"
        report = compile_network(network, CompileOptions(passes=passes)).report
        return dict(report["tables"]["populations"]["output"])

    assert tables("table_bits=7")["form"] == "cotangent"
    assert tables("table_bits=4")["form"] == "plane"
    assert "cotangent: not accurate enough" in str(tables("table_bits=4")["why"])
    assert tables("table_bits=7 bytes=2000")["form"] == "plane"
    assert "cotangent: too large" in str(tables("table_bits=7 bytes=2000")["why"])
    assert tables("table_bits=7 form=grid")["why"] == "asked for"
    with pytest.raises(InputError, match=r"need .* bytes as 'plane', 50 there are"):
        tables("bytes=50")
    with pytest.raises(InputError, match="form = round: auto, cotangent, plane, grid are possible"):
        tables("form=round")


def test_weight_bits_may_be_a_list() -> None:
    listed, given = CompileOptions(weight_bits=[8, 6]), CompileOptions(weight_bits=(8, 6))  # type: ignore[arg-type]
    assert listed == given
    assert hash(listed) == hash(given)
