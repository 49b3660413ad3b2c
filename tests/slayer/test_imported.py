"""Files of networks trained here in SLAYER, QIF and CUBA: imported, every spike of every layer is SLAYER's."""

from collections.abc import Callable

import h5py
import numpy as np
import pytest

import qif2hw
from qif2hw.ir.stepped import SteppedPopulation
from qif2hw_slayer.importer import import_network

pytest.importorskip("lava.lib.dl.slayer", reason="lava-dl needs Python 3.10")


@pytest.mark.parametrize("name", ["exact", "euler", "cuba"])
def test_every_spike(name: str, trained: Callable) -> None:  # type: ignore[type-arg]
    made = trained(name)
    network = import_network(made.path)
    bundle = qif2hw.compile(network)
    run = bundle.run(made.x)
    names = [p.name for p in network.populations[:-1]]
    assert len(names) == len(made.layers)
    for population, fired in zip(names, made.layers, strict=True):
        assert np.array_equal(run.spikes[population], fired), population
    steps = network.clock.count
    assert np.array_equal(run.y, made.layers[-1].sum(axis=1) * (1 / steps))
    for p, q in zip(network.projections, bundle.program.projections, strict=True):
        assert np.array_equal(q.weight * 2.0**q.exponent * bundle.program.population(p.post).unit[0], p.weight)


@pytest.mark.lava
@pytest.mark.parametrize("name", ["exact", "euler", "cuba"])
def test_lava_is_the_engine(name: str, trained: Callable) -> None:  # type: ignore[type-arg]
    made = trained(name)
    bundle = qif2hw.compile(import_network(made.path))
    run, expected = bundle.run(made.x, "lava"), bundle.run(made.x)
    assert np.array_equal(run.y, expected.y)
    for population, fired in expected.spikes.items():
        assert np.array_equal(run.spikes[population], fired)


@pytest.mark.parametrize(("name", "key"), [("exact", "coupling"), ("exact", "decay"), ("euler", "curvature")])
def test_integers_that_are_not_those_of_the_parameters_are_refused(
    name: str,
    key: str,
    trained: Callable,  # type: ignore[type-arg]
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("changed") / "a.net"
    path.write_bytes(trained(name).path.read_bytes())
    with h5py.File(path, "a") as file:
        value = file[f"layer/1/neuron/{key}"]
        value[...] = value[()] + 1
    with pytest.raises(
        qif2hw.InputError, match=rf"layer 1 \(\w+\): '{key}' of its neuron is \d+, its parameters give \d+"
    ):
        import_network(path)


def test_units(trained: Callable) -> None:  # type: ignore[type-arg]
    """A count of the state is that of SLAYER, 1/4096; the float network has SLAYER's parameters."""
    first: SteppedPopulation = import_network(trained("exact").path).populations[0]
    assert first.unit == 1 / 4096
    assert (first.neuron.threshold, first.neuron.reset, first.neuron.kind) == (70 / 64, -0.1, "exact")  # type: ignore[union-attr]
