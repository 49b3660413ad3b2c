"""Trained networks for tests, and what they were trained for."""

from pathlib import Path

import numpy as np
from click.testing import CliRunner

from qif2hw.ir import Network, onnx_io
from qif2hw.ir.arrays import FloatArray
from qif2hw_cli.main import cli

MODELS = Path(__file__).parent / "models"
RESULTS = Path(__file__).parents[1] / "docs" / "results" / "models"
"""Networks of the results, as `qif2hw reproduce` trained them."""
PUBLISHED = ("--trial", "2", "--encode", "0.05", "1.95")
"""Times of the published regime, as `qif2hw import` takes them."""


def truth(name: str, x: FloatArray) -> FloatArray:
    """What the network `name` was trained for, at inputs (samples, inputs) in [0, 1]."""
    points = 2 * x - 1
    if name == "parabola":
        return points**2
    rho = np.hypot(points[:, :1], points[:, 1:])
    if name == "ripple":
        return 0.25 * np.sin(4 * np.pi * rho) + 0.5
    z = rho**2 / (2 * 0.8**2)
    return (1 - z) * np.exp(-z) / (np.pi * 0.8**4)


def relative(y: FloatArray, wanted: FloatArray) -> float:
    """``|y - wanted| / |wanted|``."""
    return float(np.linalg.norm(y - wanted) / np.linalg.norm(wanted))


def imported(weights: Path, model: Path) -> Network:
    """The network that ``qif2hw import`` makes of an npz file of the published regime."""
    result = CliRunner().invoke(cli, ["import", str(weights), "-o", str(model), *PUBLISHED])
    assert result.exit_code == 0, result.output
    return onnx_io.load(model)
