"""The compiled chain of layers as a torch function."""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from qif2hw.errors import InputError
from qif2hw.neuron import QIF
from qif2hw.nn import chain as kernels
from qif2hw.nn.layout import PHI0, SIZE, SPIKES, START, WEIGHT, Layout, layout
from qif2hw.nn.records import Chain, Gradients
from qif2hw.nn.vector import lanes_of

RENORMALISE_AFTER = {"float64": 100.0, "float32": 16.0}
"""Growth of a vector, in bits, after which its length is renormalised."""

WORTH_THREADS = 1_000_000
"""Updates (input spikes times neurons times samples) of a pass from which on threads pay, even if others work too."""

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


class _Chain(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, neuron: QIF, trial: float, limit: float, capacities: tuple[int, ...], times: Tensor, psi: Tensor,
        *parameters: Tensor,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        ctx.set_materialize_grads(False)
        batch, pre, depth = times.shape
        sizes = (pre, *(phi0.shape[0] for phi0 in parameters[1::2]))
        depths = (depth, *capacities)
        weight, phi0 = (torch.cat([p.reshape(-1) for p in parameters[k::2]]).numpy() for k in (0, 1))
        largest = np.empty(len(sizes), np.int64)
        while True:
            plan = layout(batch, sizes, depths, weight.dtype)
            parallel = plan.work > WORTH_THREADS
            chain = _allocate(plan, batch, weight, phi0, neuron, trial, limit)
            chain.out[: times.numel()] = times.numpy().reshape(-1)
            chain.out[chain.spikes : chain.spikes + psi.numel()] = psi.numpy().reshape(-1)
            (kernels.forward_parallel if parallel else kernels.forward)(chain, _chunks(batch, plan.cells), largest)
            most = largest.tolist()
            if min(most) < 0:
                raise InputError("an input spike time is negative or not a number: it must lie in [0, T] or be inf")
            fitting = tuple(2 * room if n > room else room for n, room in zip(most, depths, strict=True))
            if fitting == depths:
                break
            depths = fitting
        ctx.saved = chain, plan, parallel
        ctx.shape = times.shape
        found = []
        for size, depth, _, spikes, ends, *_ in plan.rows[1:]:
            psi, pseudo = chain.spikes + ends, chain.spikes + chain.ends + ends
            found.append(torch.from_numpy(chain.out[spikes : spikes + batch * size * depth].reshape(batch, size, depth)))
            found.append(torch.from_numpy(chain.out[psi : psi + batch * size].reshape(batch, size)))
            found.append(torch.from_numpy(chain.out[pseudo : pseudo + batch * size].reshape(batch, size)))
        return tuple(found)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        chain, plan, parallel = ctx.saved
        batch = ctx.shape[0]
        given = [g for g in grads if g is not None]
        place = np.full((len(grads) // 3 + 1, 3), -1)
        begin = 0
        for k, grad in enumerate(grads):
            if grad is not None:
                place[1 + k // 3, k % 3] = begin
                begin += grad.numel()
        to = Gradients(
            np.empty_like(chain.out), torch.cat([g.reshape(-1) for g in given]).numpy() if given else chain.out[:0],
            place, np.empty_like(chain.weight), np.empty_like(chain.phi0),
        )  # fmt: skip
        (kernels.backward_parallel if parallel else kernels.backward)(chain, _chunks(batch, plan.cells), to)
        found: list[Tensor | None] = [None] * 4
        found.append(torch.from_numpy(to.out[: ctx.shape.numel()].reshape(ctx.shape)))
        found.append(torch.from_numpy(to.out[chain.spikes : chain.spikes + batch * ctx.shape[1]].reshape(batch, -1)))
        for past, here in itertools.pairwise(plan.rows):
            pre, post, weight, phi0 = past[SIZE], here[SIZE], here[WEIGHT], here[PHI0]
            found.append(torch.from_numpy(to.weight[weight : weight + post * pre].reshape(post, pre)))
            found.append(torch.from_numpy(to.phi0[phi0 : phi0 + post]))
        return tuple(found)


def _allocate(plan: Layout, batch: int, weight: Any, phi0: Any, neuron: QIF, trial: float, limit: float) -> Chain:
    spikes, ends, a, growth, start = plan.totals[SPIKES : START + 1]
    levels, dtype = len(plan.table), weight.dtype
    return Chain(
        plan.table, spikes, ends, weight, phi0, _aligned(a, dtype), np.empty(growth), np.empty(start, dtype),
        np.empty(spikes + 2 * ends, dtype), np.empty(4 * spikes + ends, np.int32), np.empty(spikes + ends, dtype),
        np.empty((2, levels, batch), np.int32), neuron.r, neuron.omega, trial, limit,
    )  # fmt: skip


def _aligned(size: int, dtype: Any) -> NDArray[Any]:
    """New array whose vectors do not straddle cache lines."""
    room = np.empty(size + lanes_of(dtype), dtype)
    shift = -(room.__array_interface__["data"][0] // room.itemsize) % lanes_of(dtype)
    return room[shift : shift + size]


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


def _check_link(before: Tensor, weight: Tensor, phi0: Tensor) -> None:
    if weight.ndim != 2 or (weight.shape[1],) != before.shape or phi0.shape != weight.shape[:1]:
        raise InputError(
            f"layers: weight {tuple(weight.shape)} and phi0 {tuple(phi0.shape)} do not fit each other "
            f"or the {before.shape[0]} neurons before them"
        )
    if not before.dtype == weight.dtype == phi0.dtype:
        raise InputError("layers: weights and phi0 of all layers need one type, float64 or float32")


def chain(
    times: Tensor, psi: Tensor, layers: Sequence[tuple[Tensor, Tensor]], *, neuron: QIF, trial: float,
    capacities: Sequence[int], renormalise_after: float | None = None,
) -> list[LayerOutput]:  # fmt: skip
    """Layers of QIF neurons one behind the other, with the closed-form gradient, on the CPU.

    Parameters
    ----------
    times
        Input spike times (batch, pre, K), padded with infinity; those after ``trial`` are ignored.
    psi
        Pseudo-phases of the presynaptic neurons (batch, pre); zero for input channels.
    layers
        Weights (post, pre) and initial phases (post,) of each.  Several projections onto one population: concatenate
        the sources.
    neuron, trial
        Parameters of the neurons and the trial's length.
    capacities
        Spikes per neuron to make room for in each layer; doubled until every spike fits.
    renormalise_after
        Growth in bits after which lengths are renormalised; the default suits the element type.

    Returns
    -------
    list[LayerOutput]
        What each layer sends on.
    """
    check(times, psi, *layers[0], trial)
    for (_, before), (weight, phi0) in itertools.pairwise(layers):
        _check_link(before, weight, phi0)
    if renormalise_after is None:
        renormalise_after = RENORMALISE_AFTER[str(times.dtype).removeprefix("torch.")]
    rooms = tuple(max(1, capacity) for capacity in capacities)
    parameters = (tensor for pair in layers for tensor in pair)
    out = _Chain.apply(neuron, float(trial), renormalise_after, rooms, times, psi, *parameters)
    return [LayerOutput(*out[k : k + 3]) for k in range(0, len(out), 3)]


def layer(
    times: Tensor, psi: Tensor, weight: Tensor, phi0: Tensor, *, neuron: QIF, trial: float, capacity: int = 2,
    renormalise_after: float | None = None,
) -> LayerOutput:  # fmt: skip
    """One layer of QIF neurons: a `chain` of one."""
    return chain(
        times, psi, [(weight, phi0)], neuron=neuron, trial=trial, capacities=[capacity],
        renormalise_after=renormalise_after,
    )[0]  # fmt: skip
