"""Coarse tables adjusted to the network that uses them: better where nothing was fitted, and still curves."""

import numpy as np
import pytest
from networks import ordinary
from trained import MODELS, relative

from qif2hw import engine, reference
from qif2hw.compiler import CompileOptions, compile_network, passes_for, print_passes
from qif2hw.ir import CotangentTables, Program, onnx_io


def passes(table_bits: int, tune: str) -> str:
    text = print_passes(passes_for(CompileOptions(table_bits=table_bits, form="cotangent", rounding="nearest")))
    return text.replace(",lower", f",{tune},lower") if tune else text


def tables(program: Program) -> list[np.ndarray]:
    curves = [p.ptc for p in program.populations]
    assert all(isinstance(curve, CotangentTables) for curve in curves)
    return [table.knots for curve in curves for table in (curve.to_potential, curve.to_phase)]  # type: ignore[union-attr]


@pytest.mark.slow
def test_adjusted_tables_are_better_on_inputs_they_have_not_seen() -> None:
    network = onnx_io.load(MODELS / "parabola.onnx")
    x = np.random.default_rng(3).random((1500, 1))

    def error(tune: str) -> tuple[float, Program]:
        compiled = compile_network(network, CompileOptions(passes=passes(3, tune)))
        exact = reference.run(compiled.program.network(), x).y
        return relative(engine.run(compiled.program, x).y, exact), compiled.program

    (plain, before), (tuned, after) = error(""), error("tune-tables{samples=300}")
    assert tuned < 0.98 * plain
    for old, new in zip(tables(before), tables(after), strict=True):
        assert (old[0], old[-1]) == (new[0], new[-1])
        assert (np.diff(new) <= 0).all()
    assert any((old != new).any() for old, new in zip(tables(before), tables(after), strict=True))


def test_adjusted_tables_of_a_small_network_are_better_on_unseen_inputs() -> None:
    network, x = ordinary((1, 8, 8, 2), 2), np.random.default_rng(3).random((500, 1))

    def error(tune: str) -> float:
        program = compile_network(network, CompileOptions(passes=passes(3, tune))).program
        return relative(engine.run(program, x).y, reference.run(program.network(), x).y)

    assert error("tune-tables{samples=100}") < 0.7 * error("")


def test_fine_tables_are_left_alone() -> None:
    network = onnx_io.load(MODELS / "parabola.onnx")
    report = compile_network(network, CompileOptions(passes=passes(10, "tune-tables"))).report
    assert "are adjusted" in report["tune-tables"]["skipped"]
