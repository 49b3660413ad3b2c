"""The compiled pass of neurons in discrete time on a CUDA device; see `qif2hw.nn.functional.discrete`."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from qif2hw.nn.functional.cuda_device import launch
from qif2hw.nn.functional.first_order import SURROGATE, first_order


@lru_cache(maxsize=256)
def constants(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Numbers (n,) on a device, copied there once: copies of later calls could not be part of a captured graph."""
    return torch.tensor(values, dtype=torch.float64).to(dtype).to(device)


def _launch(kernel: Any, neurons: int, *tensors: Tensor) -> None:
    from qif2hw.kernels import discrete_cuda as kernels

    if neurons:
        launch(kernel, kernels.blocks(neurons), kernels.THREADS, *tensors)


class _CudaSteps(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, origin: Tensor, x: Tensor, state: Tensor, parameters: Tensor, steps: int, window: Sequence[float],
        detach_reset: bool, keep: bool,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        from qif2hw.kernels import discrete_cuda as kernels

        start = state.contiguous().view(-1)
        u, numbers = start.clone(), constants(tuple(parameters.tolist()), x.dtype, x.device)
        given = x.contiguous().view(len(x), u.numel())
        v = x.new_empty((steps if keep else 1, u.numel()))
        s = x.new_empty((steps, u.numel()))
        _launch(kernels.forward, u.numel(), given, u, v, s, numbers)
        if keep:
            ctx.save_for_backward(v, start, numbers, origin, state)
            ctx.window, ctx.shape = window, x.shape
            ctx.jump = 0.0 if detach_reset else float(parameters[-2] - parameters[-1])
        return s.view(steps, *x.shape[1:]), u.view(x.shape[1:])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        from qif2hw.kernels import discrete_cuda as kernels

        v, start, numbers, *origins = ctx.saved_tensors
        gx = v.new_empty((ctx.shape[0], start.numel()))
        gu = grads[1].detach().contiguous().view(-1).clone()
        half, rates, jump = (
            constants(tuple(values), v.dtype, v.device)
            for values in (ctx.window, [0.5 / half for half in ctx.window], [ctx.jump])
        )
        g = grads[0].detach().contiguous().view(v.shape)
        _launch(kernels.backward, start.numel(), v, start, g, gu, half, rates, jump, numbers, gx)
        found = gx.view(ctx.shape), gu.view(ctx.shape[1:])
        return None, *first_order(found, origins, SURROGATE), *[None] * 5


def steps_on_cuda(*arguments: Any) -> Any:
    """Spikes and last states, as of `qif2hw.nn.functional.discrete.discrete_steps`."""
    return _CudaSteps.apply(arguments[0][:0].clone(), *arguments)
