"""Points of the square [-1, 1]^2, for tasks in two dimensions."""

from collections.abc import Callable

import numpy as np

from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.host_part.host import Host, Input, Output
from qif2hw.train.task import Samples, Settings, Task

TRAIN_SIDE = 100
TEST_SIDE = 300


def radial_task(
    name: str, summary: str, function: Callable[[FloatArray], FloatArray], sizes: tuple[int, ...], settings: Settings
) -> Task:
    """A ``function`` of distances (points,) from the centre, on regular grids of 100 x 100 and 300 x 300 points."""

    def samples(side: int) -> Samples:
        line = np.linspace(-1.0, 1.0, side)
        points = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
        return Samples((points + 1) / 2, function(np.hypot(points[:, 0], points[:, 1]))[:, None])

    def train_set(seed: int) -> Samples:
        del seed
        return samples(TRAIN_SIDE)

    def test_set() -> Samples:
        return samples(TEST_SIDE)

    host = Host((Input("x1", -1.0, 1.0), Input("x2", -1.0, 1.0)), (Output("y"),))
    return Task(name, summary, train_set, test_set, sizes, settings=settings, host=host)
