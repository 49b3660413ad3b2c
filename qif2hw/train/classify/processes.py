"""Training by several processes: each takes a share of every batch; statistics and gradients are those of the whole.

The processes are started by ``torchrun``.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

from qif2hw.errors import InputError


def start(device: str) -> str:
    """Join the processes that ``torchrun`` has started, if it has; the device of this one."""
    if "WORLD_SIZE" not in os.environ or dist.is_initialized():
        return device
    cuda = torch.device(device).type == "cuda"
    dist.init_process_group("nccl" if cuda else "gloo")
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if cuda else device


def stop() -> None:
    """Leave the group of processes."""
    if dist.is_initialized():
        dist.destroy_process_group()


def count() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def share(batch: Tensor) -> Tensor:
    """Rows of a batch (rows, ...) for this process; `InputError` unless every one gets as many."""
    if len(batch) % count():
        raise InputError(f"a batch of {len(batch)} cannot be shared by {count()} processes")
    return batch[rank() :: count()]


@torch.no_grad()
def average_gradients(module: nn.Module) -> None:
    """Replace gradients by their mean over all processes."""
    if count() == 1:
        return
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    flat = torch.cat([g.reshape(-1) for g in gradients])
    dist.all_reduce(flat)
    flat /= count()
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


class _Shared(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation whose statistics are those of the samples of all processes."""

    def _check_input_dim(self, input: Tensor) -> None:
        """Any shape (samples, features, ...)."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalized values."""
        if not self.training or self.running_mean is None or self.running_var is None:
            return super().forward(input)
        axes = [0, *range(2, input.ndim)]
        shape = (1, -1) + (1,) * (input.ndim - 2)
        number = input.numel() // input.shape[1] * count()
        mean = all_reduce(input.sum(axes)) / number
        centred = input - mean.view(shape)
        variance = all_reduce(centred.square().sum(axes)) / number
        with torch.no_grad():
            momentum = 0.1 if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean.detach(), momentum)
            self.running_var.lerp_(variance.detach() * (number / max(1, number - 1)), momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
        normal = centred * torch.rsqrt(variance + self.eps).view(shape)
        return normal if not self.affine else normal * self.weight.view(shape) + self.bias.view(shape)


class _Shared1d(_Shared, nn.BatchNorm1d):
    pass


class _Shared2d(_Shared, nn.BatchNorm2d):
    pass


@contextmanager
def shared_statistics(module: nn.Module) -> Iterator[None]:
    """Let all batch normalisations of a module use the statistics of all processes, if there are several."""
    kinds: dict[Any, Any] = {nn.BatchNorm1d: _Shared1d, nn.BatchNorm2d: _Shared2d}
    changed = [layer for layer in module.modules() if type(layer) in kinds] if count() > 1 else []
    for layer in changed:
        # Parameters, statistics and hooks stay as they are: only the forward pass is another one.
        layer.__class__ = kinds[type(layer)]
    try:
        yield
    finally:
        for layer in changed:
            layer.__class__ = type(layer).__mro__[2]
