"""``model.onnx`` of event-driven networks executes without this library, and equals the reference."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from executed import BOTH, Execute, in_runtime, plainly, version
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import apart, branched, listed, ordinary, published
from numpy.typing import NDArray
from onnx import ModelProto

from qif2hw import reference, zoo
from qif2hw.errors import InputError
from qif2hw.ir import Conv2d, FirstSpike, Network, Projection, Sparse, onnx_io
from qif2hw.ir.host_part.expression import formula
from qif2hw.ir.host_part.expression import given as value
from qif2hw.ir.host_part.formula import BINARY, OPERATORS, UNARY, Constant, Formula, Step
from qif2hw.ir.host_part.host import Host, Input, Output, X, Y
from qif2hw.ir.host_part.receptive_fields import ReceptiveFields
from qif2hw.ir.onnx.graph import ATTRIBUTES, PLAIN_VERSION, VERSION

Array = NDArray[np.float64]
MODELS = Path(__file__).parents[1] / "models"
HOST = Host(
    (Input("depth", -2.0, 3.0, "m"), Input("time", 10.0, 10.5, "s", ReceptiveFields(4))),
    (Output("T", "K"),),
    formula(300 + value(X, 2)[:, :1].exp() * value(Y, 1)),
)
NO_SYNAPSE = Sparse(np.array([0, 0, 2, 2, 2]), np.array([0, 2], np.int32), 3)
NETWORKS: dict[str, Network] = {
    "two layers": ordinary((2, 3, 2)),
    "one layer": ordinary((3, 4)),
    "pseudospikes": published((3, 8, 4)),
    "no spike at all": replace(ordinary((2, 3, 2)), trial=1.96),
    "many spikes": replace(ordinary((3, 5, 2), gain=3.0), trial=70.0),
    "strong": ordinary((3, 20, 4), gain=9.0),
    "two groups, several projections, product": branched(),
    "apart": apart(),
    "first spike of classes": replace(ordinary((2, 5, 4)), outputs=(FirstSpike("output", np.array([2, 0, 3])),)),
    "sparse": listed(branched()),
    "sparse and dense": listed(branched(), slice(0, 2)),
    "no synapse of a source and of a neuron": replace(
        ordinary((3, 4)),
        projections=(Projection("input", "output", np.array([0.5, -1.0]), NO_SYNAPSE),),
    ),
    "host": replace(ordinary((5, 6, 2)), host=HOST),
}


def feed(network: Network, x: Array) -> dict[str, Array]:
    """Inputs by name of the graph's input: columns are those of `Network.columns`."""
    if network.host is not None:
        return {"x": x}
    return {f"x:{name}": np.ascontiguousarray(x[:, columns]) for name, columns in network.columns.items()}


def inputs(network: Network, samples: int, seed: int = 0) -> Array:
    """Inputs in the user's units, both ends of every range among them."""
    u = np.random.default_rng(seed).random((samples, network.width))
    u[:2] = np.array([[0.0], [1.0]])[: len(u)]
    return network.unscaled(u)


@BOTH
@pytest.mark.parametrize("name", NETWORKS)
def test_equals_the_reference(name: str, execute: Execute) -> None:
    network = NETWORKS[name]
    data = onnx_io.to_bytes(network)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    assert onnx_io.from_bytes(data) == network
    x = inputs(network, 9)
    run = reference.run(network, x)
    # An empty test is none: what the names say does happen.
    assert run.ordinary.any() == (name not in ("pseudospikes", "no spike at all"))
    np.testing.assert_allclose(execute(data, feed(network, x)), run.y, rtol=1e-11, atol=1e-11)
    for few in (x[3:4], x[:0]):
        wanted = run.y[3 : 3 + len(few)]
        np.testing.assert_allclose(execute(data, feed(network, few)), wanted, rtol=1e-11, atol=1e-11)


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    seed=st.integers(0, 2**32 - 1),
    gain=st.floats(0.1, 10.0),
    trial=st.floats(2.0, 40.0),
)
def test_any_network_equals_the_reference(sizes: list[int], seed: int, gain: float, trial: float) -> None:
    network = replace(ordinary((*sizes, 2), seed, gain), trial=trial)
    x = inputs(network, 4, seed)
    result = in_runtime(onnx_io.to_bytes(network), feed(network, x))
    # Kinks and steep slopes carry the rounding of a spike time on.
    np.testing.assert_allclose(result, reference.run(network, x).y, rtol=0, atol=1e-9)


@BOTH
@pytest.mark.parametrize("name", zoo.names(stepped=False))
def test_networks_of_the_zoo(name: str, execute: Execute) -> None:
    network = zoo.network(name)
    x = inputs(network, 20)
    result = execute(onnx_io.to_bytes(network), feed(network, x))
    np.testing.assert_allclose(result, reference.run(network, x).y, rtol=0, atol=1e-11)


@BOTH
@pytest.mark.parametrize("name", ["two groups, several projections, product", "host"])
def test_no_result_of_inputs_out_of_range(name: str, execute: Execute) -> None:
    network = NETWORKS[name]
    good = inputs(network, 3)
    x = np.repeat(good[2:3], 5 * network.width + 1, axis=0)
    low, high = network.unscaled(np.zeros((1, network.width)))[0], network.unscaled(np.ones((1, network.width)))[0]
    for column in range(network.width):
        ends = (low[column], high[column])
        wrong = (np.nextafter(ends[0], -np.inf), np.nextafter(ends[1], np.inf), np.nan, np.inf, -np.inf)
        x[5 * column + 1 : 5 * column + 6, column] = wrong
    result = execute(onnx_io.to_bytes(network), feed(network, x))
    assert np.isnan(result[1:]).all()
    np.testing.assert_allclose(result[:1], reference.run(network, x[:1]).y, rtol=1e-11, atol=1e-11)
    for row in x[1:]:
        with pytest.raises(InputError):
            network.check_inputs(row[None])


@BOTH
def test_every_operator_of_a_solution(execute: Execute) -> None:
    """The closed list, on numbers above 1 and below, in float64."""
    steps = [Step("Abs", (Y,), "size"), Step("Add", ("size", "tenth"), "a"), Step("Gather", (X,), "b", (1, 0))]
    steps += [Step(op, ("a",), f"one:{op}") for op in UNARY]
    steps += [Step(op, ("a", "b"), f"two:{op}") for op in BINARY]
    made = [step.output for step in steps[3:]]
    steps += [
        Step("Concat", tuple(made), "all"),
        Step("ReduceSum", ("all",), "sum"),
        Step("Concat", ("all", "sum"), "y:"),
    ]
    assert {step.op for step in steps} == {*OPERATORS}
    columns = tuple(Output(f"{k}") for k in range(2 * len(made) + 1))
    solution = Formula((Constant("tenth", np.array([0.1, 0.2])),), tuple(steps))
    host = Host((Input("a", 0.5, 2.0), Input("b", 0.5, 9.0)), columns, solution)
    network = replace(ordinary((2, 5, 4)), host=host)
    data, x = onnx_io.to_bytes(network), inputs(network, 6)
    assert onnx_io.from_bytes(data) == network
    np.testing.assert_allclose(execute(data, feed(network, x)), reference.run(network, x).y, rtol=1e-11, atol=1e-11)


def test_inlined_it_is_a_graph_of_standard_operators() -> None:
    inliner = pytest.importorskip("onnx.inliner")
    network = NETWORKS["host"]
    plain = inliner.inline_local_functions(onnx.load_from_string(onnx_io.to_bytes(network)))
    assert {node.domain for node in plain.graph.node} == {""}
    x = inputs(network, 5)
    result = in_runtime(plain.SerializeToString(), feed(network, x))
    np.testing.assert_allclose(result, reference.run(network, x).y, rtol=1e-11, atol=1e-11)


def test_nodes_that_share_a_name() -> None:
    """ONNX Runtime refuses these; two projections between the same groups, and a population named as the output."""
    bare = ordinary((2, 3, 2))
    named = replace(
        bare,
        populations=(bare.populations[0], replace(bare.populations[1], name="y")),
        projections=(
            bare.projections[0],
            Projection("hidden1", "y", bare.projections[1].weight),
            Projection("input", "hidden1", np.full((3, 2), 0.25)),
        ),
        outputs=(replace(bare.readouts[0], population="y"),),
    )
    data, x = onnx_io.to_bytes(named), inputs(named, 5)
    assert onnx_io.from_bytes(data) == named
    np.testing.assert_allclose(in_runtime(data, feed(named, x)), reference.run(named, x).y, rtol=0, atol=1e-11)


def test_files_of_version_1_load() -> None:
    """Those in tests/models, none with a host's part, were written before files executed."""
    for path in sorted(MODELS.glob("*-8bit.onnx")):
        assert version(onnx.load(path)) == PLAIN_VERSION
        network = onnx_io.load(path)
        again = onnx.load_from_string(onnx_io.to_bytes(network))
        assert version(again) == VERSION
        assert again.functions
        assert onnx_io.from_bytes(again.SerializeToString()) == network


def test_files_of_version_1_with_a_hosts_part_load() -> None:
    for network in (NETWORKS["host"], zoo.network("burgers_pinn")):
        data = plainly(network)
        assert {node.op_type for node in onnx.load_from_string(data).graph.node if node.domain} <= {*ATTRIBUTES}
        assert onnx_io.from_bytes(data) == network


@BOTH
@pytest.mark.parametrize(
    "kernel",
    [
        Conv2d((1, 2, 2), 2, (1, 1)),
        Conv2d((2, 5, 4), 3, (3, 2), (2, 1), (1, 1)),
        Conv2d((4, 5, 5), 6, (2, 3), (1, 2), (0, 2), (2, 1), groups=2),
    ],
)
def test_convolutions(kernel: Conv2d, execute: Execute) -> None:
    post, pre = kernel.shape
    bare = ordinary((pre, post, 2))
    weight = np.random.default_rng(0).normal(0, 0.5, kernel.weight_shape)
    network = replace(bare, projections=(Projection("input", "hidden1", weight, kernel), bare.projections[1]))
    data, x = onnx_io.to_bytes(network), inputs(network, 4)
    assert onnx_io.from_bytes(data) == network
    np.testing.assert_allclose(execute(data, feed(network, x)), reference.run(network, x).y, rtol=1e-11, atol=1e-11)


def _swap_sources(model: ModelProto) -> None:
    """Events of one group with the phases and weights of another."""
    node = next(n for n in model.graph.node if n.op_type == "Join")
    node.input[0], node.input[4] = node.input[4], node.input[0]


def _wider(model: ModelProto) -> None:
    tensor = next(t for t in model.graph.initializer if t.name.startswith("high:"))
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.array(2.0), tensor.name))


def _unguarded(model: ModelProto) -> None:
    last = model.graph.node[-1]
    assert last.op_type == "InRange"
    last.input[1] = "x:f"
    last.input[2], last.input[3] = "low:x:f", "high:x:f"


@pytest.mark.parametrize("change", [_swap_sources, _wider, _unguarded])
def test_nodes_that_compute_something_else_are_refused(change: Callable[[ModelProto], None]) -> None:
    model = onnx.load_from_string(onnx_io.to_bytes(branched()))
    change(model)
    with pytest.raises(InputError, match="its nodes do not compute the network that they describe"):
        onnx_io.from_bytes(model.SerializeToString())


def test_functions_that_compute_something_else_are_refused() -> None:
    model = onnx.load_from_string(onnx_io.to_bytes(branched()))
    body = next(f for f in model.functions if f.name == "QIF")
    node = next(n for n in body.node if n.op_type == "Sin")
    node.op_type = "Tanh"
    with pytest.raises(InputError, match="its functions are not those of version 2 of the domain 'qif2hw'"):
        onnx_io.from_bytes(model.SerializeToString())


MEASURE = """
import json, sys, time
import numpy as np, onnxruntime
data, x = open(sys.argv[1], "rb").read(), np.load(sys.argv[2])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
begin = time.process_time()
y = session.run(None, {"x": x})[0]
seconds = time.process_time() - begin
np.save(sys.argv[3], y)
# Of this program alone: ru_maxrss is not below what its parent held when it was forked.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([seconds, int(peak.split()[1]) / 1024]))
"""


@pytest.mark.parametrize("name", zoo.names(stepped=False))
def test_a_thousand_samples(name: str, tmp_path: Path) -> None:
    """In a process of its own that has numpy and ONNX Runtime alone."""
    network = zoo.network(name)
    x = inputs(network, 1000)
    model, given_, made = (tmp_path / n for n in ("m.onnx", "x.npy", "y.npy"))
    onnx_io.save(network, model)
    np.save(given_, x)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, model, given_, made], check=True, capture_output=True, text=True
    )
    seconds, megabytes = json.loads(done.stdout)
    np.testing.assert_allclose(np.load(made), reference.run(network, x).y, rtol=0, atol=1e-11)
    assert seconds < 2
    assert megabytes < 1000
