r"""How much of a network's change derivatives at points do not see, and a warning while such a network trains.

Over an interval a difference of values is the integral of the slope, and a second difference that of the curvature
times a hat, if the function is smooth there:

.. math::
    y(b) - y(a) = \int_a^b y'(s)\, ds, \quad
    y(b) - 2 y(m) + y(a) = \int_a^b y''(s) \left(\tfrac{b - a}{2} - |s - m|\right) ds, \quad m = \tfrac{a + b}{2}.

Where two spikes swap their order, or the function is steep over less than the distance of two points, derivatives at
points miss a part.  Kinks that cancel each other over the interval do no harm.  Those that do not let a loss on a
pointwise residual become small although the solution is wrong.
"""

import math
import warnings
from collections.abc import Callable
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

INTERVALS, PANELS = 10, 16
"""Intervals that an input's range is divided into, and parts of each over which is integrated."""
NODES = ((0.5 - math.sqrt(0.15), 5 / 18), (0.5, 8 / 18), (0.5 + math.sqrt(0.15), 5 / 18))
"""Places in a part and weights of Gauss's quadrature, exact for polynomials of fifth degree."""
EVERY = 250
"""Passes of a network that is trained on its derivatives between two looks at what they miss."""
SAMPLES = 20
"""Most inputs of a pass whose other coordinates are looked at."""
MOST, MOST_SECOND = 0.25, 0.9
"""Part of the change that first and second derivatives may miss without a warning.

The published Navier-Stokes task misses 0.69 of the second derivatives after 250 steps and becomes a good solution.
"""

Derivatives = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
"""Values, first and second derivatives (batch, outputs, directions) at inputs along directions (directions, inputs)."""


class UnseenChange(UserWarning):
    """A network is trained on derivatives at points that miss much of its change."""


class Unseen(NamedTuple):
    """Parts of the change that derivatives at points do not see, 0 for a smooth function.

    Attributes
    ----------
    first, second
        Mean absolute error of the integrated slope, as a part of the mean absolute difference of values, along the
        input where it is largest; and of the integrated curvature, as a part of the second difference.
    """

    first: float
    second: float


@torch.no_grad()
def unseen(derivatives: Derivatives, x: Tensor) -> Unseen:
    """`Unseen` parts of a network's change along each input, over its whole range, through ``x`` (samples, inputs)."""
    parts = [_along(derivatives, x.detach().double(), i) for i in range(x.shape[1])]
    return Unseen(max(part.first for part in parts), max(part.second for part in parts))


def _along(derivatives: Derivatives, x: Tensor, i: int) -> Unseen:
    direction = torch.eye(x.shape[1], dtype=torch.float64)[i : i + 1]
    x = x.repeat(-(-INTERVALS // len(x)), 1)
    x[:, i] = torch.arange(len(x)) % INTERVALS / INTERVALS
    inner = [((panel + place) / PANELS, weight / PANELS) for panel in range(PANELS) for place, weight in NODES]
    places = [0.0, 0.5, 1.0, *(place for place, _ in inner)]
    along = [(x + place / INTERVALS * direction).clamp(0, 1) for place in places]
    found = derivatives(torch.cat(along), direction)
    values, slopes, curvatures = (part.reshape(len(places), len(x), -1) for part in found)
    weights = torch.tensor([weight for _, weight in inner], dtype=torch.float64)[:, None, None]
    hat = torch.tensor([2 * (1 - abs(2 * place - 1)) for place, _ in inner], dtype=torch.float64)[:, None, None]
    start, middle, stop = values[:3]
    return Unseen(
        _part((stop - start) * INTERVALS, (weights * slopes[3:]).sum(0)),
        _part((stop - 2 * middle + start) * (2 * INTERVALS) ** 2, (weights * hat * curvatures[3:]).sum(0)),
    )


def _part(change: Tensor, seen: Tensor) -> float:
    whole = float(change.abs().mean())
    return float((change - seen).abs().mean()) / whole if whole > 0 else 0.0


_passes: "WeakKeyDictionary[nn.Module, int]" = WeakKeyDictionary()


def watch(network: nn.Module, derivatives: Derivatives, x: Tensor, order: int) -> None:
    """Count a pass of ``network`` in training at inputs ``x`` (samples, inputs); every `EVERY` passes look, warn once.

    ``order`` is that of the derivatives in the loss.
    """
    _passes[network] = count = _passes.get(network, 0) + 1
    if count < 0 or count % EVERY:
        return
    missed = unseen(derivatives, x[:: max(1, len(x) // SAMPLES)])
    part, what = (missed.second, "slope") if order == 2 else (missed.first, "values")
    if part > (MOST_SECOND if order == 2 else MOST):
        _passes[network] = -(2**62)
        warnings.warn(
            f"{part:.0%} of the change of the network's {what} lies in kinks that derivatives at points do not see: "
            "the residual can be small and the solution wrong; test the equation over a finite stencil instead "
            "(qif2hw.physics.differences), or train in the published regime",
            UnseenChange,
            stacklevel=3,
        )
