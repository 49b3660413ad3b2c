"""Synapses of a two-dimensional convolution, which share their weights."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from qif2hw.errors import InputError
from qif2hw.ir.arrays import IntArray
from qif2hw.ir.synapses.base import Edges, Synapses, working_type

Pair = tuple[int, int]

_BLOCK = 1 << 22
"""Entries of unfolded inputs that are worked on at a time."""


@dataclass(frozen=True)
class Conv2d(Synapses):
    r"""A convolution as torch defines it (a cross-correlation), padded with zeros.

    .. math:: y_{o,i,j} = \sum_{c,k,l} w_{o,c,k,l}\; x_{c,\; s_0 i + d_0 k - p_0,\; s_1 j + d_1 l - p_1}

    Parameters
    ----------
    in_shape
        Channels, height and width of the sources.
    out_channels
        Channels of the neurons.
    kernel, stride, padding, dilation
        (vertical, horizontal).
    groups
        Number of groups of channels; an output channel reads the input channels of its own group.

    Raises
    ------
    InputError
        If a number is out of range, groups do not divide the channels, or the kernel does not fit the padded input.
    """

    in_shape: tuple[int, int, int]
    out_channels: int
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    ARRAYS = ()
    NUMBERS = ("in_shape", "out_channels", "kernel", "stride", "padding", "dilation", "groups")

    def __post_init__(self) -> None:
        for name, size, least in (
            ("in_shape", 3, 1), ("kernel", 2, 1), ("stride", 2, 1), ("padding", 2, 0), ("dilation", 2, 1),
        ):  # fmt: skip
            value = tuple(int(v) for v in getattr(self, name))
            if len(value) != size or min(value) < least or max(value) >= 1 << 24:
                raise InputError(f"convolution: {name} = {value}: {size} numbers from {least} are needed")
            object.__setattr__(self, name, value)
        if self.out_channels < 1 or self.groups < 1:
            raise InputError(f"convolution: {self.out_channels} output channels in {self.groups} groups")
        if self.in_shape[0] % self.groups or self.out_channels % self.groups:
            raise InputError(
                f"convolution: {self.groups} groups do not divide {self.in_shape[0]} input and "
                f"{self.out_channels} output channels"
            )
        if min(self.out_shape) < 1:
            raise InputError(
                f"convolution: a kernel of {self.kernel} with dilation {self.dilation} does not fit into "
                f"{self.in_shape[1:]} padded by {self.padding}"
            )

    @property
    def out_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the neurons."""
        sides = (
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(
                self.in_shape[1:], self.kernel, self.stride, self.padding, self.dilation, strict=True
            )
        )
        height, width = sides
        return self.out_channels, height, width

    @property
    def shape(self) -> tuple[int, int]:
        """(post, pre)."""
        return int(np.prod(self.out_shape)), int(np.prod(self.in_shape))

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """(output channels, input channels of a group, height, width)."""
        return self.out_channels, self.in_shape[0] // self.groups, *self.kernel

    def _reads(self) -> tuple[tuple[IntArray, NDArray[np.bool_]], tuple[IntArray, NDArray[np.bool_]]]:
        """Row (column) of the image that a kernel's row (column) reads at an output row (column); is it no padding."""
        parts = []
        for n, m, k, s, p, d in zip(
            self.in_shape[1:], self.out_shape[1:], self.kernel, self.stride, self.padding, self.dilation, strict=True
        ):
            at = s * np.arange(m)[:, None] + d * np.arange(k) - p
            parts.append((at, (at >= 0) & (at < n)))
        return parts[0], parts[1]

    @property
    def fan_in(self) -> IntArray:
        """Number of synapses of each neuron, padding left out, (post,)."""
        rows, columns = (inside.sum(axis=1) for _, inside in self._reads())
        one = self.weight_shape[1] * np.outer(rows, columns).ravel()
        return np.tile(one, self.out_channels)

    @property
    def fan_out(self) -> IntArray:
        """Number of synapses of each source, (pre,)."""
        rows, columns = (
            np.bincount(at[inside], minlength=n)
            for (at, inside), n in zip(self._reads(), self.in_shape[1:], strict=True)
        )
        one = self.out_channels // self.groups * np.outer(rows, columns).ravel()
        return np.tile(one, self.in_shape[0])

    def fan_out_to(self, first: int, stop: int) -> IntArray:
        """Number of synapses of each source that lead to neurons ``first`` to ``stop``, (pre,), not unrolled."""
        _, height, width = self.out_shape
        chosen = np.zeros(self.shape[0], np.int64)
        chosen[first:stop] = 1
        # Channels of a group at each place of the output.
        here = chosen.reshape(self.groups, -1, height, width).sum(axis=1)
        total = np.zeros((self.groups, *self.in_shape[1:]), np.int64)
        (rows, real_rows), (columns, real_columns) = self._reads()
        for k, l in np.ndindex(*self.kernel):
            down, across = real_rows[:, k], real_columns[:, l]
            total[:, rows[down, k][:, None], columns[across, l]] += here[:, down][:, :, across]
        return np.repeat(total, self.in_shape[0] // self.groups, axis=0).reshape(-1)

    @property
    def count(self) -> int:
        """Number of synapses, each pair of neurons counted."""
        return int(self.fan_in.sum())

    @property
    def index_bits(self) -> int:
        """None: the place of a neuron says which weights it has."""
        return 0

    @cached_property
    def _edges(self) -> Edges:
        channels, height, width = self.in_shape
        source = np.arange(1, 1 + channels * height * width).reshape(1, *self.in_shape)
        windows = self.windows(source)[0]
        out, per, _, _ = self.weight_shape
        place = np.arange(int(np.prod(self.weight_shape))).reshape(self.weight_shape)
        group = np.repeat(np.arange(self.groups), out // self.groups)
        # (out, rows, columns, channels of a group, kernel rows, kernel columns)
        pre = windows.reshape(self.groups, per, *windows.shape[1:])[group].transpose(0, 2, 3, 1, 4, 5)
        places = np.broadcast_to(place[:, None, None], pre.shape)
        post = np.broadcast_to(np.arange(self.shape[0]).reshape(*pre.shape[:3], 1, 1, 1), pre.shape)
        real = pre > 0
        return Edges(post[real], pre[real] - 1, places[real])

    def edges(self) -> Edges:
        """All synapses, unrolled."""
        return self._edges

    def neurons(self) -> IntArray:
        """The first neuron of each weight's output channel."""
        _, height, width = self.out_shape
        first = np.arange(self.out_channels) * (height * width)
        return np.broadcast_to(first[:, None, None, None], self.weight_shape)

    def windows(self, x: NDArray[Any]) -> NDArray[Any]:
        """What each output position reads: (samples, channels, rows, columns, kernel rows, kernel columns)."""
        (top, left), (down, across) = self.padding, self.dilation
        padded = np.pad(x, ((0, 0), (0, 0), (top, top), (left, left)))
        span = tuple(d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel, strict=True))
        windows = sliding_window_view(padded, span, axis=(2, 3))  # type: ignore[call-overload]
        return windows[:, :, :: self.stride[0], :: self.stride[1], ::down, ::across]

    def sums(self, weight: NDArray[Any]) -> NDArray[Any]:
        """Sum of the weights of each neuron, (post,)."""
        return self.apply(weight, np.ones((1, self.shape[1]), weight.dtype))[0]

    def apply(self, weight: NDArray[Any], sent: NDArray[Any]) -> NDArray[Any]:
        """The convolution of what sources sent: (..., pre) to (..., post), without unrolling the weights."""
        kind = working_type(weight, sent)
        x = sent.reshape(-1, *self.in_shape).astype(kind, copy=False)
        out, per, rows, columns = self.weight_shape
        size = per * rows * columns
        kernels = weight.reshape(self.groups, out // self.groups, size).astype(kind, copy=False)
        _, height, width = self.out_shape
        total = np.empty((len(x), self.shape[0]), np.result_type(weight, sent))
        block = max(1, _BLOCK // (self.groups * size * height * width))
        for low in range(0, len(x), block):
            windows = self.windows(x[low : low + block])
            samples = len(windows)
            # (samples, groups, channels and kernel, positions)
            flat = windows.transpose(0, 1, 4, 5, 2, 3).reshape(samples, self.groups, size, height * width)
            total[low : low + block] = np.matmul(kernels, flat).reshape(samples, -1)
        return total.reshape(*sent.shape[:-1], self.shape[0])
