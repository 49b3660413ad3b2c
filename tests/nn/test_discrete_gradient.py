"""The surrogate gradient against finite differences of the expected number of spikes, which it estimates."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from qif2hw.discrete import Stepped, SteppedLIF, SteppedQIF
from qif2hw.nn import LIF, DiscreteQIF

SAMPLES, STEPS, H = 200_000, 6, 0.1
Array = NDArray[np.float64]


def exact(u: Array) -> Array:
    """The flow of ``u' = u (u - 1/2) / 4`` over one step, as it is usually written."""
    e = np.exp(-0.125)
    return -0.5 * e * u / ((1 - e) * u - 0.5)


NEURONS: dict[str, tuple[Stepped, Callable[[Array], Array]]] = {
    "lif": (SteppedLIF(), lambda u: 0.5 * u),
    "euler": (SteppedQIF(kind="euler"), lambda u: u + 0.25 * u * (u - 0.5)),
    "exact": (SteppedQIF(), exact),
}


def spikes(relax: Callable[[Array], Array], x: Array) -> float:
    """Mean number of spikes of a neuron with threshold 1 and reset 0."""
    u, count = np.zeros(x.shape[1]), 0.0
    for given in x:
        v = relax(u) + given
        u = np.where(v >= 1, 0.0, v)
        count += float((v >= 1).mean())
    return count


def finite_differences(relax: Callable[[Array], Array], x: Array) -> Array:
    """Derivatives of the mean number by a common shift of the inputs in each step."""
    slopes = []
    for t in range(len(x)):
        shift = np.zeros((len(x), 1))
        shift[t] = H
        slopes.append((spikes(relax, x + shift) - spikes(relax, x - shift)) / (2 * H))
    return np.array(slopes)


def estimate(neuron: Stepped, x: Array, **options: Any) -> Array:
    """The same by the surrogate gradient."""
    given = torch.from_numpy(x).requires_grad_()
    family = LIF if isinstance(neuron, SteppedLIF) else DiscreteQIF
    family(neuron, **options)(given).sum().backward()
    assert given.grad is not None
    return given.grad.sum(dim=1).numpy() / SAMPLES


@pytest.mark.parametrize("name", NEURONS)
def test_window_and_reset_term(name: str) -> None:
    neuron, relax = NEURONS[name]
    x = np.random.default_rng(0).normal(0.0, 1.0, (STEPS, SAMPLES))
    true = finite_differences(relax, x)
    # The bias of a rectangle of one deviation is of fourth order, but not nothing, and adds up over the steps.
    for window, bias in ("analytic", 0.07), (0.5, 0.03):
        ours = estimate(neuron, x, window=window)
        assert abs(ours.sum() / true.sum() - 1) < bias
        assert ours @ true / np.linalg.norm(ours) / np.linalg.norm(true) > 0.999
        # Without the term of the reset the gradient is a sixth to a half too large.
        detached = estimate(neuron, x, window=window, detach_reset=True)
        assert 1.12 < detached.sum() / true.sum() < 1.6
