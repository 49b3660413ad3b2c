"""The networks that come with the package hold the accuracy they are shipped for."""

import numpy as np
import pytest

from qif2hw import engine, zoo
from qif2hw.data import digits
from qif2hw.errors import InputError
from qif2hw.experiments.reproduce import qif
from qif2hw.experiments.reproduce.paper import PAPER
from qif2hw.experiments.reproduce.plan import DIRECT, FIELDS
from qif2hw.experiments.reproduce.zoo_build import trials
from qif2hw.parity import SteppedBounds, check
from qif2hw.train.task import Samples


def test_there_is_one_for_every_task_of_the_paper() -> None:
    encoded = {f"{task}{zoo.ENCODED}" for task in set(FIELDS) - set(DIRECT)}
    assert set(zoo.names(stepped=False)) == {task for task, _ in PAPER} | encoded == set(trials())
    assert zoo.names(stepped=True) == zoo.STEPPED == ("digits",)
    assert set(zoo.names()) == {*zoo.names(stepped=False), "digits"}
    with pytest.raises(InputError, match=r"no bundle of 'digits' for the target 'loihi2-microcode': known are loihi2$"):
        zoo.bundle("digits", "loihi2-microcode")
    with pytest.raises(InputError, match="known are burgers_pinn"):
        zoo.bundle("cubic")


@pytest.mark.parametrize("name", zoo.names(stepped=False))
def test_on_the_engine_it_is_below_the_papers_error_in_float(name: str) -> None:
    task, bundle = trials()[name].qif_task, zoo.bundle(name)
    test = task.test_set()
    blocks = len(test.x) // task.block
    rows = (
        np.arange(0, blocks, max(1, blocks // (4000 // task.block)))[:, None] * task.block + np.arange(task.block)
    ).ravel()
    part = Samples(test.x[rows], test.y[rows])
    run = bundle.run(task.raw(part.x))
    np.testing.assert_allclose(run.y, task.solution(part.x, run.raw), rtol=0, atol=1e-14)
    for quantity, error in task.errors(run.y, part.y).items():
        assert 100 * error.relative <= PAPER[trials()[name].task, quantity]["qif"], quantity
    assert bundle.golden.matches(engine.run(bundle.program, bundle.golden.x))
    # Its formula, whose values are compared above, may be written in other steps than the task's.
    host = bundle.network.host
    assert host is not None
    assert task.host is not None
    assert host == zoo.network(name).host
    assert (host.inputs, host.outputs) == (task.host.inputs, task.host.outputs)


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


def test_its_networks_are_described_in_the_users_units() -> None:
    lines = zoo.describe().splitlines()
    assert len(lines) == 2 * len(zoo.names())
    for name, first, second in zip(zoo.names(), lines[::2], lines[1::2], strict=True):
        assert first.startswith(f"{name}: ")
        host = getattr(zoo.network(name), "host", None)
        if host is not None:
            assert f"{host.inputs[0].name} in {host.inputs[0].range}" in second
            assert second.split(" -> ")[1].startswith(host.outputs[0].name)
    assert "digits: 64-" in zoo.describe()
    assert "4 time steps" in zoo.describe()


def test_digits_are_told_apart() -> None:
    """As accurate as docs/results.md says, in the float network's class, from files of 1.5 MB together."""
    bundle, test = zoo.bundle("digits"), digits().test
    x = test.x.astype(float)
    report = check(bundle, x, truth=test.label, bounds=SteppedBounds(classes=0.005, spikes=0.005))
    assert report.ok
    for backend in ("reference", "engine"):
        assert (report.accuracy(backend) or 0) > 0.99
    assert bundle.golden.matches(bundle.run(bundle.golden.x))
    assert bundle.network == zoo.network("digits")
    assert sum((zoo.HOME / f"digits.{kind}").stat().st_size for kind in ("onnx", "qif")) < 1_500_000


@pytest.mark.lava
def test_digits_on_lava() -> None:
    bundle, x = zoo.bundle("digits"), digits().test.x[:100].astype(float)
    assert check(bundle, x, backends=("engine", "lava")).ok


@pytest.mark.parametrize("name", zoo.names())
def test_its_model_has_weights_on_the_8_bit_grid(name: str) -> None:
    """Every weight is an even integer of at most 8 bits times its population's unit, which the bundle knows."""
    network, program = zoo.network(name), zoo.bundle(name).program
    for projection, compiled in zip(network.projections, program.projections, strict=True):
        # Stepped networks have a unit for each channel.
        by_channel = len(projection.weight) if name in zoo.STEPPED else 1
        real, whole = projection.weight.reshape(by_channel, -1), compiled.weight.reshape(by_channel, -1)
        largest = np.abs(whole).argmax(axis=1)[:, None]
        unit = np.take_along_axis(real, largest, 1) / np.take_along_axis(whole, largest, 1)
        # These were trained in float32.
        close = 1e-4 if name in zoo.STEPPED else 1e-9
        np.testing.assert_allclose(real, unit * whole, rtol=0, atol=close * np.abs(unit).max())
    assert qif.WEIGHT_BITS == 8
