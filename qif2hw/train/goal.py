"""A goal: a training ends as soon as its network is good enough, and looking whether it is takes none of its time."""

from collections.abc import Callable
from typing import Any

SHARE = 0.05
"""Time between two looks, as a share of the training's time so far: what is reported is late by no more."""


class Goal:
    """When a training may end; see `qif2hw.train.train`.

    Parameters
    ----------
    enough
        ``enough(model, seconds)``: whether the network as it is after ``seconds`` of training is good enough.
    share
        Seconds between two looks, as a share of those of the training so far.
    """

    def __init__(self, enough: Callable[[Any, float], bool], share: float = SHARE) -> None:
        self._enough, self._share, self._next = enough, share, 0.0
        self.steps = self.looks = 0

    def reached(self, model: Any, seconds: float, *, last: bool) -> bool:
        """Count a step, and look, if it is time to or this is the ``last`` one; whether the network is good enough."""
        self.steps += 1
        if seconds < self._next and not last:
            return False
        self._next = seconds * (1 + self._share)
        self.looks += 1
        return self._enough(model, seconds)
