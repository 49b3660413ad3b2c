"""A trained network of the published regime on Lava: the engine's spikes, and the float result."""

from pathlib import Path

import numpy as np
import pytest
from trained import MODELS, imported, relative

import qif2hw_lava
from qif2hw import engine, reference
from qif2hw.compiler import compile_network
from qif2hw_lava import Interpreter

pytestmark = pytest.mark.lava


def test_trained_pseudospikes(tmp_path: Path, lava: Interpreter) -> None:
    network = imported(MODELS / "published.npz", tmp_path / "m.onnx")
    program = compile_network(network).program
    x = np.linspace(0, 1, 200)[:, None]
    run, expected = qif2hw_lava.run(program, x), engine.run(program, x)
    assert run.machine == expected.machine
    assert run.step_spikes == expected.step_spikes
    np.testing.assert_array_equal(run.y, expected.y)
    assert not run.ordinary.any()
    assert relative(run.y, reference.run(network, x).y) < 0.02
    assert relative(run.y, reference.run(program.network(), x).y) < 0.002
