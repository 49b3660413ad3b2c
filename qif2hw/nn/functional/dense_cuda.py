r"""One layer of QIF neurons on a CUDA device, in compiled kernels: see `qif2hw.kernels.dense_cuda`.

What all neurons of a sample share (the order of its spikes, cosines and sines) and what needs a sum over neurons or
samples is done here, by torch.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

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

MOST_BYTES = 2**30
"""Memory that the gradients of single samples may take at a time."""


class _Events(NamedTuple):
    """Input spikes of each sample in their order, and the turns between them; see `qif2hw.kernels.dense_cuda`."""

    clock: Tensor
    cosine: Tensor
    sine: Tensor
    wide: Tensor
    row: Tensor
    place: Tensor
    live: Tensor


def _events(times: Tensor, omega: float, trial: float) -> _Events:
    batch, pre, depth = times.shape
    flat, order = times.reshape(batch, pre * depth).sort(dim=1, stable=True)
    live = flat <= trial
    clock = torch.where(live, flat.double(), trial)
    clock = torch.nn.functional.pad(clock, (1, 1))
    clock[:, -1] = trial
    gap = omega * clock.diff(dim=1)
    wide = (gap / WIDEST).ceil().sub(1).clamp(min=0)
    rest = gap - wide * WIDEST
    place = order.to(torch.int32)
    return _Events(
        clock, rest.cos().to(times.dtype), rest.sin().to(times.dtype), wide.to(torch.int32),
        (order // depth).to(torch.int32), place, live.sum(dim=1, dtype=torch.int32),
    )  # fmt: skip


class _Parameters(NamedTuple):
    """Weights over r (pre, post), initial vectors (2, post), cosine and sine of the widest turn."""

    a: Tensor
    start: Tensor
    turn: Tensor


def _parameters(weight: Tensor, phi0: Tensor, neuron: QIF) -> _Parameters:
    angle = neuron.omega * phi0.double()
    start = torch.stack([angle.cos(), angle.sin()]).to(phi0.dtype)
    turn = phi0.new_tensor([math.cos(WIDEST), math.sin(WIDEST)])
    return _Parameters((weight.T / neuron.r).contiguous(), start, turn)


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, times: Tensor, psi: Tensor | None, weight: Tensor, phi0: Tensor, neuron: QIF, trial: float,
        capacity: int,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        from qif2hw.kernels import dense_cuda as kernels

        batch, post = times.shape[0], weight.shape[0]
        events, (a, start, turn) = _events(times, neuron.omega, trial), _parameters(weight, phi0, neuron)
        number, end_scale = (times.new_empty((batch, post), dtype=torch.int32) for _ in range(2))
        end = times.new_empty((2, batch, post))
        bad = ~(times >= 0).all()
        while True:
            found = times.new_full((batch, post, capacity), torch.inf)
            length2 = times.new_empty(found.shape)
            scale = times.new_empty(found.shape, dtype=torch.int32)
            if batch:
                launch(
                    kernels.forward, kernels.blocks(batch, post), kernels.THREADS, a, start, events.clock,
                    events.cosine, events.sine, events.wide, events.row, events.live, turn, neuron.omega, found,
                    length2, scale, number, end, end_scale,
                )  # fmt: skip
            # One wait for the device tells both.
            most, refused = torch.stack([number.amax() if batch else bad.int(), bad.int()]).tolist()
            if refused:
                raise InputError(BAD_TIME)
            if most <= capacity:
                break
            while capacity < most:
                capacity *= 2
        x, y = end
        if psi is not None:
            x = _shear(x, y, psi @ a)
        theta = torch.atan2(y, x)
        ctx.constants = (neuron, psi is not None)
        ctx.events, ctx.parameters = events, (a, start, turn)
        ctx.record = (length2, scale, number, end_scale, y, x * x + y * y)
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
    neuron, _ = ctx.constants
    events, (a, start, turn) = ctx.events, ctx.parameters
    length2, scale, number, end_scale, y, end_length2 = ctx.record
    final = g_next - g_psi * (neuron.omega / math.pi)
    g_end, g_times = final / end_length2, g_times.contiguous()
    (batch, pre, depth), post = times.shape, weight.shape[0]
    spikes, asked = pre * depth, ctx.needs_input_grad[0]
    to_weight, to_phase = weight.new_zeros(spikes * post), torch.empty_like(g_end)
    to_times = torch.zeros_like(times).reshape(batch, spikes) if asked else None
    later = torch.empty_like(length2)
    each = spikes * post * times.element_size() * (1 + asked)
    size = max(1, min(batch, MOST_BYTES // max(1, each)))
    by_weight = times.new_empty((size, spikes, post))
    by_time = times.new_empty((size, spikes if asked else 0, post))
    for low in range(0, batch, size):
        part = slice(low, min(batch, low + size))
        many = part.stop - low
        launch(
            kernels.backward, kernels.blocks(many, post), kernels.THREADS, a, start, events.cosine[part],
            events.sine[part], events.wide[part], events.row[part], events.place[part], events.live[part], turn,
            length2[part], scale[part], number[part], g_times[part], g_end[part], end_scale[part], later[part],
            by_weight, by_time, to_phase[part],
        )  # fmt: skip
        to_weight += by_weight[:many].reshape(many, -1).sum(dim=0)
        if to_times is not None:
            to_times[part] = by_time[:many].sum(dim=2)
    to_weight = to_weight.view(pre, depth, post).sum(dim=1).T * (-1.0 / (neuron.r * neuron.omega))
    to_psi = None
    if given:
        flush = final * _weight_slope(y, end_length2, neuron.r, neuron.omega)
        to_psi = flush @ weight
        to_weight = to_weight + flush.T @ given[0]
    return None if to_times is None else to_times.view(times.shape), to_psi, to_weight, -to_phase.sum(dim=0)


def layer(
    times: Tensor, psi: Tensor | None, weight: Tensor, phi0: Tensor, *, neuron: QIF, trial: float, capacity: int = 1
) -> LayerOutput:
    """One layer of QIF neurons on a CUDA device; arguments and results as those of `qif2hw.nn.functional.dense.layer`.

    Gradients have the same bits in every run; their memory is `MOST_BYTES` beside that of the arguments.
    """
    check(times, psi, weight, phi0, trial)
    out: Sequence[Tensor] = _Layer.apply(times, psi, weight, phi0, neuron, float(trial), max(1, capacity))
    return LayerOutput(*out)
