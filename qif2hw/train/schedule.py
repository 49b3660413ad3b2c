"""Stages of a training run: free weights, a second-order finish, weights that go onto the grid, phases alone."""

import math
from dataclasses import dataclass
from typing import Any

from qif2hw.errors import InputError
from qif2hw.train.optim.gauss_newton import WINDOW
from qif2hw.train.task import Settings

FEW_BITS = 5
"""Largest number of weight bits that are trained with `Settings.freeze_steps` and `Settings.freeze_learning_rate`."""
SHORTER_FOR, LAST_SHARE = 0.3, 0.1
"""Share of the second-order steps that get shorter towards the end, and the share of the length of the last."""
WINDOWS = 8
"""Windows in which second-order steps judge themselves, where each has `gauss_newton.WINDOW` steps or more."""
SETTLE_SHARE = 0.2
"""Second-order steps of the initial phases alone, as a share of those in which weights go onto the grid."""
FREEZE_AFTER, FREEZE_GROUPS, FREEZE_DECAY = 0.1, 30, 0.1
"""Share of a stage before weights freeze and the rate decays; groups in which they freeze; factor of the rate then."""


@dataclass(frozen=True)
class Stage:
    """A part of a training run: steps ``start`` to ``stop``, with a rate that decays to zero as a cosine.

    Parameters
    ----------
    start, stop
        First step, and the one after the last.
    rate
        Learning rate at the start.
    weight_bits
        Bits of the grid that the forward pass rounds the weights to; None for weights as they are.
    weights_move
        Whether weights are trained, or the initial phases alone.
    freezes
        Whether weights go onto the grid, group by group; the rate then decays exponentially.
    steady
        Share of the steps before the rate decays.
    second_order
        Whether the steps are those of `qif2hw.train.finish`, which choose their length themselves;
        the last ones take less of it.
    """

    start: int
    stop: int
    rate: float
    weight_bits: int | None = None
    weights_move: bool = True
    freezes: bool = False
    steady: float = 0.0
    second_order: bool = False

    @property
    def rounds(self) -> bool:
        """Whether weights go onto the grid, or stay there."""
        return self.freezes or not self.weights_move

    @property
    def window(self) -> int:
        """Second-order steps whose losses are averaged and compared with those before them."""
        return max(WINDOW, (self.stop - self.start) // WINDOWS)

    def rate_at(self, step: int) -> float:
        """Learning rate of a step; of a second-order one, what share of its length is taken."""
        if self.second_order:
            left = (self.stop - step) / (self.stop - self.start)
            return self.rate * min(1.0, LAST_SHARE + (1 - LAST_SHARE) * left / SHORTER_FOR)
        if self.freezes:
            return self.rate * FREEZE_DECAY ** max(0.0, self._frozen(step))
        decays = self.start + round(self.steady * (self.stop - self.start))
        # None of a few steps may be left for the decay.
        return self.rate * 0.5 * (1 + math.cos(math.pi * max(0, step - decays) / max(1, self.stop - decays)))

    def groups_at(self, step: int) -> int:
        """Number of groups of weights that have gone onto the grid by a step."""
        return max(0, 1 + math.floor(FREEZE_GROUPS * self._frozen(step))) if self.freezes else 0

    def _frozen(self, step: int) -> float:
        done = (step - self.start) / (self.stop - self.start)
        return (done - FREEZE_AFTER) / (1 - FREEZE_AFTER)


def plan(settings: Settings, steps: int | None = None, weight_bits: int | None = None) -> tuple[Stage, ...]:
    """Stages of a run; ``steps`` replaces the number of steps with free weights.

    The others follow in proportion, or as `Settings.full_after` says.

    With `Settings.finish_steps`: second-order steps follow.  With weight bits: weights go onto the grid in groups
    (`qif2hw.train.quantize`), then the initial phases alone are trained, which corrects most of the remaining rounding
    error; both by second-order steps if there are any.

    Raises
    ------
    InputError
        If ``steps`` is less than 1.
    """
    free = settings.steps if steps is None else steps
    if free < 1:
        raise InputError(f"steps = {free}: at least one step is needed")
    stages = [Stage(0, free, settings.learning_rate, steady=settings.steady)]
    share = free / settings.steps
    if settings.full_after is not None:
        share = min(1.0, share / settings.full_after) if settings.full_after else 1.0

    def add(length: float, rate: float, **options: Any) -> None:
        start = stages[-1].stop
        stages.append(Stage(start, start + max(1, round(length * share)), rate, **options))

    if settings.finish_steps:
        add(settings.finish_steps, 1.0, second_order=True)
    if settings.finish_steps and weight_bits is not None:
        add(settings.rounding_steps, 1.0, freezes=True, second_order=True)
        alone = settings.rounding_steps * SETTLE_SHARE
        add(alone, 1.0, weight_bits=weight_bits, weights_move=False, second_order=True)
    elif weight_bits is not None:
        few = weight_bits <= FEW_BITS
        rate = settings.freeze_learning_rate if few else settings.qat_learning_rate
        add(settings.freeze_steps if few else settings.qat_steps, rate, freezes=True)
        add(settings.settle_steps, rate * FREEZE_DECAY, weight_bits=weight_bits, weights_move=False)
    return tuple(stages)
