"""Affine maps between populations: what convolutions, pooling, normalisation and additions in a row amount to.

A value of a traced module is a sum of linear paths from sources (input groups and spiking populations) and a constant.
Layers in a row are folded into one set of synapses per path.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from qif2hw.errors import InputError
from qif2hw.ir import AnySynapses, Conv2d, Dense, Sparse
from qif2hw.ir.arrays import FloatArray

_LARGEST = 1 << 26
"""Entries of a full array of weights that folding may make."""


@dataclass(frozen=True, eq=False)
class Path:
    """Synapses from a source, and their weights; the source's values themselves where ``synapses`` is None."""

    source: str
    synapses: AnySynapses | None = None
    weight: FloatArray | None = None

    def linear(self, shape: tuple[int, ...]) -> tuple[AnySynapses, FloatArray]:
        """Synapses and weights, also of a path that passes on values of this shape as they are."""
        if self.synapses is not None and self.weight is not None:
            return self.synapses, self.weight
        if len(shape) == 3:
            one = Conv2d((shape[0], shape[1], shape[2]), shape[0], (1, 1), groups=shape[0])
            return one, np.ones(one.weight_shape)
        return Sparse(np.arange(shape[0] + 1), np.arange(shape[0]), shape[0]), np.ones(shape[0])


@dataclass(frozen=True, eq=False)
class Affine:
    """A value of shape ``shape`` per sample: ``bias`` (of that shape) plus what arrives along the paths."""

    shape: tuple[int, ...]
    paths: tuple[Path, ...]
    bias: FloatArray

    @classmethod
    def of_source(cls, source: str, shape: tuple[int, ...]) -> "Affine":
        """The values that a source sends."""
        return cls(shape, (Path(source),), np.zeros(shape))

    @property
    def itself(self) -> str | None:
        """The source, if the value is just what one source sends."""
        alone = len(self.paths) == 1 and self.paths[0].synapses is None and not self.bias.any()
        return self.paths[0].source if alone else None


def flatten(value: Affine) -> Affine:
    """The same numbers in one row."""
    size = int(np.prod(value.shape))
    return Affine((size,), value.paths, value.bias.reshape(size))


def add(left: Affine, right: Affine) -> Affine:
    """Sum of two values of one shape; paths with equal source and synapses become one."""
    if left.shape != right.shape:
        raise InputError(f"values of shapes {left.shape} and {right.shape} cannot be added")
    merged: list[Path] = []
    for path in (*left.paths, *right.paths):
        synapses, weight = path.linear(left.shape)
        for k, other in enumerate(merged):
            theirs, old = other.linear(left.shape)
            if other.source == path.source and theirs == synapses:
                merged[k] = Path(path.source, synapses, old + weight)
                break
        else:
            merged.append(path)
    return Affine(left.shape, tuple(merged), left.bias + right.bias)


def scale(value: Affine, factor: FloatArray, shift: FloatArray) -> Affine:
    """``factor value + shift``, both (channels,)."""
    rest = (1,) * (len(value.shape) - 1)
    paths = []
    for path in value.paths:
        synapses, weight = path.linear(value.shape)
        if isinstance(synapses, Conv2d) and len(value.shape) == 1:
            synapses, weight = _unrolled(synapses, weight)
        if isinstance(synapses, Conv2d):
            scaled = weight * factor[:, None, None, None]
        else:
            rows = np.repeat(factor, int(np.prod(value.shape[1:])))
            scaled = weight * (rows[:, None] if isinstance(synapses, Dense) else rows[synapses.edges().post])
        paths.append(Path(path.source, synapses, scaled))
    bias = value.bias * factor.reshape(-1, *rest) + shift.reshape(-1, *rest)
    return Affine(value.shape, tuple(paths), bias)


def convolve(value: Affine, synapses: Conv2d, weight: FloatArray, bias: FloatArray | None = None) -> Affine:
    """A convolution of the value; weights of the synapses' shape, ``bias`` (output channels,)."""
    constant = synapses.apply(weight, value.bias.reshape(1, -1)).reshape(synapses.out_shape)
    if bias is not None:
        constant = constant + bias[:, None, None]
    paths = tuple(_followed_by(path, synapses, weight) for path in value.paths)
    return Affine(synapses.out_shape, paths, constant)


def multiply(value: Affine, weight: FloatArray, bias: FloatArray | None = None) -> Affine:
    """A matrix (outputs, inputs) times the flat value, plus a bias."""
    synapses = Dense(*weight.shape)
    constant = weight @ value.bias
    paths = tuple(_followed_by(path, synapses, weight) for path in value.paths)
    return Affine((weight.shape[0],), paths, constant if bias is None else constant + bias)


def _followed_by(path: Path, synapses: Conv2d | Dense, weight: FloatArray) -> Path:
    if path.synapses is None or path.weight is None:
        return replace(path, synapses=synapses, weight=weight)
    if isinstance(synapses, Conv2d) and isinstance(path.synapses, Conv2d):
        folded = _fold_convolutions(path.synapses, path.weight, synapses, weight)
        if folded is not None:
            return Path(path.source, *folded)
    post, (middle, pre) = synapses.shape[0], path.synapses.shape
    _check_size(post, pre)
    _check_size(post, middle)
    full = synapses.dense(weight)
    if middle * pre <= _LARGEST:
        product = full @ path.synapses.dense(path.weight)
    else:
        _check_size(post, path.synapses.count)
        to, source, place = path.synapses.edges()
        product = np.zeros((pre, post))
        np.add.at(product, source, (full[:, to] * path.weight.ravel()[place]).T)
        product = np.ascontiguousarray(product.T)
    return Path(path.source, Dense(post, pre), product)


def _unrolled(synapses: AnySynapses, weight: FloatArray) -> tuple[AnySynapses, FloatArray]:
    """The same synapses, all to all."""
    _check_size(*synapses.shape)
    return Dense(*synapses.shape), synapses.dense(weight)


def _check_size(post: int, pre: int) -> None:
    if post * pre > _LARGEST:
        raise InputError(
            f"it cannot be folded with the layers before it: {post} x {pre} weights would be needed; "
            "put neurons between them"
        )


def _fold_convolutions(
    first: Conv2d, inner: FloatArray, second: Conv2d, outer: FloatArray
) -> tuple[Conv2d, FloatArray] | None:
    """Two convolutions in a row as one; None where padding between them, or their groups, forbid it."""
    tiles = first.kernel == first.stride and first.padding == (0, 0) and first.dilation == (1, 1)
    exact = all(n == m * s for n, m, s in zip(first.in_shape[1:], first.out_shape[1:], first.stride, strict=True))
    if second.padding != (0, 0) and not (tiles and exact):
        return None
    pools_first = first.groups == first.in_shape[0] == first.out_channels
    pools_second = second.groups == second.in_shape[0] == second.out_channels
    if not (pools_first or pools_second or first.groups == second.groups == 1):
        return None
    groups = second.groups if pools_first else first.groups
    # Distance of two taps of the second kernel, and of the first, in sources.
    apart = tuple(d * s for d, s in zip(second.dilation, first.stride, strict=True))
    size = tuple(
        (k - 1) * a + (j - 1) * d + 1
        for k, a, j, d in zip(second.kernel, apart, first.kernel, first.dilation, strict=True)
    )
    per_group = first.in_shape[0] // groups
    weight = np.zeros((second.out_channels, per_group, *size))
    for k, l in np.ndindex(*second.kernel):
        for i, j in np.ndindex(*first.kernel):
            at = k * apart[0] + i * first.dilation[0], l * apart[1] + j * first.dilation[1]
            weight[:, :, at[0], at[1]] += _mix(
                inner[:, :, i, j], outer[:, :, k, l], pools_first, pools_second, second.groups
            )
    made = Conv2d(
        first.in_shape,
        second.out_channels,
        (size[0], size[1]),
        (first.stride[0] * second.stride[0], first.stride[1] * second.stride[1]),
        (
            first.padding[0] + second.padding[0] * first.stride[0],
            first.padding[1] + second.padding[1] * first.stride[1],
        ),
        (1, 1),
        groups,
    )
    return (made, weight) if made.out_shape == second.out_shape else None


def _mix(inner: FloatArray, outer: FloatArray, pools_first: bool, pools_second: bool, groups: int) -> FloatArray:
    """Channels of one tap of each: (output channels, input channels of a group)."""
    if pools_first:
        # inner is (channels, 1): each input channel of the second convolution has a factor of its own.
        factors = inner[:, 0].reshape(groups, -1)
        return outer * np.repeat(factors, len(outer) // groups, axis=0)
    if pools_second:
        return outer * inner
    return outer @ inner


def projections(value: Affine) -> Sequence[tuple[str, AnySynapses, FloatArray]]:
    """Source, synapses and weights, of the synapses' shape, of every path."""
    return [(path.source, *path.linear(value.shape)) for path in value.paths]
