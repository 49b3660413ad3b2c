"""Which steps a training run has: free weights, then weights that go onto the hardware's grid."""

import math
from dataclasses import dataclass
from typing import Any

from qif2hw.errors import InputError
from qif2hw.train.task import Settings

FEW_BITS = 5
"""So many bits, or less, take the longer and bolder way onto the grid."""
FREEZE_AFTER, FREEZE_STAGES, FREEZE_DECAY = 0.1, 30, 0.1
"""When freezing and the decay of the rate begin, in how many stages they go on, and how far the rate decays."""


@dataclass(frozen=True)
class Phase:
    """A part of a training run: steps ``start`` to ``stop``, with a rate that decays to zero as a cosine.

    Where it ``freezes`` weights the rate decays exponentially, and stage by stage more of them go onto the grid.
    """

    start: int
    stop: int
    rate: float
    weight_bits: int | None = None
    weights_move: bool = True
    freezes: bool = False

    def rate_at(self, step: int) -> float:
        """Learning rate of a step."""
        if self.freezes:
            return self.rate * FREEZE_DECAY ** max(0.0, self._frozen(step))
        return self.rate * 0.5 * (1 + math.cos(math.pi * (step - self.start) / (self.stop - self.start)))

    def stage_at(self, step: int) -> int:
        """Number of stages of freezing that have begun."""
        return max(0, 1 + math.floor(FREEZE_STAGES * self._frozen(step))) if self.freezes else 0

    def _frozen(self, step: int) -> float:
        done = (step - self.start) / (self.stop - self.start)
        return (done - FREEZE_AFTER) / (1 - FREEZE_AFTER)


def plan(settings: Settings, steps: int | None = None, weight_bits: int | None = None) -> tuple[Phase, ...]:
    """The phases of a run; ``steps`` replaces the steps with free weights, and the others in proportion.

    With weight bits: weights go onto the grid a few at a time (`Freezing`), then the initial phases alone move, which
    takes the error that rounding left most of the way back.
    """
    free = settings.steps if steps is None else steps
    if free < 1:
        raise InputError(f"steps = {free}: at least one step is needed")
    phases = [Phase(0, free, settings.learning_rate)]

    def add(length: int, rate: float, **options: Any) -> None:
        start = phases[-1].stop
        phases.append(Phase(start, start + max(1, round(length * free / settings.steps)), rate, **options))

    if weight_bits is not None:
        few = weight_bits <= FEW_BITS
        rate = settings.freeze_learning_rate if few else settings.qat_learning_rate
        add(settings.freeze_steps if few else settings.qat_steps, rate, freezes=True)
        add(settings.settle_steps, rate * FREEZE_DECAY, weight_bits=weight_bits, weights_move=False)
    return tuple(phases)
