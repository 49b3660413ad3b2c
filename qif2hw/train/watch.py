"""Looks at a validation set during a run: the best parameters are kept, and where they improve no more the run ends."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray
from qif2hw.train.schedule import Stage, plan
from qif2hw.train.task import Model, Objective, Samples, Settings, Task

LEAST, LEAST_SECOND_ORDER = 10, 20
"""Looks before a run, and second-order steps before these may end early."""
PART = 4096
"""Samples whose results are computed at a time."""


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
    second_order_seconds
        What a second-order step takes, for a run with a time limit.
    """

    def __init__(
        self,
        model: Model,
        loss: Objective,
        settings: Settings,
        weight_bits: int | None,
        steps: int,
        second_order_seconds: float = 0.0,
    ) -> None:
        self._model, self._loss, self._settings, self._bits = model, loss, settings, weight_bits
        self._second_order_seconds = second_order_seconds
        self._parameters = [p for group in model.parameter_groups() for p in group]
        self._best = [p.detach().clone() for p in self._parameters]
        # The least loss, its step, the number of first-order steps; whether these were slow, and of no more use.
        self._known = torch.tensor([torch.inf, 0.0, float(steps), 0.0, 0.0], dtype=torch.float64)
        self._planned = steps
        second_order = sum(s.stop - s.start for s in plan(settings, steps) if s.second_order)
        self._looks = torch.full((steps // settings.look_every + 1 + second_order, 3), torch.nan, dtype=torch.float64)

    @property
    def steps(self) -> int:
        """Number of first-order steps with free weights."""
        return int(self._known[2])

    @property
    def settled(self) -> bool:
        """Whether the validation loss fell no more before the rate decayed: what further steps learn is noise."""
        return bool(self._known[4])

    @property
    def history(self) -> FloatArray:
        """Step, training loss and validation loss, (looks, 3)."""
        looks = self._looks.numpy()
        return looks[np.isfinite(looks[:, 0])]

    def state(self) -> dict[str, Tensor]:
        """State to go on from, to be restored in place: the best parameters, their loss and step, all looks (n, 3)."""
        best = {f"best{k}": value for k, value in enumerate(self._best)}
        return {**best, "known": self._known, "looks": self._looks}

    def restore(self, path: Path, tensors: dict[str, Tensor]) -> None:
        """Take the number of steps from tensors, of any shape, of a checkpoint; `InputError` if it is damaged."""
        known = tensors.get("known")
        steps = known[2] if known is not None and known.shape == self._known.shape else torch.tensor(torch.nan)
        if not 1 <= steps <= self._planned:
            raise InputError(f"{path}: this checkpoint is damaged ({float(steps)} steps)")
        self._known[2] = steps

    def note_slowness(self) -> None:
        """Let the rate decay at the next look: the second-order steps gain more (`qif2hw.train.finish`)."""
        self._known[3] = 1.0

    def after(self, done: int, loss: float, seconds: float, limit: float | None, *, early: bool) -> bool:
        """Look after ``done`` first-order steps, if it is time to; whether the number of steps has changed.

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
        look = done == self.steps or done % self._settings.look_every == 0
        if look:
            self._look(done, loss)
        changed = look and done < self.steps and early and self._ends(done, seconds, limit)
        if done == round(self._settings.steady * self.steps):
            self._known[4] = self._stale(done)
        if done == self.steps:
            self._take_best()
        return changed

    def after_second_order(self, done: int, loss: float, stage: Stage, *, ended: bool) -> bool:
        """Look after a second-order step; whether it is the last, after which the model gets the best parameters.

        Parameters
        ----------
        done, loss
            Number of steps, those before the ``stage`` included, and the loss of the last one.
        stage
            Its second-order steps.
        ended
            Whether they end anyway.
        """
        self._look(done, loss)
        taken, stale = done - stage.start, done - max(stage.start, float(self._known[1]))
        settled = taken >= LEAST_SECOND_ORDER and stale > self._settings.patience * taken
        ends = ended or settled or done == stage.stop
        if ends:
            self._take_best()
        return ends

    @torch.no_grad()
    def imitated(self, task: Task, seed: int) -> Task:
        """The task with the best parameters' results in place of those of the training set of a ``seed``.

        What is learned from noisy rows by more and more steps is their noise: weights that go onto the grid are to
        keep what the validation set has chosen.
        """
        parameters, bits = [p.detach().clone() for p in self._parameters], self._model.weight_bits
        self._model.weight_bits = None
        self._take_best()

        def train_set(seed: int) -> Samples:
            return samples

        x = task.train_set(seed).x
        samples = Samples(x, torch.cat([self._model(part) for part in torch.from_numpy(x).split(PART)]).numpy())
        self._model.weight_bits = bits
        self._set(parameters)
        return replace(task, train_set=train_set)

    @torch.no_grad()
    def _look(self, done: int, loss: float) -> None:
        """Measure the validation loss, and keep the parameters if it is the least."""
        found = float(self._loss(0))
        self._looks[len(self.history)] = torch.tensor([done, loss, found])
        if found < self._known[0]:
            self._known[:2] = torch.tensor([found, done])
            for kept, p in zip(self._best, self._parameters, strict=True):
                kept.copy_(p)

    def _take_best(self) -> None:
        self._set(self._best)

    @torch.no_grad()
    def _set(self, values: list[Tensor]) -> None:
        for p, value in zip(self._parameters, values, strict=True):
            p.copy_(value)

    def _ends(self, done: int, seconds: float, limit: float | None) -> bool:
        """Let the rate decay from here, if the validation loss falls no more, slowly, or the time is up."""
        steps = round(done / self._settings.steady) if self._settings.steady else done
        if self.steps < self._planned or steps >= self.steps or round(self._settings.steady * steps) != done:
            return False
        late = limit is not None and self._expected(steps, seconds / done) >= limit
        ends = bool(self._stale(done) or late or self._known[3])
        if ends:
            self._known[2] = steps
        return ends

    def _stale(self, done: int) -> bool:
        """Whether the validation loss has not fallen for long."""
        looks, stale = done // self._settings.look_every, done - float(self._known[1])
        return looks >= LEAST and stale > self._settings.patience * done

    def _expected(self, steps: int, first_order_seconds: float) -> float:
        """Seconds of a run of so many first-order steps, each of which takes ``first_order_seconds``."""
        return sum(
            (stage.stop - stage.start) * (self._second_order_seconds if stage.second_order else first_order_seconds)
            for stage in plan(self._settings, steps, self._bits)
        )
