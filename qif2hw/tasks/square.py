"""Points of the square [-1, 1]^2, for tasks in two dimensions."""

from collections.abc import Callable

import numpy as np

from qif2hw.ir.network import FloatArray
from qif2hw.nn.task import Samples

DOMAIN = ((-1.0, 1.0), (-1.0, 1.0))
TRAIN_SIDE = 100
TEST_SIDE = 300


def samples(function: Callable[[FloatArray], FloatArray], side: int) -> Samples:
    """A regular grid of ``side^2`` points, scaled to [0, 1], and a function of the distance from the centre there."""
    line = np.linspace(-1.0, 1.0, side)
    points = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    return Samples((points + 1) / 2, function(np.hypot(points[:, 0], points[:, 1]))[:, None])
