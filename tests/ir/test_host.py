"""The host's part: ranges, receptive fields and solutions, in every execution and every file."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import branched, ordinary

import qif2hw
from qif2hw import engine, reference
from qif2hw.errors import InputError
from qif2hw.ir import Network, onnx_io
from qif2hw.ir.host_part.expression import formula
from qif2hw.ir.host_part.expression import given as value
from qif2hw.ir.host_part.host import Host, Input, Output, X, Y
from qif2hw.ir.host_part.onnx_host import KEY
from qif2hw.ir.host_part.receptive_fields import ReceptiveFields
from qif2hw.ir.onnx.execute_trial import TRIAL_FORM
from qif2hw.parity import check

MODELS = Path(__file__).parents[1] / "models"
HEAT = Host(
    (Input("x", -2.0, 3.0, "m"), Input("t", 10.0, 10.5, "s")),
    (Output("T", "K"),),
    formula(300 + value(X, 2)[:, :1].exp() * value(Y, 1)),
)


@st.composite
def hosts(draw: st.DrawFn, channels: int, results: int) -> Host:
    """Any host's part for a network of so many channels and results."""
    text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
    inputs: list[Input] = []
    while channels:
        count = draw(st.sampled_from([1, *range(2, channels + 1)]))
        fields = None if count == 1 else ReceptiveFields(count, draw(st.floats(0.1, 9)))
        low = draw(st.floats(-1e6, 1e6))
        inputs.append(Input(f"{len(inputs)}{draw(text)}", low, low + draw(st.floats(1, 1e6)), draw(text), fields))
        channels -= count
    if draw(st.booleans()):
        return Host(tuple(inputs), tuple(Output(f"{k}", draw(text)) for k in range(results)))
    x, y = value(X, len(inputs)), value(Y, results)
    made = (0.5 * x[:, :1] + draw(st.floats(-9, 9))).sin() * y
    return Host(tuple(inputs), tuple(Output(f"{k}", draw(text)) for k in range(results)), formula(made))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_model_reads_back_equal(data: st.DataObject) -> None:
    bare = data.draw(st.sampled_from([ordinary((3, 4, 4)), branched(), ordinary((1, 2, 2))]))
    network = replace(bare, host=data.draw(hosts(bare.inputs, bare.results)))
    written = onnx_io.to_bytes(network)
    onnx.checker.check_model(onnx.load_from_string(written))
    again = onnx_io.from_bytes(written)
    assert again == network
    assert onnx_io.to_bytes(again) == written
    assert onnx_io.from_bytes(onnx_io.to_bytes(bare)) == bare != network


def test_every_execution_takes_raw_inputs_and_gives_the_solution(tmp_path: Path) -> None:
    bare = ordinary((2, 6, 2))
    network = replace(bare, host=HEAT)
    bundle = qif2hw.compile(network, steps=128, rounding="nearest")
    u = np.random.default_rng(0).random((9, 2))
    x = np.array([-2.0, 10.0]) + u * np.array([5.0, 0.5])
    plain = qif2hw.compile(bare, steps=128, rounding="nearest")
    assert bundle.program == replace(plain.program, host=HEAT)
    for name in ("engine", "reference"):
        run, scaled = bundle.run(x, name), plain.run(u, name)
        np.testing.assert_allclose(run.raw, scaled.y, rtol=0, atol=1e-12)
        np.testing.assert_allclose(run.y[:, 0], 300 + np.exp(x[:, 0]) * run.raw[:, 0], rtol=1e-14)
        assert scaled.raw is scaled.y
    np.testing.assert_array_equal(engine.run(bundle.program, x).y, bundle.run(x).y)
    np.testing.assert_array_equal(reference.run(network, x).y, bundle.run(x, "reference").y)
    loaded = qif2hw.load(bundle.save(tmp_path / "m.qif"))
    assert loaded == bundle
    assert bundle.golden.matches(bundle.run(bundle.golden.x))
    outcome = check(bundle, x, truth=bundle.run(x).y)
    assert outcome.ok
    assert outcome.result("engine", "truth").largest == 0  # type: ignore[union-attr]
    np.testing.assert_array_equal(outcome.runs["float"].y, reference.run(network, x).y)


def test_receptive_fields_are_channels_of_their_own() -> None:
    fields = ReceptiveFields(3, 0.8)
    host = Host((Input("a", 1.0, 5.0, fields=fields), Input("b")), (Output("y"),))
    bare = ordinary((4, 5, 2))
    network = replace(bare, host=host)
    x = np.array([[2.0, 0.25], [5.0, 1.0], [1.0, 0.0]])
    given = [[*(math.exp(-(((a - 1) / 4 - c) ** 2) / (2 * 0.4**2)) for c in (0, 0.5, 1)), b] for a, b in x]
    np.testing.assert_allclose(network.encoded(x), given, rtol=1e-14)
    assert (network.inputs, network.width) == (4, 2)
    bundle = qif2hw.compile(network, steps=128, rounding="nearest")
    assert bundle.golden.x.shape == (17, 2)
    plain = qif2hw.compile(bare, steps=128, rounding="nearest")
    np.testing.assert_array_equal(bundle.run(x).y, plain.run(network.encoded(x)).y)
    assert check(bundle, x).ok


@pytest.mark.parametrize("name", ["engine", "reference"])
def test_one_message_about_inputs_out_of_range(name: str) -> None:
    bundle = qif2hw.compile(replace(ordinary((2, 3, 2)), host=HEAT), steps=64, rounding="nearest")
    x = np.array([[0.0, 10.0], [0.0, 10.500000000000002]])
    place, ends = r"inputs hold 10.500000000000002 at \[1, 1\]", r"'t' lies in \[10.0, 10.5\] s"
    message = rf"{place}: {ends} \(with clip it becomes the nearest end\)"
    with pytest.raises(InputError, match=message):
        bundle.run(x, name)
    clipped = bundle.run(x, name, clip=True)
    np.testing.assert_array_equal(clipped.y, bundle.run(np.minimum(x, 10.5), name).y)
    for wrong in (math.nan, math.inf):
        with pytest.raises(InputError, match=f"inputs hold {wrong!r} at"):
            bundle.run(np.array([[0.0, wrong]]), name, clip=True)
    with pytest.raises(InputError, match=r"shape \(1, 3\): \(samples, 2\) is needed"):
        bundle.run(np.zeros((1, 3)), name)


def test_a_model_without_a_hosts_part_is_as_before() -> None:
    network = onnx_io.load(MODELS / "ripple.onnx")
    assert network.host is None
    x = np.random.default_rng(0).random((3, network.inputs))
    run = reference.run(network, x)
    assert run.y is run.raw
    with pytest.raises(InputError, match=r"inputs hold -0.1 at \[0, 0\]: every value must be scaled to \[0, 1\]"):
        reference.run(network, np.full((1, network.inputs), -0.1))
    before, after = onnx.load(MODELS / "ripple.onnx"), onnx.load_from_string(onnx_io.to_bytes(network))
    assert TRIAL_FORM.plain(after.graph.node) == list(before.graph.node)
    assert list(after.graph.input) == list(before.graph.input)
    assert list(after.graph.initializer)[: len(before.graph.initializer)] == list(before.graph.initializer)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Input("x", 1.0, 1.0), "'x' has the range"),
        (lambda: Input("x", 0.0, math.inf), "'x' has the range"),
        (lambda: Host((), (Output("y"),)), "inputs are named nothing"),
        (lambda: Host((Input("a"), Input("a")), (Output("y"),)), "inputs are named a, a"),
        (lambda: Host((Input("a"),), (Output(""),)), "each needs a name"),
        (lambda: replace(ordinary((1, 2, 2)), host=HEAT), "inputs have 2 channels, the network has 1"),
        (lambda: replace(ordinary((2, 2, 4)), host=HEAT), None),
        (lambda: replace(ordinary((1, 2, 2)), host=Host((Input("a"),), (Output("y"), Output("z")))), "makes 1 columns"),
        (lambda: ReceptiveFields(1), "a number from 2 to"),
        (lambda: ReceptiveFields(2, math.inf), "positive number"),
    ],
)
def test_impossible_parts_are_refused(make: "object", message: str | None) -> None:
    with pytest.raises(InputError, match=message):
        make()  # type: ignore[operator]


def edited(change: "object") -> bytes:
    model = onnx.load_from_string(onnx_io.to_bytes(replace(branched(), host=_branched_host())))
    change(model)  # type: ignore[operator]
    return bytes(model.SerializeToString())


def _branched_host() -> Host:
    bare = branched()
    inputs = tuple(Input(f"x{k}", -1.0, 1.0) for k in range(bare.inputs))
    x, y = value(X, bare.inputs), value(Y, bare.results)
    return Host(inputs, tuple(Output(f"y{k}") for k in range(bare.results)), formula(y * x[:, :1] + 1))


def _node(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.name.startswith(name))


def _about(model: onnx.ModelProto, **change: object) -> None:
    entry = next(entry for entry in model.metadata_props if entry.key == KEY)
    entry.value = json.dumps(json.loads(entry.value) | change)


_INPUT = {"name": "a", "unit": "", "low": 0.0, "high": 1.0}

WRONG = {
    "operator": (
        lambda m: setattr(_node(m, "solve:v2"), "op_type", "Pow"),
        "Pow 'solve:v2': the host computes none but",
    ),
    "other scaling": (lambda m: setattr(_node(m, "encode:v1"), "op_type", "Mul"), "not those that its inputs"),
    "other order": (lambda m: m.graph.node.insert(0, m.graph.node.pop(1)), None),
    "no metadata": (lambda m: m.metadata_props.pop(), "not an operator of a QIF network"),
    "text": (lambda m: setattr(m.metadata_props[0], "value", "{"), "are not as this version writes them"),
    "inputs": (lambda m: _about(m, inputs=[{"name": "a", "size": 3}]), "are not as this version writes them"),
    "more": (lambda m: _about(m, more=1), "are not as this version writes them"),
    "units": (lambda m: _about(m, outputs=[{"name": "a", "unit": 3}]), "are not as this version writes them"),
    "range": (lambda m: _about(m, inputs=[{"name": "a", "low": 1, "high": 0, "unit": ""}]), "must have a length"),
    "fields": (
        lambda m: _about(m, inputs=[_INPUT | {"fields": {"count": 2.5, "overlap": 1.0}}]),
        "2.5 receptive fields",
    ),
    "many fields": (
        lambda m: _about(m, inputs=[_INPUT | {"fields": {"count": 1 << 40, "overlap": 1.0}}]),
        "receptive fields",
    ),
    "outputs": (lambda m: _about(m, outputs=[{"name": "a", "unit": ""}]), "names 1 outputs"),
    "stray node": (
        lambda m: m.graph.node.append(onnx.helper.make_node("Neg", ["x"], ["z"], name="stray")),
        "Neg 'stray': it is part of neither",
    ),
    "attribute": (lambda m: _node(m, "solve:").attribute.append(onnx.helper.make_attribute("axis", 0)), None),
}


@pytest.mark.parametrize("what", WRONG)
def test_files_with_other_nodes_are_refused(what: str) -> None:
    change, message = WRONG[what]
    with pytest.raises(InputError, match=message):
        onnx_io.from_bytes(edited(change))


def test_two_parts_of_a_bundle_agree() -> None:
    bundle = qif2hw.compile(replace(ordinary((2, 3, 2)), host=HEAT), steps=64, rounding="nearest")
    other: Network = replace(bundle.network, host=None)
    with pytest.raises(InputError, match="different parts for the host"):
        replace(bundle, network=other)
