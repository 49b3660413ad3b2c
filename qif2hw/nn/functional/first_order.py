"""Gradients that cannot be differentiated: whoever tries is told what to use."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from qif2hw.errors import InputError

JETS = (
    "derivatives of results are in the loss, and a compiled pass has first ones only: take them from "
    "qif2hw.nn.jets or qif2hw.nn.derivative, whose results can be part of a loss"
)
SURROGATE = "a surrogate gradient has no derivative: do without create_graph=True"


class _Gradient(torch.autograd.Function):
    """A gradient as it is; its own derivative is an error."""

    @staticmethod
    def forward(ctx: Any, reason: str, gradient: Tensor, *origins: Tensor) -> Tensor:
        ctx.reason = reason
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        raise InputError(ctx.reason)


def first_order(
    gradients: Sequence[Tensor | None], origins: Sequence[Tensor], reason: str = JETS
) -> tuple[Tensor | None, ...]:
    """Gradients of a backward pass, marked as ones that cannot be differentiated.

    `torch.autograd.function.once_differentiable` does so where a gradient that comes in has a graph.  Derivatives of
    results by inputs come from gradients of ones, which have none: their part of a loss would be left out in silence.

    Parameters
    ----------
    gradients
        What the backward pass returns, of any shapes; computed without a graph.
    origins
        Tensors of any shapes that they depend on, as the context of the pass has saved them, or empty parts of these:
        a derivative by one of them is the one that is refused.
    reason
        The line of the `InputError` that differentiating them raises.
    """
    if not torch.is_grad_enabled():
        return tuple(gradients)
    return tuple(None if g is None else _Gradient.apply(reason, g, *origins) for g in gradients)
