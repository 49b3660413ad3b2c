"""The running average of a network's parameters and statistics."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Average:
    """Average of all parameters and running statistics with the decay ``decay`` per update; none for 0.

    Over the first updates the decay is smaller, so that the average forgets where they started.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.own = [t for t in module.state_dict().values() if t.is_floating_point()]
        self.values = [t.clone() for t in self.own] if decay else []

    def state(self) -> dict[str, Tensor]:
        """What a run goes on from: averages of the shapes of what is averaged."""
        return {f"average.{k}": value for k, value in enumerate(self.values)}

    @torch.no_grad()
    def update(self, updates: int) -> None:
        """Take the parameters after so many ``updates`` into the average."""
        if self.values:
            torch._foreach_lerp_(self.values, self.own, 1 - min(self.decay, (updates + 1) / (updates + 10)))

    @torch.no_grad()
    def take(self) -> None:
        """Put the average in the place of the parameters."""
        for own, value in zip(self.own, self.values, strict=False):
            own.copy_(value)

    def evaluate(self, function: Callable[[], float]) -> float:
        """The result of a function with the average in the place of the parameters."""
        before = [t.clone() for t in self.own] if self.values else []
        self.take()
        found = function()
        with torch.no_grad():
            for own, value in zip(self.own, before, strict=False):
                own.copy_(value)
        return found
