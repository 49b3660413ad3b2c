"""Passes as text, in any order that makes sense, and the error budget."""

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from networks import branched, ordinary, published

from qif2hw.compiler import (
    CompileOptions,
    compile_network,
    estimate,
    load_target,
    parse_passes,
    passes_for,
    print_passes,
)
from qif2hw.compiler.default_inputs import spread
from qif2hw.compiler.driver import run_passes
from qif2hw.compiler.error_measures import by_size, by_spread
from qif2hw.compiler.passes import budget as budget_pass
from qif2hw.compiler.passes.budget import Budget
from qif2hw.compiler.passes.tables import MakeTables
from qif2hw.compiler.passes.weights import Weights, _error
from qif2hw.compiler.state import State
from qif2hw.errors import InputError
from qif2hw.ir import Network
from qif2hw.ir.weight_grid import round_to_grid


@pytest.mark.parametrize("options", [CompileOptions(), CompileOptions(rounding="nearest", steps=100, weight_bits=5)])
def test_text_reads_back(options: CompileOptions) -> None:
    passes = passes_for(options)
    text = print_passes(passes)
    assert parse_passes(text) == passes
    assert f"steps={options.steps}" in text


def test_text_of_older_versions_is_read() -> None:
    """Zero stood for what is now absent or left to the compiler."""
    assert parse_passes("tables{table_bits=6 form=plane bytes=0 moments=0}") == (MakeTables(6, "plane"),)
    assert parse_passes("tables{bytes=2000 moments=2}") == (MakeTables(bytes=2000, moments=2),)
    assert print_passes((MakeTables(),)) == "tables{table_bits=7 form=auto bytes=none moments=auto}"


def test_options_as_a_bundle_stores_them() -> None:
    stored = CompileOptions(weight_bits=(8, 6)).as_json()
    assert stored["max_error"] == 0.0
    assert CompileOptions(**stored | {"max_error": None}) == CompileOptions(weight_bits=(8, 6))
    assert CompileOptions(passes="weights", target="loihi1").as_json() == {"target": "loihi1", "passes": "weights"}


def test_errors_by_spread_and_by_size() -> None:
    exact = np.array([[3.0, 1.0], [5.0, 1.0]])
    value = exact + 0.5
    assert by_size(exact)(value) == pytest.approx(0.5 / 3)
    assert by_spread(exact)(value) == pytest.approx(0.5 / np.sqrt(0.5))
    assert by_size(exact)(exact) == by_spread(exact)(exact) == 0
    for measure in (by_size(exact), by_spread(exact)):
        error = measure(value)
        assert measure.relative(error) == error
        assert measure.absolute(error) == pytest.approx(0.5)


def test_passes_as_text_compile_the_same_program() -> None:
    network, options = ordinary((1, 6, 2)), CompileOptions(steps=100, rounding="nearest")
    written = CompileOptions(passes=print_passes(passes_for(options)))
    assert compile_network(network, options).program == compile_network(network, written).program


def test_an_edited_list_changes_what_it_names() -> None:
    text = "time-grid{steps=64},weights{bits=4},ranges,tables{table_bits=5 form=cotangent},lower"
    compiled = compile_network(ordinary((1, 6, 2)), CompileOptions(passes=text))
    assert list(compiled.report) == ["time-grid", "weights", "ranges", "tables", "lower"]
    assert compiled.program.steps <= 64
    # What is not named is as without a list.
    whole = compile_network(ordinary((1, 6, 2)), CompileOptions(steps=64, rounding="nearest"))
    assert compiled.program.grid == whole.program.grid
    assert compiled.program.populations[0].ptc.to_phase.mantissa_bits == 5
    assert (compiled.program.projections[0].weight % 32 == 0).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time-grid,wobble", "no pass 'wobble'"),
        ("time-grid{pace=3}", "'time-grid' has no option 'pace'"),
        ("time-grid{steps=many}", "steps=many is not a whole number"),
        ("time-grid{steps=64", "cannot read"),
        ("time-grid,ranges", "'ranges' needs 'weights' before it"),
        ("weights,ranges", "'ranges' needs 'time-grid' before it"),
        ("time-grid,weights,tables", "'tables' needs 'ranges' before it"),
        ("time-grid,weights,ranges,lower", "'lower' needs 'tables' before it"),
        ("time-grid,weights,ranges,tables", "it needs 'lower'"),
        ("time-grid,weights,fit", "'fit' needs 'lower' before it"),
    ],
)
def test_lists_that_make_no_sense(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        compile_network(ordinary((1, 4, 2)), CompileOptions(passes=text))


def test_until_stops() -> None:
    report, seconds = estimate(ordinary((1, 6, 2)), "ranges", CompileOptions(rounding="nearest"))
    assert list(report) == list(seconds) == ["time-grid", "weights", "ranges"]
    with pytest.raises(InputError, match="no pass 'rounding' to stop after"):
        estimate(ordinary((1, 6, 2)), "rounding")


@pytest.mark.parametrize(
    "network",
    [ordinary((1, 32, 32, 2), 1), ordinary((3, 20, 20, 2), 2), published((2, 24, 24, 2), 1), branched(1)],
    ids=["ordinary", "three inputs", "pseudospikes", "graph"],
)
@pytest.mark.parametrize("options", [CompileOptions(rounding="nearest"), CompileOptions(), CompileOptions(steps=96)])
def test_budget_adds_up_in_the_mean_square(network: Network, options: CompileOptions) -> None:
    budget = compile_network(network, options).report["budget"]
    assert set(budget["terms"]) == {"saturation", "weights", "time_grid", "tables", "payload"}
    assert budget["sum"] == pytest.approx(np.sqrt(sum(t**2 for t in budget["terms"].values())))
    assert budget["total"] == pytest.approx(budget["sum"], rel=0.5)


def test_saturation_is_a_term_of_its_own() -> None:
    """A unit that is far too small: half of the weights lie beyond the grid, and that is what the budget names."""
    network = ordinary((1, 16, 16, 2), 1)
    state = State.start(network, load_target("loihi2"), spread(200, 1))
    options = CompileOptions(rounding="nearest")
    before, after = passes_for(options)[:2], passes_for(options)[2:]
    state, _ = run_passes(state, before)
    weights = state[Weights]
    small = {name: 0.3 * unit for name, unit in weights.units.items()}
    projections = tuple(
        replace(p, weight=round_to_grid(exact.weight, small[p.post], 8).astype(np.int16))
        for exact, p in zip(network.projections, weights.projections, strict=True)
    )
    saturated, _ = run_passes(state.having(replace(weights, units=small, projections=projections)), after)
    budget = saturated[Budget]
    beyond = sum(int((np.abs(p.weight) > 254.5 * small[p.post]).sum()) for p in network.projections)
    assert budget.saturated_weights == pytest.approx(beyond, abs=3)
    assert max(budget.terms, key=lambda name: budget.terms[name]) == "saturation"
    assert budget.terms["saturation"] == pytest.approx(budget.total, rel=0.2)
    untouched, _ = run_passes(state, after)
    assert untouched[Budget].terms["saturation"] == 0
    assert untouched[Budget].saturated_weights == 0


def test_saturation_that_changes_nothing_has_no_part() -> None:
    """Weights beyond the grid onto neurons whose result counts nothing: what the others' rounding does is theirs."""
    network = ordinary((1, 8, 2), 1)
    (output,), nearest = network.outputs, CompileOptions(rounding="nearest")
    network = replace(network, outputs=(replace(output, scale=np.zeros(output.size)),))
    state, _ = run_passes(State.start(network, load_target("loihi2"), spread(50, 1)), passes_for(nearest)[:2])
    small = {name: 0.3 * unit for name, unit in state[Weights].units.items()}
    projections = tuple(
        replace(p, weight=round_to_grid(exact.weight, small[p.post], 8).astype(np.int16))
        for exact, p in zip(network.projections, state[Weights].projections, strict=True)
    )
    weights = replace(state[Weights], units=small, projections=projections)
    budget = run_passes(state.having(weights), passes_for(nearest)[2:])[0][Budget]
    assert budget.saturated_weights > 0
    assert set(budget.absolute.values()) == {0.0}


def test_budget_names_the_cause() -> None:
    network = ordinary((1, 16, 16, 2), 1)

    def largest(**options: int | str) -> str:
        terms = compile_network(network, CompileOptions(**options)).report["budget"]["terms"]  # type: ignore[arg-type]
        return str(max(terms, key=terms.get))

    assert largest(weight_bits=3, rounding="nearest") == "weights"
    assert largest(payload_bits=0, steps=256) == "payload"
    assert largest(table_bits=2, form="cotangent") == "tables"
    assert largest(steps=32) == "time_grid"


@pytest.mark.parametrize(("updates", "samples"), [(1, 8), (37, 37), (10**9, 50)])
def test_the_budget_runs_as_many_inputs_as_there_is_time_for(
    monkeypatch: pytest.MonkeyPatch, updates: int, samples: int
) -> None:
    network = ordinary((2, 40, 40, 2))
    state = State.start(network, load_target("loihi2"), spread(50, 2))
    cost = max(network.synapse_count, budget_pass.SYNAPSES_OF_A_NEURON * 82)
    monkeypatch.setattr(budget_pass, "MOST_UPDATES", updates * cost)
    assert len(budget_pass.measured_inputs(state)) == samples


@pytest.mark.parametrize("seed", range(3))
def test_shifts_of_the_phases_end_with_one_that_gains_little(seed: int) -> None:
    options = CompileOptions(weight_bits=4, steps=96)
    found = compile_network(ordinary((2, 16, 16, 2), seed), options).report["compensate"]
    history = found["history"]
    assert found["kept"] == (len(history) > 1)
    assert all(after < before for before, after in pairwise(history))
    assert all(after <= 0.98 * before for before, after in pairwise(history[:-1]))


def test_no_weights_have_no_rounding_error() -> None:
    nothing: Any = SimpleNamespace(weight=np.zeros((0,)), synapses=SimpleNamespace(count=0))
    integers: Any = SimpleNamespace(weight=np.zeros((0,), np.int16), exponent=0)
    found = _error(nothing, integers, 0.5)
    assert (found.rms_error, found.max_error, found.largest, found.synapses) == (0.0, 0.0, 0.0, 0)
