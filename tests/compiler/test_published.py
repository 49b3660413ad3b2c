"""A trained network of the published regime keeps its result: phi0 = Theta / 2, T = 2, every output a pseudospike."""

from pathlib import Path

import numpy as np
import pytest
from trained import MODELS, imported, relative, truth

from qif2hw import engine, reference
from qif2hw.compiler import CompileOptions, compile_network
from qif2hw.ir import Network

X = np.linspace(0, 1, 1000)[:, None]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    return imported(MODELS / "published.npz", tmp_path_factory.mktemp("published") / "m.onnx")


def test_it_is_what_its_name_says(network: Network) -> None:
    run = reference.run(network, X)
    assert not run.ordinary.any()
    assert all((p.phi0 == p.neuron.period / 2).all() for p in network.populations)
    assert relative(run.y, truth("parabola", X)) < 0.01


def test_eight_bits_after_training_cost_two_percent_at_most(network: Network) -> None:
    program = compile_network(network).program
    assert program.steps <= 512
    wanted = reference.run(network, X).y
    assert relative(engine.run(program, X).y, wanted) < 0.02
    nearest = compile_network(network, CompileOptions(rounding="nearest")).program
    assert relative(engine.run(program, X).y, wanted) < 0.1 * relative(engine.run(nearest, X).y, wanted)


def test_unrounded_weights_cost_two_tenths_of_a_percent_at_most(network: Network, tmp_path: Path) -> None:
    """Weights that lie on the grid when they are imported are not rounded: what is left is the machine's."""
    on_grid = compile_network(network).program.network()
    arrays = {f"w{k}": p.weight for k, p in enumerate(on_grid.projections)}
    np.savez(tmp_path / "w.npz", phi0=np.concatenate([p.phi0 for p in on_grid.populations]), **arrays)
    again = imported(tmp_path / "w.npz", tmp_path / "m.onnx")
    program = compile_network(again).program
    for before, after in zip(again.projections, program.network().projections, strict=True):
        np.testing.assert_allclose(after.weight, before.weight, rtol=1e-12)
    assert relative(engine.run(program, X).y, reference.run(again, X).y) < 0.002
