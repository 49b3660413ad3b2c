"""Values between the nodes of a NIR graph: weighted sums of what sources send, and a constant."""

from dataclasses import dataclass, replace
from math import prod

import numpy as np

from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.synapses import AnySynapses, Conv2d, Dense, Sparse

_LARGEST = 1 << 27
"""Most weights of a product of two maps."""
MOST = 1 << 24
"""Most values between two nodes."""


def checked_size(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape; `InputError` if it has more than `MOST` values."""
    if prod(shape) > MOST:
        raise InputError(f"{prod(shape)} values, of shape {shape}, are too many")
    return shape


@dataclass(frozen=True)
class Term:
    """What one source sends, ``delay`` steps later, times weights; ``synapses`` is None for the source itself."""

    source: str
    shape: tuple[int, ...]
    """Of the source."""
    weight: FloatArray | None = None
    synapses: AnySynapses | None = None
    delay: IntArray | None = None

    def projected(self) -> tuple[FloatArray, AnySynapses]:
        """Weights, of the shape that the synapses say, and these."""
        if self.weight is not None and self.synapses is not None:
            return self.weight, self.synapses
        if len(self.shape) == 3:
            return _pointwise(self.shape, np.ones(self.shape[0]))
        return _one_by_one(np.ones(prod(self.shape)))

    def through(self, weight: FloatArray, synapses: AnySynapses) -> "Term":
        """The term behind another map, whose weights have the shape that its synapses say."""
        if self.weight is None or self.synapses is None:
            return replace(self, weight=weight, synapses=synapses)
        made = _after_pooling(self.weight, self.synapses, weight, synapses)
        if made is None:
            rows, columns = synapses.shape[0], self.synapses.shape[1]
            if rows * columns > _LARGEST or synapses.shape[1] * max(rows, columns) > _LARGEST:
                raise InputError(f"{rows} times {columns} weights, of two maps in a row, are too many")
            dense = synapses.dense(weight) @ self.synapses.dense(self.weight)
            made = dense, Dense(*dense.shape)
        return replace(self, weight=made[0], synapses=made[1])


@dataclass(frozen=True)
class Value:
    """Terms and a constant, of a shape; without a batch."""

    shape: tuple[int, ...]
    terms: tuple[Term, ...]
    constant: FloatArray
    """Of the shape."""

    @property
    def size(self) -> int:
        """Number of values."""
        return prod(self.shape)

    def reshaped(self, shape: tuple[int, ...]) -> "Value":
        """The same values in the same order."""
        return Value(shape, self.terms, self.constant.reshape(shape))

    def mapped(self, weight: FloatArray, synapses: AnySynapses, shape: tuple[int, ...]) -> "Value":
        """Behind a linear map, with values of ``shape``."""
        terms = tuple(term.through(weight, synapses) for term in self.terms)
        constant = synapses.apply(weight, self.constant.reshape(1, -1))[0]
        return Value(shape, terms, constant.reshape(shape))

    def plus(self, constant: FloatArray) -> "Value":
        """With a constant more, which is broadcast to the shape."""
        return replace(self, constant=self.constant + constant)

    def scaled(self, factor: FloatArray) -> "Value":
        """Times a factor of the shape, or one for all."""
        full = np.broadcast_to(factor, self.shape)
        if len(self.shape) == 3 and (full == full[:, :1, :1]).all():
            weight, synapses = _pointwise(self.shape, full[:, 0, 0])
            terms = tuple(_scaled_channels(term, full[:, 0, 0]) for term in self.terms)
        elif (full == full.flat[0]).all():
            terms = tuple(_scaled(term, float(full.flat[0])) for term in self.terms)
        else:
            weight, synapses = _one_by_one(full.ravel())
            terms = tuple(term.through(weight, synapses) for term in self.terms)
        return Value(self.shape, terms, self.constant * full)

    def delayed(self, steps: IntArray) -> "Value":
        """Later by steps, of the shape, or one for all.

        Raises
        ------
        InputError
            If it holds a constant, or different delays come behind a map.
        """
        if self.constant.any():
            raise InputError("a delay behind a bias")
        full = np.broadcast_to(steps, self.shape).ravel()
        made = []
        for term in self.terms:
            before = np.zeros(prod(term.shape), np.int64) if term.delay is None else term.delay
            if term.weight is None:
                made.append(replace(term, delay=before + full))
            elif (full == full[0]).all():
                made.append(replace(term, delay=before + int(full[0])))
            else:
                raise InputError("different delays behind weights: they belong before them")
        return replace(self, terms=tuple(made))


def total(values: list[Value]) -> Value:
    """Sum of values of one shape."""
    first, *rest = values
    for value in rest:
        if value.size != first.size:
            raise InputError(f"its inputs have shapes {first.shape} and {value.shape}")
        first = Value(first.shape, first.terms + value.terms, first.constant + value.constant.reshape(first.shape))
    return first


def _pointwise(shape: tuple[int, ...], factor: FloatArray) -> tuple[FloatArray, AnySynapses]:
    synapses = Conv2d((shape[0], shape[1], shape[2]), shape[0], (1, 1), groups=shape[0])
    return np.array(factor, np.float64).reshape(synapses.weight_shape), synapses


def _one_by_one(factor: FloatArray) -> tuple[FloatArray, AnySynapses]:
    size = factor.size
    return np.array(factor, np.float64), Sparse(np.arange(size + 1), np.arange(size), size)


def _scaled(term: Term, factor: float) -> Term:
    if factor == 1:
        return term
    weight, synapses = term.projected()
    return replace(term, weight=weight * factor, synapses=synapses)


def _scaled_channels(term: Term, factor: FloatArray) -> Term:
    if (factor == 1).all():
        return term
    weight, synapses = term.projected()
    if isinstance(synapses, Conv2d):
        return replace(term, weight=weight * factor[:, None, None, None], synapses=synapses)
    every = np.repeat(factor, synapses.shape[0] // len(factor))
    if isinstance(synapses, Dense):
        return replace(term, weight=weight * every[:, None], synapses=synapses)
    return replace(term, weight=weight * every[synapses.edges().post], synapses=synapses)


def _after_pooling(
    before: FloatArray, first: AnySynapses, weight: FloatArray, second: AnySynapses
) -> tuple[FloatArray, AnySynapses] | None:
    """One convolution for a depthwise one without overlap or padding and one behind it; None if there is none.

    Dense weights behind such a pooling stay dense.
    """
    if not isinstance(first, Conv2d) or not (first.groups == first.in_shape[0] == first.out_channels):
        return None
    if first.kernel != first.stride or first.padding != (0, 0) or first.dilation != (1, 1):
        return None
    (height, width), inside = first.kernel, first.in_shape
    left_over = inside[1] % height or inside[2] % width
    if not isinstance(second, Conv2d) or left_over or second.dilation != (1, 1):
        return None
    per = second.weight_shape[1]
    channel = np.arange(second.out_channels) // (second.out_channels // second.groups) * per
    pools = before[(channel[:, None] + np.arange(per)), 0]
    wide = weight.repeat(height, axis=2).repeat(width, axis=3)
    wide = wide * np.tile(pools, (1, 1, *second.kernel))
    made = Conv2d(
        inside,
        second.out_channels,
        (second.kernel[0] * height, second.kernel[1] * width),
        (second.stride[0] * height, second.stride[1] * width),
        (second.padding[0] * height, second.padding[1] * width),
        (1, 1),
        second.groups,
    )
    return wide, made
