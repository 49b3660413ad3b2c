"""Formulas as data: against numpy, as ONNX computes them, and what is refused."""

import math

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator

from qif2hw.errors import InputError
from qif2hw.ir.host_part import onnx_host
from qif2hw.ir.host_part.expression import Expression, formula, side_by_side, total
from qif2hw.ir.host_part.expression import given as value
from qif2hw.ir.host_part.formula import BINARY, OPERATORS, UNARY, Constant, Formula, Step
from qif2hw.ir.onnx.graph import GraphWriter


@st.composite
def formulas(draw: st.DrawFn) -> Formula:
    """Any formula of x (samples, 3) and y (samples, 2)."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    widths, constants, steps = {"x": 3, "y": 2}, [], []
    for k in range(draw(st.integers(1, 12))):
        op = draw(st.sampled_from(OPERATORS))
        first = draw(st.sampled_from(sorted(widths)))
        inputs, columns, width = [first], (), widths[first]
        if op in BINARY:
            fits = [name for name in sorted(widths) if 1 in (widths[name], width) or widths[name] == width]
            if draw(st.booleans()):
                size = draw(st.sampled_from([(), (width,)]))
                constants.append(Constant(f"c{len(constants)}", rng.normal(size=size)))
                inputs.insert(draw(st.integers(0, 1)), constants[-1].name)
            else:
                inputs.append(draw(st.sampled_from(fits)))
                width = max(width, widths[inputs[1]])
        elif op == "Concat":
            inputs += draw(st.lists(st.sampled_from(sorted(widths)), max_size=2))
            width = sum(widths[name] for name in inputs)
        elif op == "Gather":
            columns = tuple(draw(st.lists(st.integers(0, width - 1), min_size=1, max_size=4)))
            width = len(columns)
        elif op == "ReduceSum":
            width = 1
        steps.append(Step(op, tuple(inputs), f"v{k}", columns))
        widths[f"v{k}"] = width
    return Formula(tuple(constants), tuple(steps))


@settings(max_examples=100, deadline=None)
@given(made=formulas(), samples=st.integers(1, 4), seed=st.integers(0, 99))
def test_onnx_computes_the_same(made: Formula, samples: int, seed: int) -> None:
    """The oracle is onnx's own evaluator, on the nodes that go into files."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(samples, 3)), rng.normal(size=(samples, 2))
    graph = GraphWriter()
    onnx_host._write(graph, made, "f:", {"x": "x", "y": "y"}, "result")
    inputs = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.DOUBLE, ["n", w]) for n, w in (("x", 3), ("y", 2))]
    output = onnx.helper.make_tensor_value_info("result", onnx.TensorProto.DOUBLE, ["n", "columns"])
    body = onnx.helper.make_graph(graph.nodes, "f", inputs, [output], graph.tensors)
    model = onnx.helper.make_model(body, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    with np.errstate(all="ignore"):
        (expected,) = ReferenceEvaluator(model).run(None, {"x": x, "y": y})
    found = made.evaluate({"x": x, "y": y})
    assert found.shape == expected.shape == (samples, made.columns({"x": 3, "y": 2}))
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=0)
    # A row alone has the same bits.
    np.testing.assert_array_equal(made.evaluate({"x": x[:1], "y": y[:1]}), found[:1])


def test_the_list_is_what_it_says() -> None:
    assert set(OPERATORS) == {*UNARY, *BINARY, "Concat", "Gather", "ReduceSum"}


def test_arithmetic_makes_a_formula() -> None:
    x, y = value("x", 2), value("y", 1)
    a, b = x[:, :1], x[:, 1:]
    result = side_by_side(
        [
            a.sin() * b.cos() - 2 / (3 - y),
            total(x.square()) + np.array([0.5]) * a.exp(),
            -(b.abs() + 1).log().sqrt() / 2 - a.tanh(),
        ]
    )
    made = formula(result)
    u = np.random.default_rng(0).uniform(-1, 1, (7, 2))
    v = np.random.default_rng(1).uniform(-1, 1, (7, 1))
    p, q = u[:, 0], u[:, 1]
    expected = [
        np.sin(p) * np.cos(q) - 2 / (3 - v[:, 0]),
        p**2 + q**2 + 0.5 * np.exp(p),
        -np.sqrt(np.log(np.abs(q) + 1)) / 2 - np.tanh(p),
    ]
    np.testing.assert_allclose(made.evaluate({"x": u, "y": v}), np.stack(expected, axis=1), rtol=1e-14, atol=1e-15)
    # What is used twice is computed once.
    assert sum(step.op == "Gather" for step in made.steps) == 2


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([], "without a step"),
        ([Step("Erf", ("x",), "a")], "operator Erf: the host computes none but these of ONNX: Abs, Add"),
        ([Step("Neg", ("x",), "a"), Step("Neg", ("x",), "a")], "'a' is used twice"),
        ([Step("Neg", ("x",), "x")], "'x' is used twice"),
        ([Step("Neg", ("z",), "a")], "Neg 'a' of a formula: there is no value 'z'"),
        ([Step("Neg", ("c",), "a")], "a constant stands where a value is needed"),
        ([Step("Add", ("c", "c"), "a")], "a constant stands where a value is needed"),
        ([Step("Add", ("x",), "a")], "it has 1 inputs, 2 are needed"),
        ([Step("Sin", ("x", "x"), "a")], "it has 2 inputs, 1 is needed"),
        ([Step("Concat", (), "a")], "it has 0 inputs, 1 is needed"),
        ([Step("Add", ("x", "y"), "a")], "3 and 2 columns do not fit"),
        ([Step("Add", ("x", "c"), "a")], "3 and 2 columns do not fit"),
        ([Step("Gather", ("x",), "a")], "columns are missing"),
        ([Step("Gather", ("x",), "a", (0, 3))], r"columns \[0, 3\] of 3"),
        ([Step("Neg", ("x",), "a", (0,))], "it takes no columns"),
    ],
)
def test_what_is_no_formula_is_refused(steps: list[Step], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Formula((Constant("c", np.array([1.0, 2.0])),), tuple(steps)).columns({"x": 3, "y": 2})


def test_impossible_constants_and_columns_are_refused() -> None:
    with pytest.raises(InputError, match="must be finite"):
        Constant("c", np.array(math.nan))
    with pytest.raises(InputError, match=r"shape \(1, 2\)"):
        Constant("c", np.zeros((1, 2)))
    x = value("x", 3)
    for wrong in (lambda: x + value("y", 2), lambda: x[:, 3:], lambda: x[:1, :]):
        with pytest.raises(InputError, match="column"):
            wrong()
    assert isinstance(np.ones(3) * x, Expression)
