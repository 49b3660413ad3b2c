"""First-spike differences as a torch function: what a network's outputs are, in one pass each way."""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor
from torch.autograd.function import once_differentiable


@njit(cache=True)
def _read(times, pseudo, scale, offset, first, y):  # type: ignore[no-untyped-def]
    for b in range(first.shape[0]):
        for n in range(first.shape[1]):
            first[b, n] = pseudo[b, n] if np.isinf(times[b, n, 0]) else times[b, n, 0]
        for m in range(y.shape[1]):
            y[b, m] = offset[m] + scale[m] * (first[b, 2 * m + 1] - first[b, 2 * m])


@njit(cache=True)
def _read_back(times, scale, grad_y, grad, to_times, to_pseudo):  # type: ignore[no-untyped-def]
    """Gradients with respect to first spikes and outputs to those with respect to ordinary spikes and pseudospikes."""
    to_times[:] = 0.0
    to_pseudo[:] = 0.0
    for b in range(grad.shape[0]):
        for n in range(grad.shape[1]):
            change = grad_y[b, n // 2] * scale[n // 2]
            total = grad[b, n] + (change if n % 2 else -change)
            if np.isinf(times[b, n, 0]):
                to_pseudo[b, n] = total
            else:
                to_times[b, n, 0] = total


class _Readout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, times: Tensor, pseudo: Tensor, scale: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.saved = spikes, factor = times.numpy(), scale.numpy()
        batch, size = pseudo.shape
        first, y = np.empty((batch, size), spikes.dtype), np.empty((batch, size // 2), spikes.dtype)
        _read(spikes, pseudo.numpy(), factor, offset.numpy(), first, y)
        return torch.from_numpy(y), torch.from_numpy(first)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor | None, grad: Tensor | None) -> tuple[Tensor | None, ...]:
        times, scale = ctx.saved
        batch, size, _ = times.shape
        from_y = np.zeros((batch, size // 2), times.dtype) if grad_y is None else grad_y.contiguous().numpy()
        from_first = np.zeros((batch, size), times.dtype) if grad is None else grad.contiguous().numpy()
        to_times, to_pseudo = np.empty_like(times), np.empty((batch, size), times.dtype)
        _read_back(times, scale, from_y, from_first, to_times, to_pseudo)
        return torch.from_numpy(to_times), torch.from_numpy(to_pseudo), None, None


def read(times: Tensor, pseudo: Tensor, scale: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs ``offset_m + scale_m (t[2m+1] - t[2m])`` of first spike times ``t``, and ``t``, on the CPU.

    ``times`` (batch, neurons, K) and ``pseudo`` (batch, neurons) as in `qif2hw.nn.LayerOutput`.
    """
    y, first = _Readout.apply(times, pseudo, scale, offset)
    return y, first
