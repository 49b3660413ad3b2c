"""Training an ANN on a differential equation: collocation points with Adam, then L-BFGS."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from qif2hw.experiments.baselines.ann import Ann
from qif2hw.experiments.baselines.architecture import take_apart
from qif2hw.experiments.baselines.derivatives import derivatives
from qif2hw.experiments.baselines.fitting import Objective
from qif2hw.train.task import Equation

POLISH_POINTS = 4000
"""Collocation points of L-BFGS, which needs the same ones in every iteration."""

RENEW = 250
"""Steps after which the points with a large residual are looked for anew."""


def on_physics(model: Ann, equation: Equation, batch: int, seed: int) -> Objective:
    """Mean square residual on points drawn anew in every step, half of them where the residual is large."""
    scale_to_points(model, equation, seed)
    steep = torch.zeros(0)

    def loss(step: int) -> Tensor:
        nonlocal steep
        if step % RENEW == 0 or len(steep) == 0:
            steep = _preferred(model, equation, POLISH_POINTS // 2, [seed, step, 2])
        even = _draw(equation, batch - batch // 2, [seed, step])
        chosen = np.random.default_rng([seed, step, 3]).integers(0, len(steep), batch // 2)
        return residuals(model, equation, torch.cat([even, steep[torch.from_numpy(chosen)]])).mean()

    return loss


def scale_to_points(model: Ann, equation: Equation, seed: int) -> None:
    """Centre and spread of the inputs as they are drawn; outputs stay as they are."""
    points = _draw(equation, POLISH_POINTS, [seed])
    model.fit_scaling(take_apart(model.architecture, points), None)


def residuals(model: Ann, equation: Equation, x: Tensor) -> Tensor:
    """Sum of the squared residuals, (points,), at points ``x`` (points, inputs)."""
    network = derivatives(model, x, equation.directions, equation.pairs)
    return equation.residual(network.value, network.gradient, network.second, x).square().sum(dim=1)


def polish(model: Ann, equation: Equation, iterations: int, seed: int) -> float:
    """Go on with L-BFGS on points that stay; returns the loss it comes to, and keeps the weights of the least loss."""
    half = POLISH_POINTS // 2
    x = torch.cat([_draw(equation, half, [seed, 1, 1]), _preferred(model, equation, half, [seed, 1, 2])])
    parameters = list(model.parameters())
    best, kept = np.inf, [p.detach().clone() for p in parameters]

    def closure() -> float:
        nonlocal best, kept
        optimizer.zero_grad()
        loss = residuals(model, equation, x).mean()
        loss.backward()
        if float(loss) < best:
            best, kept = float(loss), [p.detach().clone() for p in parameters]
        return float(loss)

    optimizer = torch.optim.LBFGS(
        parameters, max_iter=iterations, max_eval=iterations * 5 // 4, history_size=50, line_search_fn="strong_wolfe",
        tolerance_grad=0, tolerance_change=0,
    )  # fmt: skip
    step: Callable[[Callable[[], float]], object] = optimizer.step
    step(closure)
    with torch.no_grad():
        for p, value in zip(parameters, kept, strict=True):
            p.copy_(value)
    return best


def _draw(equation: Equation, count: int, seed: list[int]) -> Tensor:
    return torch.from_numpy(equation.points(count, np.random.default_rng(seed)))


@torch.no_grad()
def _preferred(model: Ann, equation: Equation, count: int, seed: list[int]) -> Tensor:
    candidates = _draw(equation, 2 * count, seed)
    size = residuals(model, equation, candidates).sqrt().numpy()
    weight = 1 + size / max(size.mean(), np.finfo(float).tiny)
    chosen = np.random.default_rng([*seed, 1]).choice(len(candidates), count, p=weight / weight.sum())
    return candidates[torch.from_numpy(chosen)]
