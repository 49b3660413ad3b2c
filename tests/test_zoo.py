"""The networks that come with the package hold the accuracy they are shipped for."""

import numpy as np
import pytest

from qif2hw import engine, zoo
from qif2hw.errors import InputError
from qif2hw.experiments import tasks
from qif2hw.experiments.reproduce import qif
from qif2hw.experiments.reproduce.paper import PAPER
from qif2hw.train.task import Samples


def test_there_is_one_for_every_task_of_the_paper() -> None:
    assert set(zoo.names()) == {task for task, _ in PAPER}
    with pytest.raises(InputError, match="known are burgers_pinn"):
        zoo.bundle("cubic")


@pytest.mark.parametrize("name", zoo.names())
def test_on_the_engine_it_is_below_the_papers_error_in_float(name: str) -> None:
    task, bundle = tasks.get(name), zoo.bundle(name)
    test = task.test_set()
    blocks = len(test.x) // task.block
    rows = (
        np.arange(0, blocks, max(1, blocks // (4000 // task.block)))[:, None] * task.block + np.arange(task.block)
    ).ravel()
    part = Samples(test.x[rows], test.y[rows])
    run = bundle.run(task.raw(part.x))
    np.testing.assert_allclose(run.y, task.solution(part.x, run.raw), rtol=0, atol=1e-14)
    for quantity, error in task.errors(run.y, part.y).items():
        assert 100 * error.relative <= PAPER[name, quantity]["qif"], quantity
    assert bundle.golden.matches(engine.run(bundle.program, bundle.golden.x))
    assert bundle.network.host == zoo.network(name).host == task.host


@pytest.mark.parametrize("name", zoo.names())
def test_it_prints_on_one_screen(name: str) -> None:
    bundle = zoo.bundle(name)
    run = bundle.run(bundle.golden.x)
    for value, most in ((bundle, 24), (bundle.network, 4), (bundle.program, 4), (bundle.golden, 1), (run, 1)):
        text = repr(value)
        # As wrapped by a terminal of 80 columns.
        assert sum(-(-len(line) // 80) for line in text.splitlines()) <= most
        assert text.startswith(type(value).__name__)
    assert f"{bundle.network.synapse_count} synapses" in repr(bundle)
    assert "weight_bits=8" in repr(bundle)


@pytest.mark.parametrize("name", zoo.names())
def test_its_model_has_weights_on_the_8_bit_grid(name: str) -> None:
    """Every weight is an even integer of at most 8 bits times its population's unit, which the bundle knows."""
    network, program = zoo.network(name), zoo.bundle(name).program
    for projection, compiled in zip(network.projections, program.projections, strict=True):
        largest = np.abs(compiled.weight).argmax()
        unit = projection.weight.ravel()[largest] / compiled.weight.ravel()[largest]
        np.testing.assert_allclose(projection.weight, unit * compiled.weight, rtol=0, atol=1e-9 * np.abs(unit))
    assert qif.WEIGHT_BITS == 8
