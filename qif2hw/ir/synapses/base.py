"""What every kind of synapses can say and do."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qif2hw.errors import InputError
from qif2hw.ir.arrays import ByValue, IntArray
from qif2hw.ir.synapses.by_source import BySource

_BLOCK = 1 << 24
"""Entries of a full array that are worked on at a time."""


def working_type(weight: NDArray[Any], sent: NDArray[Any]) -> Any:
    """Type in which products of ``weight`` and ``sent``, of any shape, are added: their own, float64 for integers."""
    kind = np.result_type(weight, sent)
    return kind if np.issubdtype(kind, np.floating) else np.float64


class Edges(NamedTuple):
    """Every synapse, sorted by neuron: ``weight.ravel()[place[k]]`` leads from ``pre[k]`` to ``post[k]``.

    All have shape (synapses,).
    """

    post: IntArray
    pre: IntArray
    place: IntArray


class Synapses(ABC, ByValue):
    """Synapses of a projection; (post, pre) names the neurons that receive and that send.

    Weights are handed in: an array ``weight`` of `weight_shape`, integers or floats.
    """

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

    @abstractmethod
    def neurons(self) -> IntArray:
        """A neuron that uses each weight (the first of those that share it), of the weights' shape."""

    def neurons_alone(self, low: int, high: int) -> "Synapses | None":
        """The synapses of the neurons from ``low`` to ``high`` (exclusive), whose weights are ``weight[low:high]``.

        None where weights do not lie by neuron.
        """
        return None

    def check(self, weight: NDArray[Any], where: str) -> None:
        """`InputError`, naming ``where``, unless the weights have the shape that these synapses need."""
        if weight.shape != self.weight_shape:
            raise InputError(f"{where}: the weight has shape {weight.shape}, {self.weight_shape} is needed")

    @property
    def fan_in(self) -> IntArray:
        """Number of synapses of each neuron, (post,)."""
        return np.bincount(self.edges().post, minlength=self.shape[0])

    @property
    def fan_out(self) -> IntArray:
        """Number of synapses of each source, (pre,)."""
        return np.bincount(self.edges().pre, minlength=self.shape[1])

    def fan_out_to(self, first: int, stop: int) -> IntArray:
        """Number of synapses of each source that lead to neurons ``first`` to ``stop`` (exclusive), (pre,)."""
        post, pre, _ = self.edges()
        low, high = np.searchsorted(post, [first, stop])
        return np.bincount(pre[low:high], minlength=self.shape[1])

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

    def signed_sums(self, weight: NDArray[Any]) -> tuple[IntArray, IntArray]:
        """Sums of the positive integer weights of each neuron, (post,), and of the negative ones without sign."""
        values = weight.astype(np.int64)
        return self.sums(np.maximum(values, 0)), self.sums(np.maximum(-values, 0))

    def of_neuron(self, weight: NDArray[Any], neuron: int) -> tuple[IntArray, NDArray[Any]]:
        """Sources of one neuron, (fan-in,), and the weights from them, (fan-in,); ``weight`` has `weight_shape`."""
        post, pre, place = self.edges()
        low, high = np.searchsorted(post, [neuron, neuron + 1])
        return pre[low:high], weight.ravel()[place[low:high]]

    def apply(self, weight: NDArray[Any], sent: NDArray[Any]) -> NDArray[Any]:
        """Sums of weights over what sources sent, ``sum_j w_ij sent_j``: (..., pre) to (..., post).

        In the type of the product.  Integers are added as float64, which is exact below 2^53; float32 stays float32.
        """
        (post, pre), kind = self.shape, working_type(weight, sent)
        total = np.empty((*sent.shape[:-1], post), np.result_type(weight, sent))
        # Neuron by neuron the array would be dense anyway: a block bounds its memory.
        block = max(1, _BLOCK // max(pre, 1))
        for low in range(0, post, block):
            rows = self.part(weight, low, min(post, low + block))
            total[..., low : low + block] = sent.astype(kind, copy=False) @ rows.T.astype(kind, copy=False)
        return total

    def part(self, weight: NDArray[Any], low: int, high: int) -> NDArray[Any]:
        """`dense` of the neurons from ``low`` to ``high`` (exclusive) alone, (high - low, pre)."""
        post, pre, place = self.edges_of(low, high)
        rows = np.zeros((high - low, self.shape[1]), weight.dtype)
        rows[post - low, pre] = weight.ravel()[place]
        return rows

    def edges_of(self, low: int, high: int) -> Edges:
        """`edges` of the neurons from ``low`` to ``high`` (exclusive) alone."""
        post, pre, place = self.edges()
        first, last = np.searchsorted(post, [low, high])
        return Edges(post[first:last], pre[first:last], place[first:last])

    def by_source(self, weight: NDArray[Any]) -> BySource:
        """Weights, of the shape `weight_shape`, by the source that asks for them."""
        post, pre, place = self.edges()
        order = np.argsort(pre, kind="stable")
        begin = np.searchsorted(pre[order], np.arange(self.shape[1] + 1))
        return BySource(
            np.zeros((0, 0), weight.dtype), begin, post[order].astype(np.int32), weight.ravel()[place[order]]
        )
