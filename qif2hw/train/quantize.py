"""Incremental quantization: weights go onto the hardware's grid in groups, and the others train on."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.weight_grid import closest_unit, largest_weight, round_to_grid, weight_step

FIRST_KEPT, KEPT = 0.7, 0.82
"""Share of the free weights that a group leaves free: in the first array, which all others depend on; in the others."""
AVERAGED = 1000
"""Steps over which squared gradients are averaged."""
PREFERENCE = 0.5
"""How much a weight's sensitivity counts against its distance from the grid, both at most one half of a grid step."""


class IncrementalQuantizer:
    r"""Puts a share of the weights on the grid, where they stay, while the others train on.

    Straight-through rounding trains with the gradient of another function than the one it computes, and fails where
    results are sensitive to the weights.  Here every gradient is exact.  Weights with large squared gradients and
    weights near a grid point come first, so that the last ones, when few others can compensate, matter least.

    Parameters
    ----------
    weights
        Weight arrays, of any shape.  Each has a unit of its own; some weights may lie beyond the outermost grid point.
    bits
        Of the grid, see `qif2hw.ir.weight_grid`.

    References
    ----------
    A. Zhou et al., *Incremental Network Quantization*, arXiv:1702.03044, 2017.
    """

    def __init__(self, weights: Sequence[nn.Parameter], bits: int) -> None:
        self.weights, self.bits = list(weights), bits
        self.most = largest_weight(bits) // weight_step(bits)
        with torch.no_grad():
            self.step = torch.zeros(len(self.weights), dtype=torch.float64)
            self.square = [torch.zeros_like(w) for w in self.weights]
            self.level = [torch.full_like(w, torch.nan) for w in self.weights]

    def state(self) -> dict[str, Tensor]:
        """State to go on from, to be written and restored in place: units (arrays,), others of the weights' shapes."""
        state = {"grid_step": self.step}
        for k, (square, level) in enumerate(zip(self.square, self.level, strict=True)):
            state |= {f"grid_square{k}": square, f"grid_level{k}": level}
        return state

    @torch.no_grad()
    def choose_units(self, rule: Callable[[FloatArray, int], float] = closest_unit) -> None:
        """Take a grid for the weights as they are; the largest weight of an array fixes its end.

        ``rule(weights, bits)`` gives the unit: that which is closest to all weights, or one
        (`qif2hw.ir.weight_grid.nearest_unit`) that moves none of them.
        """
        for k, (w, level) in enumerate(zip(self.weights, self.level, strict=True)):
            unit = rule(w.detach().double().numpy(), self.bits)
            self.step[k] = unit * weight_step(self.bits)
            largest = w.abs().argmax()
            level.view(-1)[largest] = self.most * torch.sign(w.view(-1)[largest])
        self.keep()

    @torch.no_grad()
    def note_gradients(self) -> None:
        """Take the weights' gradients into account, and hide those of frozen weights from the optimiser."""
        for w, square, level in zip(self.weights, self.square, self.level, strict=True):
            if w.grad is not None:
                square.lerp_(w.grad.square(), 1 / AVERAGED)
                w.grad = torch.where(level.isnan(), w.grad, 0.0)

    @torch.no_grad()
    def note_squares(self, squares: Sequence[Tensor]) -> None:
        """Take the mean squared derivatives of the results by each weight, arrays of their shapes, as they are now."""
        for square, found in zip(self.square, squares, strict=True):
            square.copy_(found)

    def free(self) -> list[Tensor]:
        """Which weights of each array have not gone onto the grid, arrays of their shapes."""
        return [level.isnan() for level in self.level]

    @property
    def complete(self) -> bool:
        """Whether all weights are on the grid."""
        return not any(bool(free.any()) for free in self.free())

    @torch.no_grad()
    def freeze(self, groups: int, *, everything: bool = False) -> None:
        """Put on the grid the weights of the first ``groups`` groups, or ``everything``."""
        for k, (w, square, level) in enumerate(zip(self.weights, self.square, self.level, strict=True)):
            free, step = level.isnan(), self.step[k]
            share = 1.0 if everything else 1 - (KEPT if k else FIRST_KEPT) ** groups
            wanted = math.ceil(share * w.numel()) - int((~free).sum())
            if wanted <= 0:
                continue
            scaled, change = w[free] / float(step), square[free]
            rank = change.argsort(stable=True).argsort(stable=True) / len(change)
            cost = (scaled - scaled.round()).abs() - PREFERENCE * rank
            chosen = free.nonzero()[cost.argsort(stable=True)[:wanted]].unbind(1)
            level[chosen] = self._levels(k)[chosen]
        self.keep()

    @torch.no_grad()
    def freeze_these(self, chosen: Sequence[Tensor]) -> None:
        """Put on the grid the weights that masks (arrays of their shapes) choose: each to its nearest grid point."""
        for k, (level, mask) in enumerate(zip(self.level, chosen, strict=True)):
            level[mask] = self._levels(k)[mask]
        self.keep()

    def _levels(self, k: int) -> Tensor:
        """Nearest number of grid steps of each weight of an array."""
        w, unit = self.weights[k].detach(), float(self.step[k]) / weight_step(self.bits)
        return torch.from_numpy(round_to_grid(w.double().numpy(), unit, self.bits) // weight_step(self.bits)).to(w)

    @torch.no_grad()
    def keep(self) -> None:
        """Put frozen weights back onto their grid points, and the others between the grid's ends."""
        for w, s, level in zip(self.weights, self.step, self.level, strict=True):
            end = float(s) * self.most
            w.copy_(torch.where(level.isnan(), w.clamp(-end, end), level * float(s)))
