"""Steps and payload bits from an error target; bits of weights by projection."""

import numpy as np
import pytest
from networks import branched, ordinary

from qif2hw import engine, reference
from qif2hw.compiler import CompileOptions, compile_network, parse_passes, passes_for, print_passes
from qif2hw.compiler.default_inputs import spread
from qif2hw.errors import InputError
from qif2hw.ir.weight_grid import weight_bits

NETWORK = ordinary((1, 16, 16, 2), 1)
NEAREST = {"rounding": "nearest", "form": "cotangent"}


def error_of(**options: int | float | str) -> float:
    program = compile_network(NETWORK, CompileOptions(**NEAREST, **options)).program  # type: ignore[arg-type]
    x = spread(512, 1)
    goal = reference.run(NETWORK, x).y
    return float(np.linalg.norm(engine.run(program, x).y - goal) / np.linalg.norm(goal))


# The last one is below what the weights' grid costs: there the errors of a coarse time grid happen to help.
@pytest.mark.parametrize(("target", "moments"), [(0.01, "auto"), (0.004, "auto"), (0.01, 1), (0.003, 1)])
def test_the_cheapest_setting_that_meets_the_target(target: float, moments: int | str) -> None:
    options = {**NEAREST, "lateness_moments": moments}
    compiled = compile_network(NETWORK, CompileOptions(max_error=target, **options))  # type: ignore[arg-type]
    report, grid = compiled.report["max-error"], compiled.program.grid
    assert next(iter(compiled.report)) == "max-error"
    assert compiled.report["budget"]["total"] <= target
    chosen = next(t for t in reversed(report["tried"]) if t.get("error", np.inf) <= target)
    assert compiled.program.steps <= chosen["steps"] < 512
    assert grid.lateness_bits == chosen["payload_bits"] < 8
    assert compiled.report["budget"]["total"] == pytest.approx(chosen["error"], rel=1e-9)
    setting = {"steps": chosen["steps"], "payload_bits": chosen["payload_bits"], "lateness_moments": moments}
    assert error_of(**setting) <= target
    # Cheaper ones were tried, and were not enough.
    fewer = {(t["steps"], t["payload_bits"]): t["error"] for t in report["tried"]}
    assert fewer[chosen["steps"], chosen["payload_bits"] - 1] > target
    assert all(error > target for (steps, bits), error in fewer.items() if steps < chosen["steps"] and bits == 8)


def test_with_adapted_rounding_the_result_keeps_the_target() -> None:
    compiled = compile_network(NETWORK, CompileOptions(max_error=0.01))
    assert compiled.report["budget"]["total"] <= 0.01
    assert compiled.program.steps < 400


def test_what_cannot_be_reached_names_the_best() -> None:
    with pytest.raises(
        InputError, match=r"no setting reaches an error of 1e-07: the best of at most 48 steps and"
    ) as e:
        compile_network(NETWORK, CompileOptions(max_error=1e-7, steps=48, **NEAREST))  # type: ignore[arg-type]
    assert "8 payload bits is 0." in str(e.value)
    with pytest.raises(InputError, match=r"no setting of at most 8 steps can be compiled: 8 steps are too few for"):
        compile_network(ordinary((1, *[2] * 8), 1), CompileOptions(max_error=0.1, steps=8, **NEAREST))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="give one of them"):
        CompileOptions(max_error=0.1, passes="time-grid")
    with pytest.raises(InputError, match="max error = -1"):
        CompileOptions(max_error=-1)
    with pytest.raises(InputError, match="max error = 0"):
        CompileOptions(max_error=0)
    with pytest.raises(InputError, match="max error = nan"):
        CompileOptions(max_error=float("nan"))


@pytest.mark.parametrize("rounding", ["nearest", "adapt"])
def test_bits_by_projection(rounding: str) -> None:
    options = CompileOptions(weight_bits=(8, 5, 3), rounding=rounding, steps=64)
    compiled = compile_network(NETWORK, options)
    assert [weight_bits(p.weight) for p in compiled.program.projections] == [8, 5, 3]
    assert [s["weight_bits"] for s in compiled.report["fit"]["populations"].values()] == [8, 5, 3]
    assert compiled.report["weights"]["bits"] == "8/5/3"
    text = print_passes(passes_for(options))
    assert "weights{bits=8/5/3}" in text
    assert parse_passes(text) == passes_for(options)
    same = CompileOptions(weight_bits=(6, 6, 6), rounding=rounding, steps=64)
    assert (
        compile_network(NETWORK, same).program
        == compile_network(NETWORK, CompileOptions(weight_bits=6, rounding=rounding, steps=64)).program
    )


def test_bits_by_projection_in_a_graph() -> None:
    bits = (8, 7, 6, 5, 4, 3)
    program = compile_network(branched(), CompileOptions(weight_bits=bits, steps=64, rounding="nearest")).program
    assert tuple(weight_bits(p.weight) for p in program.projections) == bits


def test_a_wrong_number_of_bits() -> None:
    with pytest.raises(InputError, match=r"weight bits = 8/6: 2 numbers for 3 projections"):
        compile_network(NETWORK, CompileOptions(weight_bits=(8, 6)))
    with pytest.raises(InputError, match=r"weights: bits=8/many|weight bits = 8/many"):
        parse_passes("weights{bits=8/many}")
