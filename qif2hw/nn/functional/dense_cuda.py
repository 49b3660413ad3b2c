r"""One layer of QIF neurons on a CUDA device, in compiled kernels: see `qif2hw.kernels.dense_cuda`.

What all neurons of a sample share (the order of its spikes, cosines and sines) and what needs a sum over neurons or
samples is done here, by torch.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from qif2hw import neuron as formulas
from qif2hw.errors import InputError
from qif2hw.kernels.steps import WIDEST
from qif2hw.neuron import QIF
from qif2hw.nn.functional.arguments import check
from qif2hw.nn.functional.compiled import BAD_TIME
from qif2hw.nn.functional.cuda_device import launch
from qif2hw.nn.functional.first_order import first_order
from qif2hw.nn.functional.output import LayerOutput

# The formulas are written for numbers and arrays; they use operators only and serve tensors as well.
_shear: Any = formulas.shear
_weight_slope: Any = formulas.spike_weight_slope

MOST_BYTES = 2**31
"""Memory that the gradients of single samples may take at a time."""


class _Events(NamedTuple):
    """Events of each sample in their order; see `qif2hw.kernels.dense_cuda`.

    ``clock`` are their times (batch, events) in float64; those of weight zero have the last places.
    """

    clock: Tensor
    turns: Tensor
    rows: Tensor
    place: Tensor
    live: Tensor


def _events(times: Tensor, omega: float, trial: float) -> _Events:
    from qif2hw.kernels.dense_cuda import AHEAD

    batch, pre, depth = times.shape
    silent = [*np.arange(WIDEST / omega, trial, WIDEST / omega), trial]
    extra = torch.tensor(silent, dtype=torch.float64, device=times.device).expand(batch, -1)
    clock, place = torch.cat([times.reshape(batch, -1).double(), extra], dim=1).sort(dim=1, stable=True)
    live = (clock <= trial).sum(dim=1, dtype=torch.int32)
    clock = clock.clamp(max=trial)
    turn = omega * clock.diff(dim=1, prepend=clock.new_zeros((batch, 1)))
    turns = torch.nn.functional.pad(torch.stack([turn.cos(), turn.sin()]).to(times.dtype), (0, AHEAD))
    rows = torch.nn.functional.pad((place // depth).clamp(max=pre), (0, AHEAD)).to(torch.int32)
    return _Events(clock, turns, rows, place.to(torch.int32), live)


def _parameters(weight: Tensor, phi0: Tensor, neuron: QIF) -> tuple[Tensor, Tensor]:
    """Weights over r (pre + 1, post), the last row zero, and initial vectors (2, post)."""
    angle = neuron.omega * phi0.double()
    a = torch.nn.functional.pad(weight.T / neuron.r, (0, 0, 0, 1))
    return a.contiguous(), torch.stack([angle.cos(), angle.sin()]).to(phi0.dtype)


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, times: Tensor, psi: Tensor | None, weight: Tensor, phi0: Tensor, neuron: QIF, trial: float,
        room: int,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        from qif2hw.kernels import dense_cuda as kernels

        batch, post = times.shape[0], weight.shape[0]
        events, (a, start) = _events(times, neuron.omega, trial), _parameters(weight, phi0, neuron)
        ends, counts = times.new_empty((2, batch, post)), times.new_zeros((2, batch, post), dtype=torch.int32)
        bad = ~(times >= 0).all()
        while True:
            spikes = times.new_ones((2, batch, post, room))
            marks = times.new_zeros(spikes.shape, dtype=torch.int32)
            if batch:
                launch(
                    kernels.forward, *kernels.grid(batch, post), a, start, events.turns, events.rows, events.live,
                    spikes, marks, ends, counts,
                )  # fmt: skip
            # One wait for the device tells both.
            most, refused = torch.stack([counts[0].amax() if batch else bad.int(), bad.int()]).tolist()
            if refused:
                raise InputError(BAD_TIME)
            if most <= room:
                break
            while room < most:
                room *= 2
        x, y = ends
        if psi is not None:
            x = _shear(x, y, psi @ a[:-1])
        theta = torch.atan2(y, x)
        fired = torch.arange(room, device=times.device) < counts[0, :, :, None]
        late = torch.atan2(spikes[1].double(), spikes[0].double()) / neuron.omega
        at = events.clock.gather(1, marks[0].reshape(batch, -1).long()).view(late.shape)
        found = torch.where(fired, at - late, torch.inf).to(times.dtype)
        ctx.neuron, ctx.events, ctx.parameters = neuron, events, (a, start)
        ctx.record = (marks, counts, fired, spikes.square().sum(dim=0), y, x * x + y * y)
        ctx.save_for_backward(times, weight, phi0, *([] if psi is None else [psi]))
        return found, theta / math.pi, trial + (math.pi - theta) / neuron.omega

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        origins = ctx.saved_tensors
        with torch.no_grad():
            found = _gradients(ctx, *grads)
        return *first_order(found, origins), None, None, None


def _gradients(ctx: Any, g_times: Tensor, g_psi: Tensor, g_next: Tensor) -> tuple[Tensor | None, ...]:
    """Gradients to input times, pseudo-phases, weights and initial phases."""
    from qif2hw.kernels import dense_cuda as kernels

    times, weight, _, *given = ctx.saved_tensors
    neuron, events = ctx.neuron, ctx.events
    marks, counts, fired, length2, y, end_length2 = ctx.record
    (batch, pre, depth), post = times.shape, weight.shape[0]
    spikes, all_events, asked = pre * depth, events.clock.shape[1], ctx.needs_input_grad[0]
    final = g_next - g_psi * (neuron.omega / math.pi)
    g, pull = final / end_length2, torch.where(fired, g_times / length2, 0.0)
    to_weight = weight.new_zeros((spikes, post))
    to_times = torch.empty_like(times).reshape(batch, spikes) if asked else None
    size = max(1, min(batch, MOST_BYTES // (all_events * post * times.element_size() * (1 + asked))))
    by_weight = times.new_empty((size, all_events, post))
    by_time = times.new_empty((size, all_events if asked else 0, post))
    for low in range(0, batch, size):
        many = min(size, batch - low)
        launch(
            kernels.backward, *kernels.grid(many, post), low, *ctx.parameters, events.turns, events.rows, events.place,
            events.live, marks, counts, pull, g, by_weight, by_time,
        )  # fmt: skip
        to_weight += by_weight[:many, :spikes].sum(dim=0)
        if to_times is not None:
            to_times[low : low + many] = by_time[:many, :spikes].sum(dim=2)
    to_weight = to_weight.view(pre, depth, post).sum(dim=1).T * (-1.0 / (neuron.r * neuron.omega))
    to_psi = None
    if given:
        flush = final * _weight_slope(y, end_length2, neuron.r, neuron.omega)
        to_psi = flush @ weight
        to_weight = to_weight + flush.T @ given[0]
    return None if to_times is None else to_times.view(times.shape), to_psi, to_weight, -g.sum(dim=0)


def layer(
    times: Tensor, psi: Tensor | None, weight: Tensor, phi0: Tensor, *, neuron: QIF, trial: float, capacity: int = 1
) -> LayerOutput:
    """One layer of QIF neurons on a CUDA device; arguments and results as those of `qif2hw.nn.functional.dense.layer`.

    Gradients have the same bits in every run; their memory is `MOST_BYTES` beside that of the arguments.
    """
    check(times, psi, weight, phi0, trial)
    out: Sequence[Tensor] = _Layer.apply(times, psi, weight, phi0, neuron, float(trial), max(1, capacity))
    return LayerOutput(*out)
