"""Which synapses a projection has, apart from their weights: all to all, or the ones that are listed.

A projection holds one array of weights, float or integer, and its synapses say what each of them connects.  So the same
object serves the float network, the integer program, a torch layer and a file; a new kind is one class here, listed in
`AnySynapses`, that says its shapes and its `Synapses.edges`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qif2hw.errors import InputError
from qif2hw.ir.arrays import ByValue, IntArray, frozen


class Edges(NamedTuple):
    """Every synapse, sorted by neuron: ``weight.ravel()[place[k]]`` leads from source ``pre[k]`` to ``post[k]``."""

    post: IntArray
    pre: IntArray
    place: IntArray


class BySource(NamedTuple):
    """Weights in the order in which spikes ask for them, as compiled loops take them.

    Parameters
    ----------
    rows
        All to all: (pre, post), the weights of source ``j`` in row ``j``.  Of shape (0, 0) where synapses are listed.
    begin, post, weight
        Listed: source ``j`` reaches neurons ``post[begin[j]:begin[j + 1]]`` with ``weight`` at the same places; empty
        where ``rows`` is not.
    """

    rows: NDArray[Any]
    begin: IntArray
    post: NDArray[np.int32]
    weight: NDArray[Any]

    def add(self, sent: NDArray[Any], total: NDArray[Any]) -> None:
        """Add the weights of what sources sent, (samples, pre), to the sums of the neurons, (samples, post).

        The cost is that of the synapses of sources that sent something.  Integer sums are exact below 2^53.
        """
        active = np.flatnonzero(sent.any(axis=0))
        if self.rows.size:
            if active.size:
                total += (sent[:, active] @ self.rows[active].astype(np.float64)).astype(total.dtype)
            return
        for j in active:
            part = slice(self.begin[j], self.begin[j + 1])
            total[:, self.post[part]] += sent[:, j, None].astype(total.dtype) * self.weight[part].astype(total.dtype)


class Synapses(ABC, ByValue):
    """Synapses of a projection; weights are handed in, (post, pre) names the neurons that receive and that send."""

    ARRAYS: ClassVar[tuple[str, ...]]
    NUMBERS: ClassVar[tuple[str, ...]]
    """Fields that are arrays and fields that are integers, for files; those that the weights imply are left out."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """(post, pre)."""

    @property
    @abstractmethod
    def weight_shape(self) -> tuple[int, ...]:
        """Shape of the array of weights."""

    @property
    @abstractmethod
    def count(self) -> int:
        """Number of synapses."""

    @property
    @abstractmethod
    def index_bits(self) -> int:
        """Bits that a core stores beside each weight to know which neuron it belongs to (status: inferred)."""

    @abstractmethod
    def edges(self) -> Edges:
        """All synapses, sorted by neuron, then source."""

    def check(self, weight: NDArray[Any], where: str) -> None:
        """`InputError`, naming ``where``, unless the weights have the shape that these synapses need."""
        if weight.shape != self.weight_shape:
            raise InputError(f"{where}: the weight has shape {weight.shape}, {self.weight_shape} is needed")

    @property
    def fan_in(self) -> IntArray:
        """Number of synapses of each neuron, (post,)."""
        return np.bincount(self.edges().post, minlength=self.shape[0])

    def dense(self, weight: NDArray[Any]) -> NDArray[Any]:
        """Weights as an array (post, pre), with zeros where there is no synapse."""
        post, pre, place = self.edges()
        full = np.zeros(self.shape, weight.dtype)
        full[post, pre] = weight.ravel()[place]
        return full

    def sums(self, weight: NDArray[Any]) -> NDArray[Any]:
        """Sum of the weights of each neuron, (post,)."""
        post, _, place = self.edges()
        total = np.zeros(self.shape[0], weight.dtype)
        np.add.at(total, post, weight.ravel()[place])
        return total

    def of_neuron(self, weight: NDArray[Any], neuron: int) -> tuple[IntArray, NDArray[Any]]:
        """Sources of one neuron, and the weights from them."""
        post, pre, place = self.edges()
        low, high = np.searchsorted(post, [neuron, neuron + 1])
        return pre[low:high], weight.ravel()[place[low:high]]

    def apply(self, weight: NDArray[Any], sent: NDArray[Any]) -> NDArray[Any]:
        """Sums of weights over what sources sent, ``sum_j w_ij sent_j``: (..., pre) to (..., post).

        In the type of the product.  Integers are added as float64, which is exact below 2^53.
        """
        post, pre = self.shape
        total = np.empty((*sent.shape[:-1], post), np.result_type(weight, sent))
        # Neuron by neuron the array would be dense anyway: a block bounds its memory.
        block = max(1, _BLOCK // max(pre, 1))
        for low in range(0, post, block):
            rows = self._rows(weight, low, min(post, low + block))
            total[..., low : low + block] = sent.astype(np.float64, copy=False) @ rows.T.astype(np.float64, copy=False)
        return total

    def _rows(self, weight: NDArray[Any], low: int, high: int) -> NDArray[Any]:
        """`dense` of the neurons from ``low`` to ``high``."""
        post, pre, place = self.edges()
        first, last = np.searchsorted(post, [low, high])
        rows = np.zeros((high - low, self.shape[1]), weight.dtype)
        rows[post[first:last] - low, pre[first:last]] = weight.ravel()[place[first:last]]
        return rows

    def by_source(self, weight: NDArray[Any]) -> BySource:
        """Weights by the source that asks for them."""
        post, pre, place = self.edges()
        order = np.argsort(pre, kind="stable")
        begin = np.searchsorted(pre[order], np.arange(self.shape[1] + 1))
        return BySource(
            np.zeros((0, 0), weight.dtype), begin, post[order].astype(np.int32), weight.ravel()[place[order]]
        )


_BLOCK = 1 << 24


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

    def edges(self) -> Edges:
        """All pairs."""
        post, pre = np.divmod(np.arange(self.count), self.pre)
        return Edges(post, pre, np.arange(self.count))

    def dense(self, weight: NDArray[Any]) -> NDArray[Any]:
        """The weights themselves."""
        return weight

    def sums(self, weight: NDArray[Any]) -> NDArray[Any]:
        """Sum of each row."""
        return np.asarray(weight.sum(axis=1))

    def of_neuron(self, weight: NDArray[Any], neuron: int) -> tuple[IntArray, NDArray[Any]]:
        """All sources, and the neuron's row."""
        return np.arange(self.pre), weight[neuron]

    def apply(self, weight: NDArray[Any], sent: NDArray[Any]) -> NDArray[Any]:
        """Matrix product."""
        total = sent.astype(np.float64, copy=False) @ weight.T.astype(np.float64, copy=False)
        return total.astype(np.result_type(weight, sent), copy=False)

    def by_source(self, weight: NDArray[Any]) -> BySource:
        """The transposed array."""
        nothing = np.zeros(0, np.int64)
        return BySource(np.ascontiguousarray(weight.T), nothing, nothing.astype(np.int32), np.zeros(0, weight.dtype))


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
        """The synapses where an array (post, pre) is not zero, and their weights."""
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
        """Neuron of each synapse."""
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


AnySynapses: TypeAlias = Dense | Sparse
"""Every kind of synapses."""


NOT_GIVEN: Any = None
"""Default of a projection's synapses, which makes them all to all."""

LEFT_OUT = {"implied": Dense}
"""Metadata of that field: synapses of this kind follow from the weights and are left out of files."""


def checked_synapses(synapses: AnySynapses | None, weight: NDArray[Any], where: str) -> AnySynapses:
    """Synapses of a projection, `Dense` where none are given; `InputError` if the weights have another shape."""
    if synapses is None:
        if weight.ndim != 2:
            raise InputError(f"{where}: the weight has shape {weight.shape}, (post, pre) is needed")
        return Dense(*weight.shape)
    synapses.check(weight, where)
    return synapses


def join(parts: Sequence[BySource]) -> BySource:
    """Synapses from several groups onto one population, whose sources are numbered through."""
    if len(parts) == 1:
        return parts[0]
    if all(part.rows.size for part in parts):
        return parts[0]._replace(rows=np.concatenate([part.rows for part in parts]))
    listed = [_listed(part) for part in parts]
    ends = np.cumsum([0, *(part.weight.size for part in listed)])
    begin = [part.begin[:-1] + end for part, end in zip(listed, ends, strict=False)]
    return BySource(
        listed[0].rows,
        np.concatenate([*begin, ends[-1:]]),
        np.concatenate([part.post for part in listed]),
        np.concatenate([part.weight for part in listed]),
    )


def _listed(part: BySource) -> BySource:
    if not part.rows.size:
        return part
    pre, post = part.rows.shape
    neurons = np.tile(np.arange(post, dtype=np.int32), pre)
    return BySource(np.zeros((0, 0), part.rows.dtype), np.arange(pre + 1) * post, neurons, part.rows.ravel())


def _integers(values: ArrayLike, name: str) -> IntArray:
    array = np.asarray(values)
    if array.dtype.kind not in "iu" and array.size:
        raise InputError(f"sparse synapses: {name} has type {array.dtype}, integers are needed")
    if array.size and array.max() >= 1 << 62:
        raise InputError(f"sparse synapses: {name} holds {array.max()}")
    return array.astype(np.int64)
