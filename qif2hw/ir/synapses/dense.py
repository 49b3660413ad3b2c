"""All-to-all synapses."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qif2hw.errors import InputError
from qif2hw.ir.arrays import IntArray
from qif2hw.ir.large import row_blocks, transposed
from qif2hw.ir.synapses.base import Edges, Synapses, working_type
from qif2hw.ir.synapses.by_source import BySource


@dataclass(frozen=True)
class Dense(Synapses):
    """All to all: ``weight[i, j]`` of shape (post, pre) leads from source ``j`` to neuron ``i``."""

    post: int
    pre: int

    ARRAYS = ()
    NUMBERS = ()

    def __post_init__(self) -> None:
        if self.post < 1 or self.pre < 1:
            raise InputError(f"synapses of {self.post} neurons with {self.pre} sources: at least one of each is needed")

    @property
    def shape(self) -> tuple[int, int]:
        """(post, pre)."""
        return self.post, self.pre

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """(post, pre)."""
        return self.post, self.pre

    @property
    def count(self) -> int:
        """``post pre``."""
        return self.post * self.pre

    @property
    def index_bits(self) -> int:
        """None: the place of a weight says which neuron it belongs to."""
        return 0

    @property
    def fan_in(self) -> IntArray:
        """``pre`` for every neuron."""
        return np.full(self.post, self.pre)

    @property
    def fan_out(self) -> IntArray:
        """``post`` for every source."""
        return np.full(self.pre, self.post)

    def fan_out_to(self, first: int, stop: int) -> IntArray:
        """``stop - first`` for every source."""
        return np.full(self.pre, stop - first)

    def edges(self) -> Edges:
        """All pairs."""
        post, pre = np.divmod(np.arange(self.count), self.pre)
        return Edges(post, pre, np.arange(self.count))

    def edges_of(self, low: int, high: int) -> Edges:
        """All pairs of some neurons."""
        place = np.arange(low * self.pre, high * self.pre)
        post, pre = np.divmod(place, self.pre)
        return Edges(post, pre, place)

    def neurons(self) -> IntArray:
        """The row of each weight."""
        return np.repeat(np.arange(self.post)[:, None], self.pre, axis=1)

    def neurons_alone(self, low: int, high: int) -> "Dense":
        """Some rows."""
        return Dense(high - low, self.pre)

    def dense(self, weight: NDArray[Any]) -> NDArray[Any]:
        """The weights themselves."""
        return weight

    def part(self, weight: NDArray[Any], low: int, high: int) -> NDArray[Any]:
        """Some rows, (high - low, pre)."""
        return weight[low:high]

    def sums(self, weight: NDArray[Any]) -> NDArray[Any]:
        """Sum of each row."""
        return np.asarray(weight.sum(axis=1))

    def signed_sums(self, weight: NDArray[Any]) -> tuple[IntArray, IntArray]:
        """Of each row, in blocks of rows."""
        sums = [
            (np.maximum(rows, 0).sum(axis=1, dtype=np.int64), -np.minimum(rows, 0).sum(axis=1, dtype=np.int64))
            for rows in row_blocks(weight)
        ]
        up, down = (np.concatenate(parts) for parts in zip(*sums, strict=True))
        return up, down

    def of_neuron(self, weight: NDArray[Any], neuron: int) -> tuple[IntArray, NDArray[Any]]:
        """All sources, and the neuron's row."""
        return np.arange(self.pre), weight[neuron]

    def apply(self, weight: NDArray[Any], sent: NDArray[Any]) -> NDArray[Any]:
        """Matrix product."""
        kind = working_type(weight, sent)
        total = sent.astype(kind, copy=False) @ weight.T.astype(kind, copy=False)
        return total.astype(np.result_type(weight, sent), copy=False)

    def by_source(self, weight: NDArray[Any]) -> BySource:
        """The transposed array."""
        nothing = np.zeros(0, np.int64)
        return BySource(transposed(weight), nothing, nothing.astype(np.int32), np.zeros(0, weight.dtype))
