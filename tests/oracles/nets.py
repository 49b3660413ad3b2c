"""Networks to test with."""

import itertools

import numpy as np
from numpy.typing import NDArray

from qif2hw.ir import Encoder, Network, Population, Product, Projection, Readout, layered
from qif2hw.neuron import QIF


def random_layers(
    sizes: tuple[int, ...],
    seed: int,
    *,
    gain: float = 0.9,
    trial: float = 6.5,
    encode: tuple[float, float] = (0.05, 1.95),
) -> Network:
    """The ordinary regime: weights ``+-gain / sqrt(fan_in)``, ``phi0 ~ U(2, 5)``, outputs 1.0 and 0.5."""
    rng = np.random.default_rng(seed)
    weights = [rng.uniform(-1, 1, (post, pre)) * gain / np.sqrt(pre) for pre, post in itertools.pairwise(sizes)]
    phi0 = [rng.uniform(2, 5, size) for size in sizes[1:-1]] + [np.resize([1.0, 0.5], sizes[-1])]
    return layered(weights, phi0, trial=trial, encode=encode)


def two_branches(seed: int, *, gain: float = 0.9, skip: bool = True) -> Network:
    """Two input groups, two branches of different neurons, a skip connection, an inner product."""
    rng = np.random.default_rng(seed)

    def weight(post: int, pre: int) -> NDArray[np.float64]:
        return rng.uniform(-1, 1, (post, pre)) * gain / np.sqrt(pre)

    slow, fast = QIF(), QIF(tau=1.2, i0=0.9)
    left = Readout("branch", np.array([0, 2]), np.array([1, 3]), np.ones(2), np.zeros(2))
    right = Readout("trunk", np.array([0, 2]), np.array([1, 3]), np.array([0.5, 2.0]), np.array([0.1, -0.2]))
    direct = Readout("branch", np.array([3]), np.array([0]), np.array([1.5]), np.array([0.25]))
    projections = [
        Projection("sensors", "hidden", weight(6, 3)),
        Projection("hidden", "branch", weight(4, 6)),
        Projection("place", "trunk", weight(4, 2)),
        Projection("place", "hidden", weight(6, 2)),
    ]
    if skip:
        projections.append(Projection("sensors", "branch", weight(4, 3)))
    return Network(
        trial=7.0,
        encoders=(Encoder("sensors", 3, 0.1, 2.0), Encoder("place", 2, 0.5, 5.0)),
        # Not in the order of their depth, on purpose.
        populations=(
            Population("branch", slow, rng.uniform(0, 5, 4)),
            Population("trunk", fast, rng.uniform(0, 4, 4)),
            Population("hidden", fast, rng.uniform(0, 4, 6)),
        ),
        projections=tuple(projections),
        outputs=(Product(left, right, scale=2.0, offset=-1.0), direct),
    )
