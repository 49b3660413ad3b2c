"""Results of layers and networks."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor


class LayerOutput(NamedTuple):
    """Spikes of a layer.

    Parameters
    ----------
    times
        Ordinary spike times (batch, neurons, K), in units of time, ascending, padded with infinity.
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


@dataclass(frozen=True, eq=False)
class ForwardPass:
    """A forward pass through layers one behind the other.

    Parameters
    ----------
    y
        Results (batch, outputs), ``y_m = offset_m + scale_m (t[2m + 1] - t[2m])``; empty without a readout.
    first
        First spike times ``t`` of the last layer (batch, neurons).
    collect
        Makes `layers`.
    """

    y: Tensor
    first: Tensor
    collect: Callable[[], list[LayerOutput]]

    @cached_property
    def layers(self) -> list[LayerOutput]:
        """Spikes of each layer; put together at the first use."""
        return self.collect()
