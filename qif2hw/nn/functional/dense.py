"""The compiled chain of layers as a torch function."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import numba
import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from qif2hw.errors import InputError
from qif2hw.kernels import dense_chain as kernels
from qif2hw.kernels.buffers import Chain, Gradients
from qif2hw.kernels.layout import PARAMETERS, SIZE, Layout, layout
from qif2hw.kernels.simd import aligned
from qif2hw.neuron import QIF

RENORMALISE_AFTER = {torch.float64: 100.0, torch.float32: 16.0}
"""Growth of a vector, in bits, after which its length is renormalised."""

WORTH_THREADS = 1_000_000
"""Updates (input spikes times neurons times samples) of a pass from which on threads pay, even if others work too."""


class LayerOutput(NamedTuple):
    """What a layer sends on.

    Attributes
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


_NONE = (None, None)


@dataclass(frozen=True, eq=False)
class Run:
    """A forward pass through layers one behind the other.

    Parameters
    ----------
    y
        Results (batch, outputs) of the readout, ``offset[m] + scale[m] * (t[2m + 1] - t[2m])``; empty without one.
    first
        First spike times ``t`` of the last layer (batch, 2 outputs).
    told
        Tells what each layer sends on; see `layers`.
    """

    y: Tensor
    first: Tensor
    told: Callable[[], list[LayerOutput]]

    @cached_property
    def layers(self) -> list[LayerOutput]:
        """What each layer sends on; put together when first asked for."""
        return self.told()


def _chunks(batch: int, cells: int) -> int:
    # Depends on sizes alone: every bit of a gradient is the same on any number of threads.
    return max(1, min(batch // 8, 64, 2**23 // max(cells, 1)))


class _Chain(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, neuron: QIF, trial: float, limit: float, capacities: tuple[int, ...],
        encoder: tuple[Tensor, Tensor] | None, readout: tuple[Tensor, Tensor] | None, times: Tensor,
        psi: Tensor | None, *parameters: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Layout]:  # fmt: skip
        ctx.set_materialize_grads(False)
        batch, pre, depth = times.shape if encoder is None else (*times.shape, 1)
        sizes = (pre, *(phi0.shape[0] for phi0 in parameters[1::2]))
        depths = (depth, *capacities)
        given = times.contiguous()
        spikes = given.numpy().reshape(batch, pre * depth)
        dtype = spikes.dtype
        if encoder is not None:
            spikes = np.empty_like(spikes)
        phases = np.zeros((batch, pre), dtype) if psi is None else psi.contiguous().numpy()
        # The kernels know the addresses alone of what is listed here.
        live = [None if t is None else t.contiguous() for t in (*(readout or _NONE), *parameters, *(encoder or _NONE))]
        addresses = np.array([0 if t is None else t.data_ptr() for t in live]).reshape(-1, 2)
        outputs = 0 if readout is None else len(readout[0])
        largest = np.empty(len(sizes), np.int64)
        while True:
            plan = layout(batch, sizes, depths, trial * neuron.omega, dtype)
            parallel = plan.work > WORTH_THREADS
            _, _, _, _, spots, ends, steps, a, growth, start, _ = plan.totals
            chain = Chain(
                spikes, phases, 0 if encoder is None else given.data_ptr(), plan.table, spots, ends, steps, addresses,
                np.empty((batch, outputs), dtype), np.empty((batch, 2 * outputs), dtype),
                aligned(a, spikes), np.empty(growth), np.empty(start, dtype),
                np.empty(spots + 2 * ends - spikes.size - 2 * phases.size, dtype), np.empty(4 * spots + ends, np.int32),
                np.empty(spots + ends, dtype), np.empty(2 * steps, dtype), np.empty(2 * steps, np.int32),
                np.empty((2, len(sizes), batch), np.int32),
                neuron.r, neuron.omega, trial, limit,
            )  # fmt: skip
            (kernels.forward_parallel if parallel else kernels.forward)(chain, _chunks(batch, plan.cells), largest)
            most = largest.tolist()
            if min(most) < 0:
                raise InputError("an input spike time is negative or not a number: it must lie in [0, T] or be inf")
            fitting = tuple(2 * room if n > room else room for n, room in zip(most, depths, strict=True))
            if fitting == depths:
                break
            depths = fitting
        ctx.saved = chain, plan, parallel, live
        ctx.shape, ctx.encoder = times.shape, encoder
        return torch.from_numpy(chain.y), torch.from_numpy(chain.first), torch.from_numpy(chain.out), plan

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        chain, plan, parallel, _ = ctx.saved
        live = [None if g is None else g.contiguous() for g in grads[:3]]
        to = Gradients(
            np.empty_like(chain.times), np.empty_like(chain.psi),
            np.array([0 if g is None else g.data_ptr() for g in live]), np.empty(plan.totals[-1], chain.out.dtype),
        )  # fmt: skip
        chunks, run = _chunks(len(chain.psi), plan.cells), kernels.backward_parallel if parallel else kernels.backward
        run(chain, chunks, numba.get_num_threads() if parallel else 1, to)
        found: list[Tensor | None] = [None] * 8
        if ctx.needs_input_grad[6]:
            by_time = torch.from_numpy(to.times.reshape(ctx.shape))
            found[6] = by_time if ctx.encoder is None else -by_time * ctx.encoder[1]
        if ctx.needs_input_grad[7]:
            found[7] = torch.from_numpy(to.psi)
        pre = chain.psi.shape[1]
        for row in plan.rows[1:]:
            post, weights = row[SIZE], row[PARAMETERS]
            phases = weights + post * pre
            found.append(torch.from_numpy(to.parameters[weights:phases].reshape(post, pre)))
            found.append(torch.from_numpy(to.parameters[phases : phases + post]))
            pre = post
        return tuple(found)


def check(times: Tensor, psi: Tensor | None, weight: Tensor, phi0: Tensor, trial: float, encoded: bool = False) -> None:
    """Refuse arguments of a layer that do not fit each other; ``encoded`` are times told by one number each."""
    shape, dtype = (*times.shape, 1) if encoded else times.shape, times.dtype
    fitting = len(shape) == 3 and weight.ndim == 2 and weight.shape[1] == shape[1]
    if not fitting or not (psi is None or psi.shape == shape[:2]):
        given = "" if psi is None else f"psi {tuple(psi.shape)}, "
        raise InputError(
            f"layer inputs: times {tuple(shape)}, {given}weight {tuple(weight.shape)} "
            "do not fit; (batch, pre, K), (batch, pre) and (post, pre) are needed"
        )
    if phi0.shape != weight.shape[:1]:
        raise InputError(f"layer inputs: phi0 has shape {tuple(phi0.shape)}, ({weight.shape[0]},) is needed")
    one_type = dtype == weight.dtype == phi0.dtype and (psi is None or psi.dtype == dtype)
    if not one_type or dtype not in RENORMALISE_AFTER:
        raise InputError("layer inputs: times, psi, weight and phi0 need one type, float64 or float32")
    if not (math.isfinite(trial) and trial > 0):
        raise InputError(f"trial T = {trial:g}: a positive length is needed")


def _check_links(layers: Sequence[tuple[Tensor, Tensor]]) -> None:
    dtype, size = layers[0][1].dtype, layers[0][1].shape[0]
    for weight, phi0 in layers:
        if not (weight.is_cpu and phi0.is_cpu):
            raise InputError("layers: weights and phi0 must be on the CPU, as the spike times are")
    for weight, phi0 in layers[1:]:
        if weight.ndim != 2 or weight.shape[1] != size or phi0.shape != weight.shape[:1]:
            raise InputError(
                f"layers: weight {tuple(weight.shape)} and phi0 {tuple(phi0.shape)} do not fit each other "
                f"or the {size} neurons before them"
            )
        if not dtype == weight.dtype == phi0.dtype:
            raise InputError("layers: weights and phi0 of all layers need one type, float64 or float32")
        size = phi0.shape[0]


def _check_pair(name: str, pair: tuple[Tensor, Tensor] | None, size: int, dtype: torch.dtype) -> None:
    if pair is None:
        return
    first, second = pair
    one_type = first.dtype == second.dtype == dtype and first.is_cpu and second.is_cpu
    if not one_type or not first.shape == second.shape == (size,):
        raise InputError(f"{name}: two tensors of shape ({size},) and the type of the layers are needed, on the CPU")


def chain(
    times: Tensor, psi: Tensor | None, layers: Sequence[tuple[Tensor, Tensor]], *, neuron: QIF, trial: float,
    capacities: Sequence[int], encoder: tuple[Tensor, Tensor] | None = None,
    readout: tuple[Tensor, Tensor] | None = None, renormalise_after: float | None = None,
) -> tuple[Run, tuple[int, ...]]:  # fmt: skip
    """Layers of QIF neurons one behind the other, with the closed-form gradient, on the CPU.

    Parameters
    ----------
    times
        Input spike times (batch, pre, K), padded with infinity; those after ``trial`` are ignored.
    psi
        Pseudo-phases of the presynaptic neurons (batch, pre); None for input channels, which have none.
    layers
        Weights (post, pre) and initial phases (post,) of each.  Several projections onto one population: concatenate
        the sources.
    neuron, trial
        Parameters of the neurons and the trial's length.
    capacities
        Spikes per neuron to make room for in each layer; doubled until every spike fits.
    encoder
        ``latest`` and ``span`` (pre,): ``times`` are then numbers x (batch, pre), which spike at ``latest - x * span``.
        They get no gradients, x does.
    readout
        Scale and offset (outputs,) of differences of first spikes, see `Run`; they get no gradients.
    renormalise_after
        Growth in bits after which lengths are renormalised; the default suits the element type.

    Returns
    -------
    Run, tuple of int
        The pass, and the spikes per neuron that there was room for in each layer.
    """
    check(times, psi, *layers[0], trial, encoder is not None)
    _check_links(layers)
    _check_pair("encoder", encoder, times.shape[1], times.dtype)
    _check_pair("readout", readout, layers[-1][1].shape[0] // 2, times.dtype)
    if renormalise_after is None:
        renormalise_after = RENORMALISE_AFTER[times.dtype]
    rooms = tuple(max(1, capacity) for capacity in capacities)
    parameters = [tensor for pair in layers for tensor in pair]
    y, first, out, plan = _Chain.apply(
        neuron, float(trial), renormalise_after, rooms, encoder, readout, times, psi, *parameters
    )  # fmt: skip
    return Run(y, first, partial(_levels, out, plan, len(times))), plan.depths[1:]


def _levels(out: Tensor, plan: Layout, batch: int) -> list[LayerOutput]:
    """The levels behind the inputs, as parts of the flat array of all."""
    sizes, depths = [row[SIZE] for row in plan.rows[1:]], plan.depths[1:]
    counts = [batch * size for size in sizes]
    parts = out.split([*(n * depth for n, depth in zip(counts, depths, strict=True)), *counts, *counts])
    times, psi, later = (parts[k : k + len(sizes)] for k in range(0, len(parts), len(sizes)))
    return [
        LayerOutput(t.view(batch, size, depth), p.view(batch, size), n.view(batch, size))
        for size, depth, t, p, n in zip(sizes, depths, times, psi, later, strict=True)
    ]


def layer(
    times: Tensor, psi: Tensor | None, weight: Tensor, phi0: Tensor, *, neuron: QIF, trial: float, capacity: int = 2,
    renormalise_after: float | None = None,
) -> LayerOutput:  # fmt: skip
    """One layer of QIF neurons: a `chain` of one."""
    run, _ = chain(
        times, psi, [(weight, phi0)], neuron=neuron, trial=trial, capacities=[capacity],
        renormalise_after=renormalise_after,
    )  # fmt: skip
    return run.layers[0]
