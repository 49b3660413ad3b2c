"""Synapses that are listed."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qif2hw.errors import InputError
from qif2hw.ir.arrays import IntArray, frozen
from qif2hw.ir.synapses.base import Edges, Synapses
from qif2hw.ir.synapses.by_source import BySource


@dataclass(frozen=True, eq=False)
class Sparse(Synapses):
    """Listed synapses, in compressed sparse rows: neuron ``i`` has those in ``indptr[i]:indptr[i + 1]``.

    Parameters
    ----------
    indptr
        (post + 1,), from 0 to the number of synapses, never decreasing.
    indices
        Source of each synapse, ascending within a neuron: each source at most once.
    pre
        Number of sources.

    Raises
    ------
    InputError
        If the arrays are no such list.
    """

    indptr: IntArray
    indices: NDArray[np.int32]
    pre: int

    ARRAYS = ("indptr", "indices")
    NUMBERS = ("pre",)

    def __post_init__(self) -> None:
        indptr, indices = _integers(self.indptr, "indptr"), _integers(self.indices, "indices")
        if indptr.ndim != 1 or indptr.size < 2 or indptr[0] != 0 or (np.diff(indptr) < 0).any():
            raise InputError(
                "sparse synapses: indptr must start at 0 and never decrease, one entry a neuron and one more"
            )
        if indices.shape != (int(indptr[-1]),):
            raise InputError(
                f"sparse synapses: {indices.size} indices for the {int(indptr[-1])} synapses that indptr counts"
            )
        if not 1 <= self.pre < 1 << 31:
            raise InputError(f"sparse synapses: {self.pre} sources, 1 to 2^31 - 1 are possible")
        if indices.size and not (indices.min() >= 0 and indices.max() < self.pre):
            raise InputError(
                f"sparse synapses: indices from {int(indices.min())} to {int(indices.max())} for {self.pre} sources"
            )
        object.__setattr__(self, "indptr", frozen(indptr, np.int64))
        object.__setattr__(self, "indices", frozen(indices, np.int32))
        place = self.rows * self.pre + self.indices
        if (np.diff(place) <= 0).any():
            raise InputError("sparse synapses: the sources of a neuron must be listed in ascending order, each once")

    @classmethod
    def of(cls, weight: ArrayLike) -> tuple["Sparse", NDArray[Any]]:
        """The synapses where ``weight`` (post, pre) is not zero, and their weights (synapses,)."""
        full = np.asarray(weight)
        if full.ndim != 2:
            raise InputError(f"weights have shape {full.shape}: (post, pre) is needed")
        rows, columns = np.nonzero(full)
        return cls(np.searchsorted(rows, np.arange(full.shape[0] + 1)), columns, full.shape[1]), full[rows, columns]

    @property
    def shape(self) -> tuple[int, int]:
        """(post, pre)."""
        return self.indptr.size - 1, self.pre

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """(synapses,)."""
        return (self.indices.size,)

    @property
    def count(self) -> int:
        """Number of synapses listed."""
        return int(self.indices.size)

    @property
    def index_bits(self) -> int:
        """16, or 24 for more than 2^16 neurons: the neuron of each synapse in its source's list."""
        return 16 if self.shape[0] <= 1 << 16 else 24

    @property
    def rows(self) -> IntArray:
        """Neuron of each synapse, (synapses,)."""
        return np.repeat(np.arange(self.indptr.size - 1), np.diff(self.indptr))

    @property
    def fan_in(self) -> IntArray:
        """Number of synapses of each neuron, (post,)."""
        return np.diff(self.indptr)

    @cached_property
    def _edges(self) -> Edges:
        return Edges(self.rows, self.indices.astype(np.int64), np.arange(self.count))

    def edges(self) -> Edges:
        """All synapses in the order of the list."""
        return self._edges

    def neurons(self) -> IntArray:
        """Neuron of each synapse."""
        return self.rows

    @cached_property
    def by_source_order(self) -> tuple[IntArray, NDArray[np.int32], IntArray]:
        """``begin`` (pre + 1,), ``post``, ``place`` of the synapses sorted by source, then neuron; see `BySource`."""
        place = np.argsort(self.indices, kind="stable")
        begin = np.searchsorted(self.indices[place], np.arange(self.pre + 1))
        return begin, self.rows[place].astype(np.int32), place

    def by_source(self, weight: NDArray[Any]) -> BySource:
        """Weights in the order of `by_source_order`."""
        begin, post, place = self.by_source_order
        return BySource(np.zeros((0, 0), weight.dtype), begin, post, weight[place])


def _integers(values: ArrayLike, name: str) -> IntArray:
    array = np.asarray(values)
    if array.dtype.kind not in "iu" and array.size:
        raise InputError(f"sparse synapses: {name} has type {array.dtype}, integers are needed")
    if array.size and array.max() >= 1 << 62:
        raise InputError(f"sparse synapses: {name} holds {array.max()}")
    return array.astype(np.int64)
