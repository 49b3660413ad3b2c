"""Trained networks keep their accuracy on the engine, without retraining."""

from pathlib import Path

import numpy as np
import pytest

from qif2hw import engine, reference
from qif2hw.compiler import CompileOptions, compile_network
from qif2hw.ir import Network, Program, onnx_io
from qif2hw.ir.arrays import FloatArray

MODELS = Path(__file__).parent.parent / "models"


def truth(name: str, x: FloatArray) -> FloatArray:
    points = 2 * x - 1
    if name == "parabola":
        return points**2
    rho = np.hypot(points[:, :1], points[:, 1:])
    if name == "ripple":
        return 0.25 * np.sin(4 * np.pi * rho) + 0.5
    z = rho**2 / (2 * 0.8**2)
    return (1 - z) * np.exp(-z) / (np.pi * 0.8**4)


def inputs(network: Network) -> FloatArray:
    return np.random.default_rng(3).random((5000, network.inputs))


def error(y: FloatArray, wanted: FloatArray) -> float:
    return float(np.linalg.norm(y - wanted) / np.linalg.norm(wanted))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "float_error"), [("parabola", 0.002), ("ricker", 0.0075), ("ripple", 0.019)])
def test_eight_bits_cost_little_without_retraining(name: str, float_error: float) -> None:
    network = onnx_io.load(MODELS / f"{name}.onnx")
    x = inputs(network)
    exact = reference.run(network, x)
    assert exact.ordinary.all()
    trained = error(exact.y, truth(name, x))
    assert trained < float_error
    compiled = compile_network(network)
    assert compiled.program.steps <= 512
    assert error(engine.run(compiled.program, x).y, truth(name, x)) < 1.2 * trained
    terms, total = compiled.report["budget"]["sum"], compiled.report["budget"]["total"]
    assert total == pytest.approx(terms, rel=0.5)


SHORT = pytest.mark.xfail(
    reason="measured 8.1 times: spikes of unequal lateness in one step do not commute",
    raises=AssertionError,
    strict=True,
)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["parabola", "ricker", pytest.param("ripple", marks=SHORT)])
def test_lateness_is_worth_ten_times_at_128_steps(name: str) -> None:
    network = onnx_io.load(MODELS / f"{name}.onnx")
    x = inputs(network)

    def machine_error(payload_bits: int) -> float:
        """Of the machine against an exact run with the same weights."""
        options = CompileOptions(steps=128, payload_bits=payload_bits, rounding="nearest")
        program: Program = compile_network(network, options).program
        return error(engine.run(program, x).y, reference.run(program.network(), x).y)

    assert 10 * machine_error(8) < machine_error(0)
