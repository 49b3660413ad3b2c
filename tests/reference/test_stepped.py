"""The stepped reference against a plain loop over torch operations."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from qif2hw.discrete import SteppedLIF, SteppedQIF
from qif2hw.errors import InputError
from qif2hw.ir import Conv2d, Projection
from qif2hw.ir.stepped import Accumulated, Accumulator, Frames, SteppedNetwork, SteppedPopulation, Steps
from qif2hw.reference import stepped

NEURONS = {
    "exact": SteppedQIF(0.25, 0.0, 0.5),
    "euler": SteppedQIF(0.25, 0.0, 0.5, kind="euler"),
    "lif": SteppedLIF(0.5),
    "gain": SteppedQIF(0.5, -0.1, 0.8, 1.0, -0.2, 0.5),
}


def network(neuron: Any, steps: int = 5) -> SteppedNetwork:
    """Two convolutions with a shortcut around the second, and a read-out."""
    rng = np.random.default_rng(0)
    first = Conv2d((2, 6, 6), 4, (3, 3), padding=(1, 1))
    second = Conv2d((4, 6, 6), 4, (3, 3), padding=(1, 1), groups=2)
    shortcut = Conv2d((4, 6, 6), 4, (1, 1))
    return SteppedNetwork(
        Steps(steps),
        (Frames("image", (2, 6, 6)),),
        (
            SteppedPopulation("first", neuron, (4, 6, 6), rng.normal(0.2, 0.1, 4)),
            SteppedPopulation("second", neuron, (4, 6, 6), rng.normal(0.2, 0.1, 4)),
            SteppedPopulation("scores", Accumulator(), (3,), rng.normal(size=3)),
        ),
        (
            Projection("image", "first", rng.normal(0, 0.5, first.weight_shape), first),
            Projection("first", "second", rng.normal(0, 0.5, second.weight_shape), second),
            Projection("first", "second", rng.normal(0, 0.5, shortcut.weight_shape), shortcut),
            Projection("second", "scores", rng.normal(size=(3, 144))),
        ),
        (Accumulated("scores", 1 / steps),),
    )


def relaxed(neuron: Any, u: torch.Tensor) -> torch.Tensor:
    """Closed forms of the published texts, not those of the library."""
    if isinstance(neuron, SteppedLIF):
        return neuron.rest + neuron.leak * (u - neuron.rest)
    a, u1, u2 = neuron.a, float(np.real(neuron.u1)), float(np.real(neuron.u2))
    if neuron.kind == "euler":
        return u + a * (u - u1) * (u - u2)
    e = math.exp(-a * (u2 - u1))
    return ((u1 - u2 * e) * u - u1 * u2 * (1 - e)) / ((1 - e) * u + e * u1 - u2)


def by_torch(made: SteppedNetwork, x: torch.Tensor, neuron: Any) -> tuple[torch.Tensor, list[torch.Tensor]]:
    w = [torch.from_numpy(p.weight.copy()) for p in made.projections]
    b = [torch.from_numpy(p.bias.copy()) for p in made.populations]
    u = [torch.full((x.shape[0], 4, 6, 6), neuron.reset, dtype=torch.float64) for _ in range(2)]
    scores, spikes = torch.zeros((x.shape[0], 3), dtype=torch.float64), [[], []]
    for t in range(x.shape[1]):
        currents = F.conv2d(x[:, t], w[0], b[0], padding=1)
        for k in range(2):
            v = relaxed(neuron, u[k]) + neuron.gain * currents
            fired = v >= neuron.threshold
            u[k] = torch.where(fired, torch.full_like(v, neuron.reset), v)
            spikes[k].append(fired.flatten(1))
            s = fired.double()
            if k == 0:
                currents = F.conv2d(s, w[1], b[1], padding=1, groups=2) + F.conv2d(s, w[2])
        scores += F.linear(s.flatten(1), w[3], b[2])
    return scores / x.shape[1], [torch.stack(part, dim=1) for part in spikes]


@pytest.mark.parametrize("frames", [False, True], ids=["constant", "frames"])
@pytest.mark.parametrize("name", NEURONS)
def test_as_a_loop_over_torch(name: str, frames: bool) -> None:
    made, steps = network(NEURONS[name]), 5
    x = np.random.default_rng(1).normal(size=(70, *([steps] if frames else []), 2, 6, 6))
    run = stepped.run(made, x)
    given = torch.from_numpy(x) if frames else torch.from_numpy(x)[:, None].expand(-1, steps, -1, -1, -1)
    y, spikes = by_torch(made, given, NEURONS[name])
    np.testing.assert_allclose(run.y, y.numpy(), rtol=0, atol=1e-12)
    for mine, theirs in zip(run.spikes.values(), spikes, strict=True):
        assert np.array_equal(mine, theirs.numpy())
        assert 0.02 < mine.mean() < 0.9
    assert np.array_equal(run.label, y.argmax(dim=1).numpy())


def test_inputs_of_a_wrong_shape_are_refused() -> None:
    made = network(NEURONS["exact"])
    for shape in ((2, 2, 6), (2, 6, 2, 6, 6), (72,), (2, 4, 2, 6, 6)):
        with pytest.raises(InputError, match=r"\(samples, 2, 6, 6\) or \(samples, 72\) is needed, or 5 time steps"):
            made.check_inputs(np.zeros(shape))
    with pytest.raises(InputError, match="no sample"):
        made.check_inputs(np.zeros((0, 2, 6, 6)))
    with pytest.raises(InputError, match="inputs holds nan"):
        made.check_inputs(np.full((1, 2, 6, 6), np.nan))
