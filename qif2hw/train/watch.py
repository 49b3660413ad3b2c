"""Looks at a validation set during a run: the best parameters are kept, and where they improve no more the run ends."""

from pathlib import Path

import numpy as np
import torch

from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray
from qif2hw.train.schedule import plan
from qif2hw.train.task import Model, Objective, Settings

LEAST = 10
"""Looks before a run may end early."""


class Watch:
    """What is known from the looks at a validation set.

    A run that ends early does so by decaying its rate: the share of its steps in which that happens is the same as
    without, so that the number of steps alone says what was done.

    Parameters
    ----------
    model
        The network that is trained.
    loss
        On the validation set; its argument, the number of a step, does not matter.
    settings, weight_bits
        Of the run.
    steps
        Most steps with free weights.
    """

    def __init__(self, model: Model, loss: Objective, settings: Settings, weight_bits: int | None, steps: int) -> None:
        self._loss, self._settings, self._bits = loss, settings, weight_bits
        self._parameters = [p for group in model.parameter_groups() for p in group]
        self._best = [p.detach().clone() for p in self._parameters]
        # The least loss, its step, the number of steps.
        self._known = torch.tensor([torch.inf, 0.0, float(steps)], dtype=torch.float64)
        self._planned = steps
        self._looks = torch.full((steps // settings.look_every + 1, 3), torch.nan, dtype=torch.float64)

    @property
    def steps(self) -> int:
        """Number of steps with free weights."""
        return int(self._known[2])

    @property
    def history(self) -> FloatArray:
        """Step, training loss and validation loss, (looks, 3)."""
        looks = self._looks.numpy()
        return looks[np.isfinite(looks[:, 0])]

    def state(self) -> dict[str, torch.Tensor]:
        """State to go on from, to be restored in place: the best parameters, their loss and step, all looks (n, 3)."""
        best = {f"best{k}": value for k, value in enumerate(self._best)}
        return {**best, "known": self._known, "looks": self._looks}

    def restore(self, path: Path, tensors: dict[str, torch.Tensor]) -> None:
        """Take the number of steps from tensors, of any shape, of a checkpoint; `InputError` if it is damaged."""
        known = tensors.get("known")
        steps = known[2] if known is not None and known.shape == self._known.shape else torch.tensor(torch.nan)
        if not 1 <= steps <= self._planned:
            raise InputError(f"{path}: this checkpoint is damaged ({float(steps)} steps)")
        self._known[2] = steps

    @torch.no_grad()
    def after(self, done: int, loss: float, seconds: float, limit: float | None, *, early: bool) -> bool:
        """Look after ``done`` steps, if it is time to; whether the number of steps has changed.

        After the last step the model gets the best parameters.

        Parameters
        ----------
        done, loss
            Number of steps with free weights, and the training loss of the last one.
        seconds, limit
            Time since the start, and until when the whole run should be done.
        early
            Whether the number of steps may change.
        """
        last = done == self.steps
        if not last and done % self._settings.look_every:
            return False
        found = float(self._loss(0))
        self._looks[-1 if last else done // self._settings.look_every - 1] = torch.tensor([done, loss, found])
        if found < self._known[0]:
            self._known[:2] = torch.tensor([found, done])
            for kept, p in zip(self._best, self._parameters, strict=True):
                kept.copy_(p)
        if last:
            for kept, p in zip(self._best, self._parameters, strict=True):
                p.copy_(kept)
            return False
        return early and self._ends(done, seconds, limit)

    def _ends(self, done: int, seconds: float, limit: float | None) -> bool:
        """Let the rate decay from here, if the validation loss falls no more or the time is up."""
        steps = round(done / self._settings.steady) if self._settings.steady else done
        if self.steps < self._planned or steps >= self.steps or round(self._settings.steady * steps) != done:
            return False
        looks, stale = done // self._settings.look_every, done - float(self._known[1])
        settled = looks >= LEAST and stale > self._settings.patience * done
        whole = plan(self._settings, steps, self._bits)[-1].stop
        late = limit is not None and seconds * whole / done >= limit
        if settled or late:
            self._known[2] = steps
        return settled or late
