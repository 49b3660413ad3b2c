r"""How much of a network's change derivatives at points do not see, and a warning while such a network trains.

Over a short interval a difference of values is the integral of the slope, and a difference of slopes that of the
curvature, if the function is smooth there:

.. math:: y(x + h) - y(x - h) = \int_{x-h}^{x+h} y'(s)\, ds.

Where two spikes swap their order, or the function is steep over less than the distance of two points, derivatives at
points miss a part.  A loss on a pointwise residual becomes small, too, when all that it misses is put there.
"""

import math
import warnings
from collections.abc import Callable
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

HALF = 0.001
"""Half length of the intervals, as a part of the inputs' range."""
NODES = ((-math.sqrt(0.6), 5 / 18), (0.0, 8 / 18), (math.sqrt(0.6), 5 / 18))
"""Places and weights of Gauss's quadrature, exact for polynomials of fifth degree."""
EVERY = 250
"""Passes of a network that is trained on its derivatives between two looks at what they miss."""
SAMPLES = 200
"""Most inputs of a pass around which is looked."""
MOST = 0.25
"""Part of the change that derivatives may miss without a warning."""

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
        input where it is largest; and of the integrated curvature, as a part of the difference of slopes.
    """

    first: float
    second: float


@torch.no_grad()
def unseen(derivatives: Derivatives, x: Tensor) -> Unseen:
    """`Unseen` parts of a network's change around inputs ``x`` (samples, inputs) in [0, 1]."""
    x = x.detach().double().clamp(HALF, 1 - HALF)
    parts = [_along(derivatives, x, row[None]) for row in torch.eye(x.shape[1], dtype=torch.float64)]
    return Unseen(max(part.first for part in parts), max(part.second for part in parts))


def _along(derivatives: Derivatives, x: Tensor, direction: Tensor) -> Unseen:
    places = (-1.0, 1.0, *(place for place, _ in NODES))
    found = derivatives(torch.cat([x + place * HALF * direction for place in places]), direction)
    values, slopes, curvatures = (part.reshape(len(places), len(x), -1) for part in found)
    weights = torch.tensor([weight for _, weight in NODES], dtype=torch.float64)[:, None, None]
    return Unseen(_part(values, (weights * slopes[2:]).sum(0)), _part(slopes, (weights * curvatures[2:]).sum(0)))


def _part(ends: Tensor, seen: Tensor) -> float:
    change = (ends[1] - ends[0]) / (2 * HALF)
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
    part, what = (missed.second, "slopes") if order == 2 else (missed.first, "values")
    if part > MOST:
        _passes[network] = -(2**62)
        warnings.warn(
            f"{part:.0%} of the change of the network's {what} lies in kinks that derivatives at points do not see: "
            "the residual can be small and the solution wrong; test the equation over a finite stencil instead "
            "(qif2hw.physics.differences), or train in the published regime",
            UnseenChange,
            stacklevel=3,
        )
