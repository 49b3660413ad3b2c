"""Networks as ONNX files: read back equal, and everything else refused in one line."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import branched, listed, ordinary
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from qif2hw.errors import InputError
from qif2hw.files import read_bytes
from qif2hw.ir import Encoder, Network, Population, Product, Projection, Readout, onnx_io
from qif2hw.neuron import QIF

reals = st.floats(-1e6, 1e6)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Any network: branches, joins, several projections between two groups, several outputs and products."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    trial = draw(st.floats(1e-3, 1e3))
    # Surrogates are no UTF-8, which a protocol buffer needs.
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    count = draw(st.integers(2, 7))
    names = draw(st.lists(text, min_size=count, max_size=count, unique=True))
    inputs = draw(st.integers(1, count - 1))
    encoders = tuple(
        Encoder(name, draw(st.integers(1, 3)), trial * 0.1, trial * draw(st.floats(0.2, 0.9)))
        for name in names[:inputs]
    )
    size = {e.name: e.size for e in encoders}
    populations, projections = [], []
    for k, name in enumerate(names[inputs:], start=inputs):
        neuron = QIF(draw(st.floats(0.1, 10)), draw(st.floats(0.26, 10)))
        size[name] = draw(st.integers(1, 4))
        populations.append(Population(name, neuron, rng.uniform(0, 0.999, size[name]) * neuron.period))
        for pre in draw(st.lists(st.sampled_from(names[:k]), min_size=1, max_size=3)):
            projections.append(Projection(pre, name, rng.normal(size=(size[name], size[pre]))))

    def readout(outputs: int) -> Readout:
        name = draw(st.sampled_from(names[inputs:]))
        start, stop = rng.integers(0, size[name], (2, outputs))
        return Readout(name, start, stop, rng.normal(size=outputs), rng.normal(size=outputs))

    outputs: list[Readout | Product] = []
    for kind in draw(st.lists(st.booleans(), min_size=1, max_size=3)):
        if kind:
            outputs.append(readout(draw(st.integers(1, 3))))
        else:
            outputs.append(Product(readout(2), readout(2), draw(reals), draw(reals)))
    order = draw(st.permutations(range(len(populations))))
    places = draw(st.permutations(range(len(projections))))
    return Network(
        trial=trial,
        encoders=encoders,
        populations=tuple(populations[k] for k in order),
        projections=tuple(projections[k] for k in places),
        outputs=tuple(outputs),
    )


@settings(max_examples=150, deadline=None)
@given(network=networks())
def test_reads_back_equal(network: Network) -> None:
    data = onnx_io.to_bytes(network)
    again = onnx_io.from_bytes(data)
    assert again == network
    assert onnx_io.to_bytes(again) == data


def test_file(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    network = listed(branched(), slice(0, 1))
    onnx_io.save(network, path)
    assert onnx_io.load(path) == network
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert {node.op_type for node in model.graph.node if node.domain == "qif2hw"} == {
        *("Encode", "QIF", "Synapses", "SparseSynapses", "FirstSpikeDifference", "Product"),
        *("Join", "Spikes", "FirstSpikes", "InRange"),
    }
    for tensor in model.graph.initializer:
        assert tensor.data_type == (TensorProto.INT64 if tensor.name.startswith("ind") else TensorProto.DOUBLE)
    assert [i.name for i in model.graph.input] == ["x:f", "x:x"]


def model_of(network: Network) -> ModelProto:
    return ModelProto.FromString(onnx_io.to_bytes(network))


def node(model: ModelProto, op: str, k: int = 0) -> NodeProto:
    return [n for n in model.graph.node if n.op_type == op][k]


def attribute(model: ModelProto, op: str, name: str, k: int = 0) -> AttributeProto:
    return next(a for a in node(model, op, k).attribute if a.name == name)


def put(attribute: AttributeProto, value: object) -> None:
    attribute.t.CopyFrom(numpy_helper.from_array(np.asarray(value)))


def set_weight(model: ModelProto, change: Callable[[np.ndarray], np.ndarray]) -> None:
    tensor = next(t for t in model.graph.initializer if t.name.startswith("weight"))
    new = change(numpy_helper.to_array(tensor).copy())
    tensor.CopyFrom(numpy_helper.from_array(new, tensor.name))


def nan_at_0_0(weight: np.ndarray) -> np.ndarray:
    weight[0, 0] = np.nan
    return weight


def drop(model: ModelProto, op: str, name: str) -> None:
    node(model, op).attribute.remove(attribute(model, op, name))


WRONG: dict[str, tuple[Callable[[ModelProto], object], str]] = {
    "nan": (lambda m: set_weight(m, nan_at_0_0), r"weight of projection .* holds nan at \[0, 0\]"),
    "shapes": (lambda m: set_weight(m, lambda w: w.T), r"shape \(2, 3\), \(post, pre\) = \(3, 2\)"),
    "float32": (lambda m: set_weight(m, lambda w: w.astype(np.float32)), "must be float64"),
    "i0": (lambda m: put(attribute(m, "QIF", "i0"), 0.25), "I0 = 0.25: .* above 1/4"),
    "tau": (lambda m: put(attribute(m, "QIF", "tau"), -1.0), "tau = -1"),
    "tau of a vector": (lambda m: put(attribute(m, "QIF", "tau"), [1.0]), "one number is needed"),
    "i0 float32": (lambda m: put(attribute(m, "QIF", "i0"), np.float32(2)), "must be float64"),
    "early": (lambda m: put(attribute(m, "Encode", "earliest"), 0.0), r"inside the trial \(0, 6.5\)"),
    "late": (lambda m: put(attribute(m, "Encode", "latest"), 6.5), r"inside the trial \(0, 6.5\)"),
    "backwards": (lambda m: put(attribute(m, "Encode", "latest"), 0.01), "the first must be smaller"),
    "trials": (lambda m: put(attribute(m, "QIF", "trial"), 7.0), "2 different trial lengths"),
    "no tau": (lambda m: drop(m, "QIF", "tau"), "QIF 'hidden1': the attribute 'tau' is missing"),
    "no trial": (lambda m: drop(m, "QIF", "trial"), "the attribute 'trial' is missing"),
    "no scale": (lambda m: drop(m, "FirstSpikeDifference", "scale"), "the attribute 'scale' is missing"),
    "no earliest": (lambda m: drop(m, "Encode", "earliest"), "Encode 'input': the attribute 'earliest'"),
    "unknown attribute": (
        lambda m: node(m, "QIF").attribute.append(helper.make_attribute("leak", 1.0)),
        "unknown attribute 'leak'",
    ),
    "same index": (lambda m: setattr(attribute(m, "QIF", "index", 1), "i", 0), "integer of its own"),
    "neuron": (lambda m: attribute(m, "FirstSpikeDifference", "stop").ints.__setitem__(0, 5), "names neuron 5 of 2"),
    "operator": (lambda m: setattr(node(m, "QIF"), "op_type", "LIF"), "LIF 'hidden1': not an operator"),
    "foreign operator": (
        lambda m: m.graph.node.append(helper.make_node("Relu", ["y"], ["z"], name="r")),
        "Relu 'r': not an operator of a QIF network",
    ),
    "swapped inputs": (
        lambda m: node(m, "Synapses").input.__setitem__(slice(None), list(node(m, "Synapses").input)[::-1]),
        "must come from Encode or QIF",
    ),
    "no input": (lambda m: m.graph.input.pop(), "not a valid ONNX model"),
    "external": (
        lambda m: setattr(m.graph.initializer[0], "data_location", TensorProto.EXTERNAL),
        "stored in another file",
    ),
    "version": (lambda m: setattr(m.opset_import[1], "version", 3), "version 3 of the domain 'qif2hw'"),
    "short": (lambda m: m.graph.initializer[0].dims.__setitem__(0, 10**12), "not a valid ONNX|holds 6 values"),
    "negative": (lambda m: m.graph.initializer[0].dims.__setitem__(0, -3), "not a valid ONNX|holds 6 values"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_models_are_refused(case: str) -> None:
    change, message = WRONG[case]
    model = model_of(ordinary((2, 3, 2)))
    change(model)
    with pytest.raises(InputError, match=message) as caught:
        onnx_io.from_bytes(model.SerializeToString(), "some.onnx")
    assert str(caught.value).startswith("some.onnx: ")
    assert "\n" not in str(caught.value)


def test_onnx_of_something_else() -> None:
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["y"])],
        "mlp",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(np.ones((2, 3), np.float32), "w")],
    )
    data = helper.make_model(graph).SerializeToString()
    with pytest.raises(InputError, match=r"of no QIF network \(its operators: Gemm, Relu\)"):
        onnx_io.from_bytes(data)


@pytest.mark.parametrize("data", [b"", b"hello, this is no model", b"\x80\x04K\x01.", bytes(100), b"\xff" * 64])
def test_no_onnx_file(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"x\.onnx: not an ONNX file"):
        onnx_io.load(path)


def test_unreadable(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        onnx_io.load(tmp_path / "missing.onnx")
    with pytest.raises(InputError, match="this is a folder"):
        onnx_io.load(tmp_path)
    path = tmp_path / "large"
    path.write_bytes(bytes(101))
    with pytest.raises(InputError, match="larger than the limit of 100 bytes"):
        read_bytes(path, 100)


@settings(max_examples=300, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
def test_damage_is_an_input_error_or_a_network(place: float, bit: int, cut: bool) -> None:
    data = bytearray(SMALL)
    at = int(place * len(data))
    if cut:
        del data[at:]
    else:
        data[at] ^= 1 << bit
    with suppress(InputError):
        assert isinstance(onnx_io.from_bytes(bytes(data)), Network)


SMALL = onnx_io.to_bytes(ordinary((1, 2, 2)))
