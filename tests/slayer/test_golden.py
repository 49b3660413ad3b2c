"""Networks that lava-dl's authors trained and recorded: every spike, current and voltage, and on Lava the same."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from slayer_files import wheel_file

import qif2hw
from qif2hw.bundle import SteppedBundle
from qif2hw.engine import stepped as engine
from qif2hw.engine.stepped import spec
from qif2hw.ir.stepped import SteppedNetwork
from qif2hw_slayer.importer import import_network

pytest.importorskip("h5py")

PILOT = {
    "layer0": "input",
    **{f"layer{k + 1}": f"conv-{k}" for k in range(5)},
    **{f"layer{k + 7}": f"fc-{k}" for k in range(3)},
}
"""Recordings of pilotnet_lif by population."""


def kept(name: str) -> NDArray[Any]:
    """A recording, (steps, neurons): netx orders images as width, height, channels."""
    values = np.load(wheel_file(name))
    values = values[0] if values.ndim == 5 else values.transpose(2, 1, 0, 3) if values.ndim == 4 else values
    return values.reshape(-1, values.shape[-1]).T


def compiled(network: SteppedNetwork) -> SteppedBundle:
    bundle = qif2hw.compile(network)
    for p, q in zip(network.projections, bundle.program.projections, strict=True):
        made = q.weight * 2.0**q.exponent * bundle.program.population(p.post).unit[0]
        given = {e.name: e.unit for e in network.encoders}.get(p.pre, 1.0) or 1.0
        assert np.array_equal(made, p.weight * given), "a weight has changed"
    return bundle


def equal(one: Any, other: Any) -> None:
    assert np.array_equal(one.y, other.y)
    assert one.spikes.keys() == other.spikes.keys()
    for name, fired in one.spikes.items():
        assert np.array_equal(fired, other.spikes[name]), name


def registers(bundle: SteppedBundle, x: NDArray[Any]) -> Iterator[spec.State]:
    """What the machine holds after each step of one sample."""
    state = spec.start_of(bundle.program, 1)
    counts = engine.encode(bundle.program, x)
    for _ in range(bundle.program.clock.count):
        state, _, _ = spec.advance(bundle.program, state, counts[:, 0])
        yield state


@pytest.fixture(scope="module")
def pilot() -> tuple[SteppedBundle, NDArray[Any]]:
    """The network as netx runs it, and its image, which netx sets as the bias of the input neurons.

    Samples of the recording have 17 steps, the file says 16.
    """
    network = import_network(wheel_file("gts/pilotnet_lif/network.net"), time_steps=17, inputs="bias")
    return compiled(network), np.load(wheel_file("gts/pilotnet_lif/image.npy")).transpose(2, 1, 0)[None]


def test_pilotnet_spikes_of_every_layer(pilot: tuple[SteppedBundle, NDArray[Any]]) -> None:
    """The recording holds a sample and part of a second one of the same image; layer k is k steps behind."""
    bundle, image = pilot
    run = bundle.run(np.repeat(image, 2, axis=0))
    equal(run, bundle.run(np.repeat(image, 2, axis=0), "reference"))
    for depth, (name, file) in enumerate(PILOT.items()):
        recorded = kept(f"gts/pilotnet_lif/{file}.npy")[depth:]
        ours = np.concatenate(run.spikes[name])[: len(recorded)]
        assert len(ours) >= 16
        assert np.array_equal(ours, recorded > 0), name
        assert recorded.any()


def test_pilotnet_currents_and_voltages(pilot: tuple[SteppedBundle, NDArray[Any]]) -> None:
    """Where a neuron has spiked, the recording has a marker of the chip in place of the voltage."""
    bundle, image = pilot
    fired = bundle.run(image).spikes
    states = list(registers(bundle, image))
    compared = 0
    for depth, (name, file) in enumerate(PILOT.items()):
        if name == "layer0":  # Recorded are its spikes alone.
            continue
        u, v = (kept(f"gts/pilotnet_lif/{file}-{which}.npy")[depth:] for which in "uv")
        for n, state in enumerate(states[: len(u)]):
            voltage, current = state.registers[name][:, 0]
            silent = ~fired[name][0, n]
            assert np.array_equal(current, u[n]), (name, n)
            assert np.array_equal(voltage[silent], v[n][silent]), (name, n)
            compared += silent.sum()
    assert compared > 1_500_000


def test_pilotnet_reads_the_voltage_of_its_last_neuron(pilot: tuple[SteppedBundle, NDArray[Any]]) -> None:
    """By hand, from the spikes of the layer before.  (Its own recording is of another run than theirs.)"""
    bundle, image = pilot
    run = bundle.run(image)
    last = bundle.network.projections[-1]
    assert run.y[0, 0] == (run.spikes["layer9"][0].sum(axis=0) @ last.weight.ravel())
    recorded, own = kept("gts/pilotnet_lif/fc-3-u.npy")[1:25, 0], kept("gts/pilotnet_lif/fc-2.npy")
    assert not np.array_equal(recorded, 64 * (own @ last.weight.ravel()))


def tiny() -> tuple[SteppedBundle, NDArray[Any]]:
    network = import_network(wheel_file("tiny.net"), time_steps=16, inputs="bias")
    return compiled(network), np.load(wheel_file("gts/tinynet/input_bias.npy")).transpose(2, 1, 0)[None]


def test_tinynet() -> None:
    """Spikes of every layer and the weighted sums of the first convolution; all are recorded from the second step."""
    bundle, image = tiny()
    run = bundle.run(image)
    for name, file in {"layer0": "input", "layer1": "layer1", "layer2": "output"}.items():
        recorded = kept(f"gts/tinynet/{file}.npy")
        assert np.array_equal(run.spikes[name][0, :15], recorded[1:] > 0), name
        assert recorded.any()
    currents = [state.registers["layer1"][1, 0] / 64 for state in registers(bundle, image)]
    assert np.array_equal(currents[:15], kept("gts/tinynet/current.npy")[1:])
    assert np.array_equal(run.y[0], run.spikes["layer2"][0].sum(axis=0) * (1 / 16))


def ntidigits() -> tuple[SteppedBundle, NDArray[Any]]:
    network = import_network(wheel_file("gts/ntidigits/ntidigits.net"))
    return compiled(network), kept("gts/ntidigits/input.npy")[None]


def test_ntidigits_with_delays() -> None:
    """242 neurons and 3000 steps, after two layers with delays of up to 62; the recording is four steps behind."""
    bundle, x = ntidigits()
    delays = [p.delay for p in bundle.network.projections]
    assert [None if d is None else int(d.max()) for d in delays] == [None, 62, 62, None]
    run = bundle.run(x)
    equal(run, bundle.run(x, "reference"))
    recorded = kept("gts/ntidigits/output.npy") > 0
    assert recorded.shape == (3000, 242)
    assert np.array_equal(run.spikes["layer4"][0, :-4], recorded[4:])
    assert not recorded[:4].any()
    assert recorded.sum() > 20_000
    # The average layer: rates of eleven groups of 22 neurons.
    groups = run.spikes["layer4"][0].reshape(3000, 11, 22).mean(axis=(0, 2))
    np.testing.assert_allclose(run.y[0], groups, rtol=1e-12)


def mnist() -> tuple[SteppedBundle, NDArray[Any]]:
    return compiled(import_network(wheel_file("mnist.net"))), np.random.default_rng(0).uniform(-1, 1, (6, 784))


def test_mnist() -> None:
    """Its last layer has no neuron: the result is what reaches it, per step."""
    bundle, x = mnist()
    run = bundle.run(x)
    equal(run, bundle.run(x, "reference"))
    for fired in run.spikes.values():
        assert 0.01 < fired.mean() < 0.9
    weight = bundle.network.projections[-1].weight
    assert weight.shape == (10, 512)
    np.testing.assert_allclose(run.y, run.spikes["layer2"].mean(axis=1) @ weight.T, rtol=1e-12)


@pytest.mark.lava
@pytest.mark.parametrize("name", ["pilot", "tiny", "ntidigits", "mnist"])
def test_lava_is_the_engine(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Fused, the file's network read back from its bundle; several samples, so that none may leak into the next."""
    bundle, x = request.getfixturevalue("pilot") if name == "pilot" else globals()[name]()
    again = qif2hw.load(bundle.save(tmp_path / "m.qif"))
    x = np.concatenate([x, x, np.zeros_like(x[:1])])
    equal(again.run(x, "lava"), bundle.run(x))


@pytest.mark.long
@pytest.mark.lava
def test_mnist_on_netx() -> None:
    """Spikes of every layer, three samples back to back; netx takes the biases of the input neurons, whole numbers.

    netx gives the last layer a neuron that adds its input up, without decay, to a threshold that is out of reach here.
    """
    pytest.importorskip("lava.lib.dl.netx", reason="lava-dl needs Python 3.10")
    from qif2hw_slayer import netx_run

    network = import_network(wheel_file("mnist.net"), inputs="bias")
    x = np.random.default_rng(0).integers(-60, 120, (3, 784))
    run = compiled(network).run(x)
    layers = netx_run.run(wheel_file("mnist.net"), x)
    assert len(layers) == 4
    for name, fired in zip(["layer0", "layer1", "layer2"], layers, strict=False):
        assert fired.any(axis=(1, 2)).all()
        assert np.array_equal(fired, run.spikes[name]), name
    received = run.spikes["layer2"].astype(float) @ network.projections[-1].weight.T
    assert not layers[3].any()
    assert 0 < np.abs(np.cumsum(received, axis=1)).max() < 1 << 17
