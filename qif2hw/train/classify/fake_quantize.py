"""Weights that are rounded onto the hardware's grid in the forward pass, while training moves what lies behind them."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from qif2hw.ir.weight_grid import largest_weight, weight_step


class _Round(torch.autograd.Function):
    """Rounding to whole numbers with the derivative of the identity (straight through)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.round()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0]


class OnGrid(nn.Module):
    """Weights (channels, ...) on the grid of ``bits`` bits whose end is the largest weight of each channel.

    A factor per channel that follows, as of a folded normalisation, does not change the integers: the compiler finds
    the same ones with a threshold per channel.

    Parameters
    ----------
    bits
        Of a weight, 2 to 8; see `qif2hw.ir.weight_grid`.
    whole
        One unit for all channels, as accumulators have.
    """

    def __init__(self, bits: int, whole: bool = False) -> None:
        super().__init__()
        self.levels, self.whole = largest_weight(bits) // weight_step(bits), whole

    def forward(self, weight: Tensor) -> Tensor:
        """Rounded weights (channels, ...)."""
        axes = tuple(range(0 if self.whole else 1, weight.ndim))
        unit = weight.detach().abs().amax(axes, keepdim=True).clamp_min(1e-30) / self.levels
        rounded: Tensor = _Round.apply(weight / unit) * unit
        return rounded


def put_on_grid(module: nn.Module, bits: int) -> None:
    """Let all convolutions and linear layers compute with rounded weights from now on."""
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    for layer in layers:
        parametrize.register_parametrization(layer, "weight", OnGrid(bits, whole=layer is layers[-1]))
