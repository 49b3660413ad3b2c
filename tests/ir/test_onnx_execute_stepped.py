"""``model.onnx`` of networks in time steps executes without this library: spikes and scores of the reference."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from executed import BOTH, Execute, in_runtime, plainly, version
from networks import pooled_images, stepped_images, whole_images, whole_inputs
from numpy.typing import NDArray
from onnx import TensorProto, helper
from sklearn.datasets import load_digits
from slayer_files import write

import qif2hw
from qif2hw import zoo
from qif2hw.discrete import SteppedLIF, SteppedQIF, SteppedSynaptic
from qif2hw.errors import InputError
from qif2hw.ir import Projection, onnx_io
from qif2hw.ir.onnx.graph import VERSION
from qif2hw.ir.stepped import (
    Accumulated,
    Accumulator,
    Frames,
    SteppedNetwork,
    SteppedPopulation,
    SteppedRun,
    Steps,
)
from qif2hw.reference import stepped
from qif2hw_slayer.importer import import_network

Array = NDArray[np.float64]
NEURONS = {
    "exact": SteppedQIF(0.25, 0.0, 0.5),
    "without rest": SteppedQIF(0.25, 0.1 - 0.2j, 0.1 + 0.2j),
    "euler": SteppedQIF.from_spikingjelly(),
    "lif": SteppedLIF(0.6, 0.1, 1.0, -0.2, 0.7),
    "synaptic": SteppedSynaptic(0.5, 0.6, 0.1, 1.0, -0.2, 0.7),
}


def feed(network: SteppedNetwork, x: Array) -> dict[str, Array]:
    """Inputs (samples, steps, inputs) by name of the graph's input."""
    columns = network.columns
    return {f"x:{e.name}": x[:, :, columns[e.name]].reshape(*x.shape[:2], *e.shape) for e in network.encoders}


def spikes_in_runtime(network: SteppedNetwork, data: bytes, x: Array) -> dict[str, NDArray[np.bool_]]:
    """What populations send, (samples, time steps, neurons): values inside of the graph, made outputs."""
    found = {}
    for p in network.populations:
        if p.spiking:
            model = onnx.load_from_string(data)
            value = helper.make_tensor_value_info(f"spikes:{p.name}", TensorProto.DOUBLE, [None, None, None])
            model.graph.output.insert(0, value)
            found[p.name] = in_runtime(model.SerializeToString(), feed(network, x)).transpose(1, 0, 2) > 0
    return found


def frames(network: SteppedNetwork, samples: int, steps: int) -> Array:
    if {e.name for e in network.encoders} == {"image", "events"}:
        return np.asarray(whole_inputs(samples, steps))
    return np.random.default_rng(2).uniform(0, 1, (samples, steps, network.inputs))


def check(network: SteppedNetwork, data: bytes, x: Array, execute: Execute, bound: float) -> SteppedRun:
    """Execute and compare; convolutions are added in float32, so ``bound`` is not 0."""
    run = stepped.run(network, x)
    assert all(0 < fired.mean() < 1 for fired in run.spikes.values())
    result = execute(data, feed(network, x))
    np.testing.assert_allclose(result, run.y, rtol=0, atol=bound)
    assert (result.argmax(axis=1) == run.label).all()
    return run


@BOTH
@pytest.mark.parametrize("name", NEURONS)
@pytest.mark.parametrize("changing", [False, True])
def test_neurons(name: str, changing: bool, execute: Execute) -> None:
    network = stepped_images(NEURONS[name])
    data = onnx_io.to_bytes(network)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    assert onnx_io.any_from_bytes(data) == network
    x = frames(network, 6, network.clock.count if changing else 1)
    run = check(network, data, x, execute, 1e-9)
    np.testing.assert_allclose(execute(data, feed(network, x[:1])), run.y[:1], rtol=0, atol=1e-9)
    assert execute(data, feed(network, x[:0])).shape == (0, 5)
    if execute is in_runtime:
        for population, fired in spikes_in_runtime(network, data, x).items():
            np.testing.assert_array_equal(fired, run.spikes[population])


@BOTH
def test_pooled(execute: Execute) -> None:
    network = pooled_images()
    check(network, onnx_io.to_bytes(network), frames(network, 4, 1), execute, 1e-9)


@BOTH
def test_all_to_all_from_the_inputs(execute: Execute) -> None:
    rng = np.random.default_rng(0)
    network = SteppedNetwork(
        Steps(5),
        (Frames("input", (6,)),),
        (
            SteppedPopulation("hidden", NEURONS["exact"], (8,), rng.normal(0.3, 0.2, 8)),
            SteppedPopulation("scores", Accumulator(), (3,), rng.normal(size=3)),
        ),
        (
            Projection("input", "hidden", rng.normal(size=(8, 6))),
            Projection("hidden", "scores", rng.normal(size=(3, 8))),
        ),
        (Accumulated("scores"),),
    )
    for steps in (1, 5):
        check(network, onnx_io.to_bytes(network), frames(network, 7, steps), execute, 1e-12)


@BOTH
def test_potentials_are_read_out(execute: Execute) -> None:
    neuron = SteppedSynaptic(0.5, 0.8, 0.3, math.inf, -0.1, 0.7)
    network = stepped_images()
    scores = replace(network.populations[2], neuron=neuron)
    network = replace(network, populations=(*network.populations[:2], scores))
    data = onnx_io.to_bytes(network)
    assert onnx_io.any_from_bytes(data) == network
    check(network, data, frames(network, 4, 4), execute, 1e-9)


def test_compiling_refuses_currents_in_one_line() -> None:
    network = stepped_images(NEURONS["synaptic"])
    with pytest.raises(InputError, match="population 'first': neurons with a synaptic current") as caught:
        qif2hw.compile(network, calibration=frames(network, 20, 1)[:, 0])
    assert "\n" not in str(caught.value)


@BOTH
@pytest.mark.parametrize("steps", [1, 12])
def test_integers_are_exact(steps: int, execute: Execute) -> None:
    """CUBA neurons, delays, listed synapses, input groups on a grid."""
    network = whole_images()
    data, x = onnx_io.to_bytes(network), frames(network, 5, steps)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    assert onnx_io.any_from_bytes(data) == network
    run = check(network, data, x, execute, 1e-12)
    if execute is in_runtime:
        for population, fired in spikes_in_runtime(network, data, x).items():
            np.testing.assert_array_equal(fired, run.spikes[population])


@BOTH
def test_a_network_of_slayer(tmp_path: Path, execute: Execute) -> None:
    network = import_network(write(tmp_path / "net.net"))
    x = np.random.default_rng(0).integers(0, 3, (4, network.clock.count, network.inputs)) * 1.0
    run = stepped.run(network, x)
    assert any(fired.any() for fired in run.spikes.values())
    np.testing.assert_array_equal(execute(onnx_io.to_bytes(network), feed(network, x)), run.y)


def test_digits() -> None:
    """The network of the zoo: no potential comes so near to the threshold that float32 changes a spike."""
    network, data = zoo.network("digits"), zoo.model("digits").read_bytes()
    assert version(onnx.load_from_string(data)) == VERSION
    x = (load_digits().images[:500] / 16).reshape(-1, 1, 64)
    run = check(network, data, x, in_runtime, 1e-9)
    for population, fired in spikes_in_runtime(network, data, x[:200]).items():
        np.testing.assert_array_equal(fired, run.spikes[population][:200])


@BOTH
def test_no_result_of_inputs_that_are_refused(execute: Execute) -> None:
    network = whole_images()
    good = frames(network, 1, 1)
    wrong = {0: (np.nan, np.inf, -np.inf, 8.0), 73: (np.nan, -np.inf, 0.5, 8.0)}
    cases = [(column, value) for column, values in wrong.items() for value in values]
    x = np.repeat(good, len(cases) + 1, axis=0)
    for k, (column, value) in enumerate(cases):
        x[k + 1, 0, column] = value
        with pytest.raises(InputError):
            network.check_inputs(x[k + 1 : k + 2])
    with np.errstate(invalid="ignore"):
        result = execute(onnx_io.to_bytes(network), feed(network, x))
    assert np.isnan(result[1:]).all()
    np.testing.assert_allclose(result[:1], stepped.run(network, good).y, rtol=0, atol=1e-12)


def test_files_of_version_1_load() -> None:
    for network in (stepped_images(), whole_images(), zoo.network("digits")):
        assert onnx_io.any_from_bytes(plainly(network)) == network


def test_a_step_that_is_another_neurons_is_refused() -> None:
    model = onnx.load_from_string(onnx_io.to_bytes(stepped_images()))
    numbers = next(t for t in model.graph.initializer if t.name == "step:first")
    changed = onnx.numpy_helper.to_array(numbers).copy()
    changed[2] *= 1.001
    numbers.CopyFrom(onnx.numpy_helper.from_array(changed, numbers.name))
    with pytest.raises(InputError, match="its nodes do not compute the network that they describe"):
        onnx_io.any_from_bytes(model.SerializeToString())
