"""NIR's nodes without a state: linear maps, pooling, shapes and delays."""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np

from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.nir.tree import Node
from qif2hw.ir.nir.values import Value, checked_size
from qif2hw.ir.synapses import Conv2d, Dense


def affine(node: Node, value: Value, dt: float | None) -> Value:
    """``W x + b``: of all values, in their order."""
    weight = _array(node, "weight")
    if weight.ndim != 2:
        raise InputError(f"its weight has shape {weight.shape}: (out, in) is needed")
    if weight.shape[1] != value.size:
        raise InputError(f"its weight has shape {weight.shape}, what reaches it {value.shape}")
    made = value.mapped(weight, Dense(*weight.shape), (weight.shape[0],))
    bias = node.get("bias")
    return made if bias is None else made.plus(_bias(bias, weight.shape[0]))


def scale(node: Node, value: Value, dt: float | None) -> Value:
    """``s x``, element by element."""
    factor = _array(node, "scale")
    if factor.size not in (1, value.size):
        raise InputError(f"its scale has shape {factor.shape}, what reaches it {value.shape}")
    return value.scaled(factor.reshape(value.shape if factor.size > 1 else ()))


def conv2d(node: Node, value: Value, dt: float | None) -> Value:
    """A convolution of images (channels, height, width)."""
    weight = _array(node, "weight")
    if weight.ndim != 4:
        raise InputError(f"its weight has shape {weight.shape}: (out, in, height, width) is needed")
    return _conv(node, value, weight, 2)


def conv1d(node: Node, value: Value, dt: float | None) -> Value:
    """A convolution of series (channels, length): images of height 1."""
    weight = _array(node, "weight")
    if weight.ndim != 3:
        raise InputError(f"its weight has shape {weight.shape}: (out, in, length) is needed")
    made = _conv(node, value, weight[:, :, None, :], 1)
    return made.reshaped((made.shape[0], made.shape[2]))


def _conv(node: Node, value: Value, weight: FloatArray, axes: int) -> Value:
    groups = int(np.asarray(node.get("groups", 1)))
    if groups < 1:
        raise InputError(f"groups = {groups}")
    channels = weight.shape[1] * groups
    given = node.get("input_shape")
    sides = None if given is None else tuple(int(n) for n in np.atleast_1d(given))
    shape = _images(value.shape, channels, sides, axes)
    stride, dilation = (_pair(node, name, axes, 1) for name in ("stride", "dilation"))
    synapses = Conv2d(
        shape, len(weight), (weight.shape[2], weight.shape[3]), stride,
        _padding(node, axes, (weight.shape[2], weight.shape[3]), stride, dilation), dilation, groups,
    )  # fmt: skip
    made = value.reshaped(shape).mapped(weight, synapses, checked_size(synapses.out_shape))
    bias = node.get("bias")
    return made if bias is None else made.plus(_bias(bias, len(weight))[:, None, None])


def _images(shape: tuple[int, ...], channels: int, sides: tuple[int, ...] | None, axes: int) -> tuple[int, int, int]:
    """What reaches a convolution as (channels, height, width)."""
    found = shape
    if len(found) != axes + 1 and sides is not None:
        found = (channels, *sides)
    if len(found) == axes:
        found = (1, *found)
    if len(found) == 2:
        found = (found[0], 1, found[1])
    if len(found) == 3 and axes == 1 and found[1] != 1:
        raise InputError(f"what reaches it has shape {shape}: (channels, length) is needed")
    if len(found) != 3 or prod(found) != prod(shape) or found[0] != channels:
        wanted = "height, width" if axes == 2 else "length"
        raise InputError(f"what reaches it has shape {shape}: ({channels}, {wanted}) is needed")
    if sides is not None and len(sides) == axes and prod(sides) != found[1] * found[2]:
        raise InputError(f"its input_shape is {sides}, what reaches it has shape {shape}")
    return found[0], found[1], found[2]


def average(node: Node, value: Value, dt: float | None) -> Value:
    """Mean over windows, padding counted."""
    return _pool(node, value, mean=True)


def summed(node: Node, value: Value, dt: float | None) -> Value:
    """Sum over windows."""
    return _pool(node, value, mean=False)


def _pool(node: Node, value: Value, mean: bool) -> Value:
    if len(value.shape) != 3:
        raise InputError(f"what reaches it has shape {value.shape}: (channels, height, width) is needed")
    shape = (value.shape[0], value.shape[1], value.shape[2])
    kernel = _pair(node, "kernel_size", 2, None)
    stride = _pair(node, "stride", 2, kernel)
    synapses = Conv2d(shape, shape[0], kernel, stride, _pair(node, "padding", 2, 0), groups=shape[0])
    weight = np.full(synapses.weight_shape, 1 / prod(kernel) if mean else 1.0)
    return value.mapped(weight, synapses, checked_size(synapses.out_shape))


def flatten(node: Node, value: Value, dt: float | None) -> Value:
    """All values in a row.

    Whether the dimensions count the batch does not matter: the order of the values is the same.
    """
    return value.reshaped((value.size,))


def delay(node: Node, value: Value, dt: float | None) -> Value:
    """Later by a whole number of time steps."""
    if dt is None:
        raise InputError("it has a time: give the length of a time step, dt (--dt)")
    times = _array(node, "delay")
    steps = np.rint(times / dt)
    if (np.abs(steps * dt - times) > 1e-6 * np.maximum(np.abs(times), dt)).any() or (steps < 0).any():
        odd = float(times.flat[int(np.abs(steps * dt - times).argmax())])
        raise InputError(f"its delay {odd:g} is no whole number of time steps of {dt:g}")
    if steps.size not in (1, value.size):
        raise InputError(f"its delay has shape {times.shape}, what reaches it {value.shape}")
    return value.delayed(steps.astype(np.int64).reshape(value.shape if steps.size > 1 else ()))


MAPS: Mapping[str, Callable[[Node, Value, float | None], Value]] = {
    "Affine": affine,
    "Linear": affine,
    "Scale": scale,
    "Conv1d": conv1d,
    "Conv2d": conv2d,
    "AvgPool2d": average,
    "SumPool2d": summed,
    "Flatten": flatten,
    "Delay": delay,
}
"""Nodes without a state."""


def _array(node: Node, name: str) -> FloatArray:
    if node.get(name) is None:
        raise InputError(f"its parameter '{name}' is missing")
    array = np.asarray(node[name], np.float64)
    if not np.isfinite(array).all():
        raise InputError(f"its parameter '{name}' holds a value that is not finite")
    return array


def _bias(bias: Any, channels: int) -> FloatArray:
    array = np.asarray(bias, np.float64)
    if array.size not in (1, channels) or not np.isfinite(array).all():
        raise InputError(f"its bias has shape {array.shape}, ({channels},) is needed, finite")
    return np.broadcast_to(array.reshape(-1), (channels,))


def _pair(node: Node, name: str, axes: int, default: Any) -> tuple[int, int]:
    """A parameter of two axes, or of the second alone."""
    given = node.get(name)
    if given is None:
        given = default
    if given is None:
        raise InputError(f"its parameter '{name}' is missing")
    values = [int(n) for n in np.atleast_1d(given)]
    if len(values) == 1:
        values = values * 2 if axes == 2 else [_NEUTRAL[name], *values]
    if len(values) != 2:
        raise InputError(f"its parameter '{name}' is {values}: one or two numbers are needed")
    return values[0], values[1]


_NEUTRAL = {"stride": 1, "dilation": 1, "padding": 0}
"""Along the axis of length 1 of a series."""


def _padding(
    node: Node, axes: int, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> tuple[int, int]:
    given = node.get("padding")
    if not isinstance(given, str):
        return _pair(node, "padding", axes, 0)
    if given == "valid":
        return 0, 0
    around = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    if given != "same" or stride != (1, 1) or any(one % 2 for one in around):
        raise InputError(f"padding '{given}' with stride {stride} and kernel {kernel}: give it in numbers, equal ones")
    return around[0] // 2, around[1] // 2
