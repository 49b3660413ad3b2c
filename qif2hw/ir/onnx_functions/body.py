"""Writing the body of an ONNX function as one writes arithmetic: each operation is one standard node.

Bodies are written node by node here, not as text, so that their bytes do not depend on a parser of the installed onnx.
"""

import inspect
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np
from onnx import AttributeProto, FunctionProto, GraphProto, NodeProto, TensorProto, helper, numpy_helper

DOMAIN = "qif2hw"
OPSET = 17
"""Of the standard operators."""

Kind: TypeAlias = Literal["tensor", "integer", "integers"]
"""What an attribute of a function holds."""

_ATTRIBUTE: dict[Kind, tuple[str, int]] = {
    "tensor": ("value", AttributeProto.TENSOR),
    "integer": ("value_int", AttributeProto.INT),
    "integers": ("value_ints", AttributeProto.INTS),
}


class Value:
    """A value of a body: operators add nodes.  A float beside it is a float64 constant, an integer an int64 one."""

    def __init__(self, body: "Body", name: str) -> None:
        self.body, self.name = body, name

    def __add__(self, other: Any) -> "Value":
        """Sum, of the broadcast shape."""
        return self.body.Add(self, other)

    def __radd__(self, other: Any) -> "Value":
        """Sum, of the broadcast shape."""
        return self.body.Add(other, self)

    def __sub__(self, other: Any) -> "Value":
        """Difference, of the broadcast shape."""
        return self.body.Sub(self, other)

    def __rsub__(self, other: Any) -> "Value":
        """Difference, of the broadcast shape."""
        return self.body.Sub(other, self)

    def __mul__(self, other: Any) -> "Value":
        """Product, of the broadcast shape."""
        return self.body.Mul(self, other)

    def __rmul__(self, other: Any) -> "Value":
        """Product, of the broadcast shape."""
        return self.body.Mul(other, self)

    def __truediv__(self, other: Any) -> "Value":
        """Quotient, of the broadcast shape."""
        return self.body.Div(self, other)

    def __lt__(self, other: Any) -> "Value":
        """Where it is less, of the broadcast shape."""
        return self.body.Less(self, other)

    def __neg__(self) -> "Value":
        """Negative, of the same shape."""
        return self.body.Neg(self)


class Body:
    """Nodes of a function's or a loop's body, in order; ``body.Sin(x)`` adds a node of that operator.

    Parameters
    ----------
    prefix
        What the names of its values begin with.
    """

    def __init__(self, prefix: str = "v") -> None:
        self.nodes: list[NodeProto] = []
        self._prefix = prefix
        self._constants: dict[tuple[str, tuple[int, ...], bytes], Value] = {}

    def __getattr__(self, operator: str) -> Callable[..., Any]:
        """Add a node of a standard operator: its inputs, then ``outputs`` (how many; one) and attributes."""
        if not operator[0].isupper():
            raise AttributeError(operator)

        def add(*inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
            names = [self.value(one).name for one in inputs]
            made = self._new(outputs)
            self.nodes.append(helper.make_node(operator, names, [one.name for one in made], **attributes))
            return made[0] if outputs == 1 else made

        return add

    def value(self, given: Any) -> Value:
        """A value, or the constant that numbers are: integers int64, others float64, of their shape."""
        if isinstance(given, Value):
            return given
        array = np.asarray(given)
        array = array.astype(np.int64 if array.dtype.kind == "i" else np.float64)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            (made,) = self._new(1)
            self.nodes.append(helper.make_node("Constant", [], [made.name], value=numpy_helper.from_array(array)))
            self._constants[key] = made
        return self._constants[key]

    def attribute(self, name: str, kind: Kind = "tensor") -> Value:
        """The value of an attribute of the function."""
        field, number = _ATTRIBUTE[kind]
        (made,) = self._new(1)
        node = helper.make_node("Constant", [], [made.name])
        node.attribute.append(AttributeProto(name=field, type=number, ref_attr_name=name))
        self.nodes.append(node)
        return made

    def size(self, value: Value, axis: int) -> Value:
        """Length of an axis, int64 of shape (1,)."""
        return self.Gather(self.Shape(value), [axis])  # type: ignore[no-any-return]

    def shape(self, *sizes: Any) -> Value:
        """A shape of lengths, each an integer or int64 of shape (1,)."""
        parts = [self.value([one] if isinstance(one, int) else one) for one in sizes]
        return self.Concat(*parts, axis=0)  # type: ignore[no-any-return]

    def count(self, size: Value) -> Value:
        """0, 1, .. below ``size``, int64 of shape (1,): shape (size,)."""
        return self.Range(0, self.Squeeze(size, [0]), 1)  # type: ignore[no-any-return]

    def scan(
        self, step: Callable[..., tuple[Value, ...]], states: list[Value], along: list[Value], outputs: int
    ) -> Any:
        """A loop over the first axis of ``along``.

        ``step(body, *states, *slices)`` gives the new states and then what it makes of each step; results are the last
        states, then the ``outputs`` values made, stacked along the first axis.  Every value is float64; slices may be
        integers where their name begins with ``which``.
        """
        inner = Body("s")
        names = list(inspect.signature(step).parameters)[1:]
        made = step(inner, *(Value(inner, name) for name in names))
        types = [TensorProto.INT64 if name.startswith("which") else TensorProto.DOUBLE for name in names]
        graph = GraphProto(name=step.__name__.strip("_"), node=inner.nodes)
        graph.input.extend(
            helper.make_tensor_value_info(name, kind, None) for name, kind in zip(names, types, strict=True)
        )
        graph.output.extend(helper.make_tensor_value_info(one.name, TensorProto.DOUBLE, None) for one in made)
        return self.Scan(*states, *along, outputs=len(states) + outputs, num_scan_inputs=len(along), body=graph)

    def _new(self, count: int) -> tuple[Value, ...]:
        outputs = sum(len(node.output) for node in self.nodes)
        return tuple(Value(self, f"{self._prefix}{outputs + k}") for k in range(count))


def function(name: str, write: Callable[..., Any], *attributes: str) -> FunctionProto:
    """The ONNX function ``name`` with the inputs and nodes of ``write``.

    Parameters
    ----------
    name
        Operator of the domain.
    write
        Takes a `Body` and the inputs, gives the outputs, none of which may be an input.
    attributes
        Names of the attributes that its body uses; calls may have more, which only readers use.
    """
    body = Body()
    inputs = list(inspect.signature(write).parameters)[1:]
    made = write(body, *(Value(body, one) for one in inputs))
    outputs = [one.name for one in (made if isinstance(made, tuple) else (made,))]
    result = FunctionProto(name=name, domain=DOMAIN, input=inputs, output=outputs, node=body.nodes)
    result.attribute.extend(attributes)
    result.opset_import.append(helper.make_opsetid("", OPSET))
    return result
