"""The compiled layer as a torch function."""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from qif2hw.errors import InputError
from qif2hw.neuron import QIF
from qif2hw.nn import kernel, records
from qif2hw.nn.events import most_steps
from qif2hw.nn.vector import padded

RENORMALISE_AFTER = {"float64": 100.0, "float32": 16.0}
"""Growth of a vector, in bits, after which its length is renormalised."""

WORTH_THREADS = 1_000_000
"""Updates (input spikes times neurons times samples) of a layer from which on threads pay, even if others work too."""

EVENT_COST = 64
"""What an input spike costs besides its updates (its place in the order, its angle), in updates."""


class LayerOutput(NamedTuple):
    """What a layer sends on.

    Parameters
    ----------
    times
        Ordinary spike times (batch, neurons, K), in order, padded with infinity.
    psi
        Pseudo-phases at the trial's end (batch, neurons), in [0, 1].
    next
        Time of the first spike after the trial (a pseudospike), (batch, neurons).
    """

    times: Tensor
    psi: Tensor
    next: Tensor

    @property
    def number(self) -> Tensor:
        """Number of ordinary spikes (batch, neurons)."""
        return torch.isfinite(self.times).sum(dim=2)

    def first(self) -> Tensor:
        """First spike times (batch, neurons), ordinary or pseudo."""
        if self.times.shape[2] == 0:
            return self.next
        first = self.times[:, :, 0]
        return torch.where(torch.isinf(first), self.next, first)

    def spike(self, k: int, period: float) -> Tensor:
        """Times of the ``k``-th spikes (batch, neurons), ``k = 1, 2 ...``, ordinary or pseudo."""
        pseudo = self.next + (k - 1 - self.number) * period
        if k > self.times.shape[2]:
            return pseudo
        ordinary = self.times[:, :, k - 1]
        return torch.where(torch.isinf(ordinary), pseudo, ordinary)


def _chunks(batch: int, cells: int) -> int:
    # Depends on sizes alone: every bit of a gradient is the same on any number of threads.
    return max(1, min(batch // 8, 64, 2**23 // max(cells, 1)))


def _array(tensor: Tensor) -> NDArray[Any]:
    array = tensor.detach().numpy()
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, times: Tensor, psi: Tensor, weight: Tensor, phi0: Tensor, neuron: QIF, trial: float,
        capacity: int, limit: float,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        layer = _prepare(times, psi, weight, phi0, neuron, trial, limit)
        batch, post, dtype = times.shape[0], weight.shape[0], layer.a.dtype
        chunks = _chunks(batch, layer.a.size)
        parallel = batch * (layer.times.shape[1] * (layer.start.shape[1] + EVENT_COST) + 4 * post) > WORTH_THREADS
        while True:
            out = records.Spikes(
                np.empty((batch, post, capacity), dtype),
                np.empty((batch, post), dtype),
                np.empty((batch, post), dtype),
            )
            record = _record(batch, layer.times.shape[1], post, capacity, dtype)
            largest = (kernel.forward_parallel if parallel else kernel.forward)(layer, chunks, out, record)
            if largest < 0:
                raise InputError("an input spike time is negative or not a number: it must lie in [0, T] or be inf")
            if largest <= capacity:
                break
            capacity *= 2
        ctx.saved = (layer, chunks, record, parallel)
        ctx.shape = times.shape
        return torch.from_numpy(out.times), torch.from_numpy(out.psi), torch.from_numpy(out.next)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        layer, chunks, record, parallel = ctx.saved
        grad = records.Spikes(*(_array(g) for g in grads))
        pre, post, dtype = layer.psi.shape[1], grad.psi.shape[1], layer.a.dtype
        to = records.Gradients(
            np.empty_like(layer.times),
            np.empty_like(layer.psi),
            np.empty((pre, post), dtype),
            np.empty(post, dtype),
        )
        (kernel.backward_parallel if parallel else kernel.backward)(layer, chunks, record, grad, to)
        times, psi, weight, phi0 = (torch.from_numpy(array) for array in to)
        return times.reshape(ctx.shape), psi, weight.T, phi0, None, None, None, None


def _prepare(
    times: Tensor, psi: Tensor, weight: Tensor, phi0: Tensor, neuron: QIF, trial: float, limit: float
) -> records.Layer:
    post, pre = weight.shape
    batch, _, depth = times.shape
    spikes = _array(times).reshape(batch, pre * depth)
    pad = padded(post, spikes.dtype)
    a, start = np.empty((pre + 1, pad), spikes.dtype), np.empty((2, pad), spikes.dtype)
    growth = np.empty(pre + 1)
    kernel.prepare(_array(weight), _array(phi0), neuron.r, neuron.omega, a, growth, start)
    most = most_steps(pre * depth, trial, neuron.omega)
    return records.Layer(
        spikes, _array(psi), a.ravel(), growth, start, depth, neuron.r, neuron.omega, trial, limit, most
    )


def _record(batch: int, inputs: int, post: int, capacity: int, dtype: Any) -> records.Record:
    spikes = (batch, post * capacity)
    return records.Record(
        order=np.empty((batch, inputs), np.int32),
        events=np.empty(batch, np.int32),
        fired=np.empty(batch, np.int32),
        fired_by=np.empty(spikes, np.int32),
        fired_in=np.empty(spikes, np.int32),
        length2=np.empty(spikes, dtype),
        scale=np.empty(spikes, np.int32),
        end_length2=np.empty((batch, post), dtype),
        end_scale=np.empty((batch, post), np.int32),
    )


def check(times: Tensor, psi: Tensor, weight: Tensor, phi0: Tensor, trial: float) -> None:
    """Refuse arguments of a layer that do not fit each other."""
    if times.ndim != 3 or weight.ndim != 2 or psi.shape != times.shape[:2] or weight.shape[1] != times.shape[1]:
        raise InputError(
            f"layer inputs: times {tuple(times.shape)}, psi {tuple(psi.shape)}, weight {tuple(weight.shape)} "
            "do not fit; (batch, pre, K), (batch, pre) and (post, pre) are needed"
        )
    if phi0.shape != weight.shape[:1]:
        raise InputError(f"layer inputs: phi0 has shape {tuple(phi0.shape)}, ({weight.shape[0]},) is needed")
    if {times.dtype, psi.dtype, weight.dtype, phi0.dtype} not in ({torch.float64}, {torch.float32}):
        raise InputError("layer inputs: times, psi, weight and phi0 need one type, float64 or float32")
    if not (math.isfinite(trial) and trial > 0):
        raise InputError(f"trial T = {trial:g}: a positive length is needed")


def layer(
    times: Tensor, psi: Tensor, weight: Tensor, phi0: Tensor, *, neuron: QIF, trial: float, capacity: int = 2,
    renormalise_after: float | None = None,
) -> LayerOutput:  # fmt: skip
    """One layer of QIF neurons with the closed-form gradient, on the CPU.

    Parameters
    ----------
    times
        Input spike times (batch, pre, K), padded with infinity; those after ``trial`` are ignored.
    psi
        Pseudo-phases of the presynaptic neurons (batch, pre); zero for input channels.
    weight, phi0
        (post, pre) and (post,).  Several projections onto one population: concatenate the sources.
    neuron, trial
        Parameters of the neurons and the trial's length.
    capacity
        Spikes per neuron to make room for; doubled until every spike fits.
    renormalise_after
        Growth in bits after which lengths are renormalised; the default suits the element type.
    """
    check(times, psi, weight, phi0, trial)
    if renormalise_after is None:
        renormalise_after = RENORMALISE_AFTER[str(times.dtype).removeprefix("torch.")]
    return LayerOutput(
        *_Layer.apply(times, psi, weight, phi0, neuron, float(trial), max(1, capacity), renormalise_after)
    )
