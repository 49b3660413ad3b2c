"""Weights go onto the grid in rounds, each rounding compensated by all weights that are free and by all phases."""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from qif2hw.ir.arrays import BoolArray, FloatArray
from qif2hw.simd import Reals
from qif2hw.train.finish import ELEMENT, LARGEST, parameters, residuals_of
from qif2hw.train.optim.gauss_newton import gram_of
from qif2hw.train.optim.nearest_plane import NearestPlane
from qif2hw.train.quantize import IncrementalQuantizer
from qif2hw.train.residuals import Residuals
from qif2hw.train.task import Model, Task

ROWS = 10000
"""Largest number of residuals that a round goes by."""
SHARES = (1.0, 1 / 2, 1 / 4, 1 / 8)
"""Shares of the free weights that a round tries to put on the grid; the last one it takes in any case."""
WORSE = 1.1
"""Factor of the loss without this round's rounding above which it tries the next share."""
DAMPINGS = (1e-5, 1e-3, 1e-1)
"""Of a round, in units of the mean squared derivative by a parameter: the next one is tried after `TOO_BAD`."""
TOO_BAD = 2.0
"""Factor of the loss without its rounding above which a round is tried with more damping; the best one is taken."""

Rounding: TypeAlias = Callable[[int, IncrementalQuantizer, bool], float]
"""``rounding(number, quantizer, last)`` is a round, the last one of all free weights; returns the loss."""


def rounding_of(task: Task, model: Model, seed: int, teacher: Model | None = None) -> Rounding | None:
    r"""Rounds of a task with residuals; None where it has fewer residuals than parameters, or these are too many.

    With fewer residuals nearly every rounding can be compensated, and steps of the finish on the free weights do it.
    A round linearises the residuals in all free parameters,

    .. math:: r(\theta + \delta) \approx r + J \delta,

    and rounds the weights on which they depend most, one after the other, each compensated by all that come after it
    (`qif2hw.train.optim.nearest_plane`): as many at once as the linear form allows.  Memory: at most ``ROWS`` rows of
    the Jacobian in float64 and float32, and twice (parameters, parameters) in float64.
    """
    draw = residuals_of(task, model, seed, teacher)
    assert isinstance(model, nn.Module)
    equations = draw(0, 1)[0].values(model).shape[1]
    groups = max(1, ROWS // (2 * equations))
    every = parameters(model)
    columns = sum(p.numel() for p in every)
    if sum(len(part.takes[0]) for part in draw(0, groups)) * equations < columns:
        return None
    if 2 * columns**2 * np.dtype(np.float64).itemsize > LARGEST:
        return None

    def rounding(number: int, quantizer: IncrementalQuantizer, last: bool) -> float:
        parts = draw(number, groups)

        def loss(values: FloatArray) -> float:
            _put(every, values)
            model.keep_inside()
            quantizer.keep()
            return sum(part.loss(model) for part in parts) / len(parts)

        start = np.concatenate([p.detach().numpy().ravel() for p in every]).astype(np.float64)
        before = loss(start)
        step, free = _grid(every, quantizer)
        rows, missing = _rows(parts, model, free)
        # Initial phases, then weights by what a step of their grid does to the residuals.
        effect = np.where(step[free] > 0, np.einsum("ij,ij->j", rows, rows, dtype=np.float64) * step[free] ** 2, -1.0)
        order = np.argsort(effect, kind="stable")
        index = np.flatnonzero(free)[order]
        columns = np.ascontiguousarray(rows.T[order], np.float64)
        del rows
        weights = int((effect >= 0).sum())
        shares = SHARES[:1] if last else SHARES
        least, best, chosen = np.inf, start, index[len(index) - math.ceil(shares[-1] * weights) :]
        for damping in DAMPINGS:
            planes = NearestPlane(gram_of(columns), columns @ missing, start[index], damping)
            unrounded = start.copy()
            unrounded[index] = planes.round_last(step[:0], quantizer.most)
            before = min(before, loss(unrounded))
            for share in shares:
                these = index[len(index) - math.ceil(share * weights) :]
                found = start.copy()
                found[index] = planes.round_last(step[these], quantizer.most)
                after = loss(found)
                if after <= WORSE * before:
                    break
            if after < least:
                least, best, chosen = after, found, these
            if least <= TOO_BAD * before:
                break
        _put(every, best)
        model.keep_inside()
        on_grid = np.zeros(len(step), np.bool_)
        on_grid[chosen] = True
        masks = {id(p): torch.from_numpy(part) for p, part in zip(every, _parts(every, on_grid), strict=True)}
        quantizer.freeze_these([masks[id(w)] for w in quantizer.weights])
        return least

    return rounding


def _rows(parts: tuple[Residuals, Residuals], model: nn.Module, free: BoolArray) -> tuple[Reals, FloatArray]:
    """Rows of the Jacobian (rows, free parameters) and what is missing (rows,) of both parts."""
    found = [part.rows(model, ELEMENT) for part in parts]
    return np.concatenate([rows[:, free] for rows, _ in found]), np.concatenate([missing for _, missing in found])


def _grid(every: list[nn.Parameter], quantizer: IncrementalQuantizer) -> tuple[FloatArray, BoolArray]:
    """Grid steps of all parameters, 0 for initial phases, and which of them are free; both (parameters,)."""
    step = {id(w): float(s) for w, s in zip(quantizer.weights, quantizer.step, strict=True)}
    free = {id(w): mask.numpy() for w, mask in zip(quantizer.weights, quantizer.free(), strict=True)}
    return (
        np.concatenate([np.full(p.numel(), step.get(id(p), 0.0)) for p in every]),
        np.concatenate([free.get(id(p), np.ones(p.shape, np.bool_)).ravel() for p in every]),
    )


def _parts(every: list[nn.Parameter], values: NDArray[Any]) -> list[NDArray[Any]]:
    """Values (parameters,) as arrays of the parameters' shapes."""
    parts = np.split(values, np.cumsum([p.numel() for p in every])[:-1])
    return [part.reshape(p.shape) for p, part in zip(every, parts, strict=True)]


@torch.no_grad()
def _put(every: list[nn.Parameter], values: FloatArray) -> None:
    for p, part in zip(every, _parts(every, values), strict=True):
        p.copy_(torch.from_numpy(part))
