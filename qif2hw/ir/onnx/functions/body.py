"""Writing the body of an ONNX function as one writes arithmetic: each operation is one standard node.

Bodies are written node by node here, not as text, so that their bytes do not depend on a parser of the installed onnx.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from onnx import AttributeProto, FunctionProto, GraphProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

DOMAIN = "qif2hw"
OPSET = 17
"""Of the standard operators."""

Kind: TypeAlias = Literal["tensor", "integer", "integers"]
"""What an attribute of a function holds."""

_ATTRIBUTE: dict[Kind, tuple[str, AttributeProto.AttributeType]] = {
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


@dataclass(frozen=True)
class Looped:
    """A value that a loop takes.

    Parameters
    ----------
    value
        The value.
    axes
        Lengths of its axes, as ``"samples neurons"``: numbers, names that say the same length wherever they stand in a
        file, ``?`` for any; of a slice where the loop goes along it.
    whole
        Whether it is int64, else float64.
    """

    value: Value
    axes: str
    whole: bool = False


@dataclass(frozen=True)
class Same:
    """The value of an attribute of a node: that of the function's attribute ``name``."""

    name: str
    kind: Kind


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
            own = {key: given for key, given in attributes.items() if not isinstance(given, Same)}
            node = helper.make_node(operator, names, [one.name for one in made], **own)
            for key, given in attributes.items():
                if isinstance(given, Same):
                    number = _ATTRIBUTE[given.kind][1]
                    node.attribute.append(AttributeProto(name=key, type=number, ref_attr_name=given.name))
            self.nodes.append(node)
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
        return self.Gather(self.Shape(value), [axis])

    def shape(self, *sizes: Any) -> Value:
        """A shape of lengths, each an integer or int64 of shape (1,)."""
        parts = [self.value([one] if isinstance(one, int) else one) for one in sizes]
        return self.Concat(*parts, axis=0)

    def count(self, size: Value) -> Value:
        """0, 1, .. below ``size``, int64 of shape (1,): shape (size,)."""
        return self.Range(0, self.Squeeze(size, [0]), 1)

    def scan(
        self,
        step: Callable[..., tuple[Value, ...]],
        states: Sequence[Looped],
        along: Sequence[Looped],
        made: Sequence[str],
    ) -> Any:
        """A loop over the first axis of the values ``along``.

        Parameters
        ----------
        step
            Takes a `Body`, the states, and a slice of each of ``along``; gives the new states, then what it makes.
            It must use no value from outside.
        states, along
            What it takes.
        made
            Axes of what a step makes beside the states, float64.

        Returns
        -------
        tuple of Value
            The last states, then what the steps made, along a new first axis.
        """
        inner = Body("s")
        given = [Value(inner, f"given{k}") for k in range(len(states) + len(along))]
        results = step(inner, *given)
        graph = GraphProto(name="step", node=inner.nodes)
        for one, looped in zip(given, [*states, *along], strict=True):
            graph.input.append(_typed(one, looped.axes, looped.whole))
        for one, axes in zip(results, [*(state.axes for state in states), *made], strict=True):
            graph.output.append(_typed(one, axes, False))
        values = [looped.value for looped in (*states, *along)]
        return self.Scan(*values, outputs=len(results), num_scan_inputs=len(along), body=graph)

    def _new(self, count: int) -> tuple[Value, ...]:
        outputs = sum(len(node.output) for node in self.nodes)
        return tuple(Value(self, f"{self._prefix}{outputs + k}") for k in range(count))


def _typed(value: Value, axes: str, whole: bool) -> ValueInfoProto:
    kind = TensorProto.INT64 if whole else TensorProto.DOUBLE
    shape = [int(one) if one.isdigit() else None if one == "?" else one for one in axes.split()]
    return helper.make_tensor_value_info(value.name, kind, shape)


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
