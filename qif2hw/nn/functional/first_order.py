"""Gradients of compiled passes cannot be differentiated: whoever tries is told, and what to use."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from qif2hw.errors import InputError


class _Gradient(torch.autograd.Function):
    """A gradient as it is; its own derivative is an error."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        raise InputError(
            "derivatives of results are in the loss, and a compiled pass has first ones only: take them from "
            "qif2hw.nn.jets or qif2hw.nn.derivative, whose results can be part of a loss"
        )


def first_order(backward: Callable[..., tuple[Tensor | None, ...]]) -> Callable[..., tuple[Tensor | None, ...]]:
    """Mark the backward pass of a function as one that cannot be differentiated.

    `torch.autograd.function.once_differentiable` does so where a gradient that comes in has a graph.  Derivatives of
    results by inputs come from gradients of ones, which have none: their part of a loss would be left out in silence.
    """

    def once(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        with torch.no_grad():
            found = backward(ctx, *grads)
        if not torch.is_grad_enabled():
            return found
        return tuple(None if g is None else _Gradient.apply(g.detach().requires_grad_()) for g in found)

    return once
