"""Trained networks keep their accuracy on the engine, without retraining."""

from pathlib import Path

import numpy as np
import pytest
from trained import MODELS, RESULTS, relative, truth

from qif2hw import engine, reference
from qif2hw.compiler import CompileOptions, compile_network
from qif2hw.ir import Network, Program, onnx_io
from qif2hw.ir.arrays import FloatArray


def inputs(network: Network) -> FloatArray:
    return np.random.default_rng(3).random((5000, network.inputs))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "float_error"), [("parabola", 0.002), ("ricker", 0.0075), ("ripple", 0.019)])
def test_eight_bits_cost_little_without_retraining(name: str, float_error: float) -> None:
    network = onnx_io.load(MODELS / f"{name}.onnx")
    x = inputs(network)
    exact = reference.run(network, x)
    assert exact.ordinary.all()
    trained = relative(exact.y, truth(name, x))
    assert trained < float_error
    compiled = compile_network(network)
    assert compiled.program.steps <= 512
    assert relative(engine.run(compiled.program, x).y, truth(name, x)) < 1.2 * trained
    terms, total = compiled.report["budget"]["sum"], compiled.report["budget"]["total"]
    assert total == pytest.approx(terms, rel=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["parabola", "ricker", "ripple"])
def test_lateness_is_worth_ten_times_at_128_steps(name: str) -> None:
    network = onnx_io.load(MODELS / f"{name}.onnx")
    x = inputs(network)

    def machine_error(payload_bits: int) -> float:
        """Of the machine against an exact run with the same weights."""
        options = CompileOptions(steps=128, payload_bits=payload_bits, rounding="nearest")
        program: Program = compile_network(network, options).program
        return relative(engine.run(program, x).y, reference.run(program.network(), x).y)

    assert 10 * machine_error(8) < machine_error(0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["parabola", "ricker", "ripple"])
@pytest.mark.parametrize("file", [MODELS / "{}.onnx", RESULTS / "{}-qif-ordinary-seed0.onnx"], ids=["small", "results"])
def test_lateness_is_worth_ten_times_at_128_steps_as_compiled(name: str, file: Path) -> None:
    """Against the float network: whatever the compiler can do for either is done."""
    network = onnx_io.load(str(file).format(name))
    x = inputs(network)[:2000]
    exact = reference.run(network, x).y
    with_lateness, without = (
        relative(engine.run(compile_network(network, options).program, x).y, exact)
        for options in (CompileOptions(steps=128), CompileOptions(steps=128, payload_bits=0))
    )
    assert 10 * with_lateness < without


@pytest.mark.slow
@pytest.mark.parametrize("name", ["parabola", "ricker", "ripple"])
def test_eight_bits_trained_for_the_grid_cost_little(name: str) -> None:
    """Against the same network before its weights went onto the grid."""
    free = onnx_io.load(RESULTS / f"{name}-qif-ordinary-seed0.onnx")
    network = onnx_io.load(MODELS / f"{name}-8bit.onnx")
    program = compile_network(network).program
    for trained, deployed in zip(network.projections, program.network().projections, strict=True):
        np.testing.assert_allclose(deployed.weight, trained.weight, rtol=1e-12)
    x = inputs(network)
    assert program.steps <= 512
    wanted = truth(name, x)
    before = relative(reference.run(free, x).y, wanted)
    assert relative(engine.run(program, x).y, wanted) < max(1.3 * before, before + 0.001)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["parabola", "ricker", "ripple"])
def test_four_bits_trained_for_the_grid_cost_two_percent_at_most(name: str) -> None:
    network = onnx_io.load(MODELS / f"{name}-4bit.onnx")
    program = compile_network(network, CompileOptions(weight_bits=4)).program
    for trained, deployed in zip(network.projections, program.network().projections, strict=True):
        np.testing.assert_allclose(deployed.weight, trained.weight, rtol=1e-12)
        assert len(np.unique(deployed.weight)) <= 15
    x = inputs(network)
    assert program.steps <= 512
    assert relative(engine.run(program, x).y, truth(name, x)) < 0.02
