"""Projections that list their synapses: a layer at the cost of its non-zero weights."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray
from qif2hw.kernels import sparse
from qif2hw.neuron import QIF
from qif2hw.nn.functional import eager
from qif2hw.nn.functional.dense import WORTH_THREADS, LayerOutput
from qif2hw.nn.layer import QIFLayer, _Rounded


@dataclass(frozen=True, eq=False)
class Pattern:
    """Which synapses there are, in compressed sparse rows: neuron ``n`` has those in ``indptr[n]:indptr[n + 1]``.

    Parameters
    ----------
    indptr
        (post + 1,), from 0 to the number of synapses, never decreasing.
    indices
        Presynaptic channel of each synapse; twice the same one onto a neuron is not allowed.
    pre
        Number of presynaptic channels.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int64]
    pre: int
    begin: NDArray[np.int64] = field(init=False, repr=False)
    post_of: NDArray[np.int32] = field(init=False, repr=False)
    slot: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        indptr, indices = (np.array(v, dtype=np.int64) for v in (self.indptr, self.indices))
        if indptr.ndim != 1 or indptr.size < 2 or indptr[0] != 0 or (np.diff(indptr) < 0).any():
            raise InputError("CSR: indptr must start at 0 and never decrease, one entry per neuron and one more")
        if indices.shape != (indptr[-1],):
            raise InputError(f"CSR: {indices.size} indices for the {indptr[-1]} synapses that indptr counts")
        if indices.size and not (indices.min() >= 0 and indices.max() < self.pre):
            raise InputError(f"CSR: indices from {indices.min()} to {indices.max()} for {self.pre} input channels")
        rows = np.repeat(np.arange(indptr.size - 1), np.diff(indptr))
        if np.unique(rows * self.pre + indices).size != indices.size:
            raise InputError("CSR: a channel is listed twice for the same neuron")
        begin, post_of, slot = sparse.transpose(indptr, indices, self.pre)
        for name, value in zip(
            ("indptr", "indices", "begin", "post_of", "slot"), (indptr, indices, begin, post_of, slot), strict=True
        ):
            object.__setattr__(self, name, value)

    @property
    def shape(self) -> tuple[int, int]:
        """(post, pre)."""
        return self.indptr.size - 1, self.pre

    @property
    def rows(self) -> NDArray[np.int64]:
        """Neuron of each synapse."""
        return np.repeat(np.arange(self.shape[0]), np.diff(self.indptr))

    @classmethod
    def of(cls, weight: ArrayLike) -> "Pattern":
        """Synapses where a dense array (post, pre) is not zero."""
        dense = np.asarray(weight)
        if dense.ndim != 2:
            raise InputError(f"weights have shape {dense.shape}: (post, pre) is needed")
        rows, columns = np.nonzero(dense)
        return cls(np.searchsorted(rows, np.arange(dense.shape[0] + 1)), columns, dense.shape[1])


class _Spikes(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, times: Tensor, data: Tensor, phi0: Tensor, pattern: Pattern, neuron: QIF, trial: float, capacity: int
    ) -> tuple[Tensor, Tensor]:
        batch, pre, depth = times.shape
        post = pattern.shape[0]
        angle = neuron.omega * _array(phi0)
        layer = sparse.SparseLayer(
            _array(times).reshape(batch, pre * depth), np.zeros((0, 0)), pattern.begin, pattern.post_of,
            _array(data)[pattern.slot] / neuron.r, np.stack([np.cos(angle), np.sin(angle)]), depth, neuron.r,
            neuron.omega, trial,
        )  # fmt: skip
        chunks = max(1, min(batch // 8, 64, 2**23 // max(pattern.indices.size, 1)))
        parallel = batch * pattern.indices.size * depth * 4 > WORTH_THREADS
        while True:
            out = np.empty((batch, post, capacity)), np.empty((batch, post))
            record = sparse.SparseRecord(
                np.empty((batch, pre * depth), np.int32), np.empty(batch, np.int32),
                np.empty((batch, post, capacity + 1)), np.empty((batch, post, capacity + 1), np.int32),
                np.empty((batch, post), np.int32),
            )  # fmt: skip
            run = sparse.forward_parallel if parallel else sparse.forward
            largest = run(layer, chunks, *out, record)
            if largest < 0:
                raise InputError("an input spike time is negative or not a number: it must lie in [0, T] or be inf")
            if largest <= capacity:
                break
            capacity = max(2 * capacity, largest)
        ctx.saved = layer, chunks, record, parallel, pattern
        return torch.from_numpy(out[0]), torch.from_numpy(out[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        layer, chunks, record, parallel, pattern = ctx.saved
        to = np.empty_like(layer.times), np.empty_like(layer.a), np.empty(layer.start.shape[1])
        run = sparse.backward_parallel if parallel else sparse.backward
        run(layer, chunks, record, *(_array(g) for g in grads), *to)
        data = np.empty_like(to[1])
        data[pattern.slot] = to[1] / layer.r
        times = torch.from_numpy(to[0]).reshape(len(to[0]), pattern.pre, layer.depth)
        return times, torch.from_numpy(data), torch.from_numpy(to[2]), None, None, None, None


class _Gather(torch.autograd.Function):
    """Weighted sums of the pseudo-phases, ``psi @ weight.T``, over the synapses there are."""

    @staticmethod
    def forward(ctx: Any, psi: Tensor, data: Tensor, pattern: Pattern) -> Tensor:
        values, phases = _array(data)[pattern.slot], _array(psi)
        shear = np.empty((len(phases), pattern.shape[0]))
        sparse.gather(pattern.begin, pattern.post_of, values, phases, shear)
        ctx.saved = pattern, values, phases
        return torch.from_numpy(shear)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        pattern, values, phases = ctx.saved
        to_a, to_psi = np.empty_like(values), np.empty_like(phases)
        sparse.scatter(pattern.begin, pattern.post_of, values, phases, _array(grads[0]), to_a, to_psi)
        data = np.empty_like(to_a)
        data[pattern.slot] = to_a
        return torch.from_numpy(to_psi), torch.from_numpy(data), None


def _array(tensor: Tensor) -> FloatArray:
    return tensor.detach().contiguous().numpy()


def layer(
    times: Tensor, psi: Tensor | None, data: Tensor, phi0: Tensor, *, pattern: Pattern, neuron: QIF, trial: float,
    capacity: int = 2,
) -> LayerOutput:  # fmt: skip
    """As `qif2hw.nn.functional.dense.layer`, with weights ``data`` of the synapses in ``pattern``.

    Computed in float64; results have the type of ``times``.  ``psi`` may be None where all sources are inputs.
    """
    post, pre = pattern.shape
    if times.ndim != 3 or times.shape[1] != pre or data.shape != pattern.indices.shape or phi0.shape != (post,):
        raise InputError(
            f"sparse layer: times {tuple(times.shape)}, data {tuple(data.shape)} and phi0 {tuple(phi0.shape)} do not "
            f"fit {post} neurons with {pre} inputs and {pattern.indices.size} synapses"
        )
    kind = times.dtype
    times, data, phi0 = times.double(), data.double(), phi0.double()
    spikes, theta = _Spikes.apply(times, data, phi0, pattern, neuron, float(trial), max(1, capacity))
    if psi is not None:
        theta = eager.kick(theta, _Gather.apply(psi.double(), data, pattern) / neuron.r)
    return LayerOutput(
        spikes.to(kind), (theta / torch.pi).to(kind), (trial + (torch.pi - theta) / neuron.omega).to(kind)
    )


class SparseQIFLayer(QIFLayer):
    """QIF neurons with the synapses of a `Pattern`; takes the place of a `QIFLayer` in a network.

    Parameters
    ----------
    pattern
        Which synapses there are.
    data
        Their weights, in the order of ``pattern.indices``; by default uniform in ``+-spread / sqrt(fan_in)`` with each
        neuron's own number of synapses.
    trial, neuron, weight_bits, spread, phases, generator, dtype
        As of `QIFLayer`.
    """

    def __init__(
        self,
        pattern: Pattern,
        data: ArrayLike | None = None,
        *,
        trial: float,
        neuron: QIF | None = None,
        weight_bits: int | None = None,
        spread: float = 0.9,
        phases: tuple[float, float] = (2.0, 5.0),
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        # Not QIFLayer's own, which makes a dense weight.
        nn.Module.__init__(self)
        self.pattern, self.neuron, self.trial = pattern, neuron or QIF(), trial
        self.weight_bits = weight_bits
        self.capacity = 2
        if data is None:
            fan_in = torch.from_numpy(np.diff(pattern.indptr)[pattern.rows]).double()
            uniform = torch.rand(pattern.indices.size, generator=generator, dtype=torch.float64)
            values = spread / fan_in.sqrt() * (2 * uniform - 1)
        else:
            values = torch.as_tensor(np.asarray(data, dtype=np.float64))
        if values.shape != pattern.indices.shape:
            raise InputError(f"{tuple(values.shape)} weights for {pattern.indices.size} synapses")
        start = torch.rand(pattern.shape[0], generator=generator, dtype=torch.float64)
        self.weight = nn.Parameter(values.to(dtype))
        self.phi0 = nn.Parameter((phases[0] + (phases[1] - phases[0]) * start).to(dtype))
        self.keep_inside()

    def effective_data(self) -> Tensor:
        """Weights of the synapses as the neurons see them: on the grid if `weight_bits` says so."""
        if self.weight_bits is None:
            return self.weight
        rounded: Tensor = _Rounded.apply(self.weight, self.weight_bits)
        return rounded

    def effective_weight(self) -> Tensor:
        """The same as a dense array (post, pre)."""
        places = torch.from_numpy(self.pattern.rows), torch.from_numpy(self.pattern.indices)
        return self.weight.new_zeros(self.pattern.shape).index_put(places, self.effective_data())

    def forward(self, times: Tensor, psi: Tensor | None = None, **options: Any) -> LayerOutput:
        """As `QIFLayer.forward`; any of its other ways to compute it sees a dense weight."""
        if any(option not in (None, False, "kernel") for option in options.values()):
            return super().forward(times, psi, **options)
        out = layer(
            times, psi, self.effective_data(), self.phi0, pattern=self.pattern, neuron=self.neuron, trial=self.trial,
            capacity=self.capacity,
        )  # fmt: skip
        self.capacity = out.times.shape[2]
        return out
