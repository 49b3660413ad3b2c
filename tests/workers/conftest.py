"""Networks of either clock, compiled, with more inputs than one shard has."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from networks import ordinary, stepped_images

import qif2hw
from qif2hw import zoo
from qif2hw.bundle import AnyBundle
from qif2hw.ir.arrays import FloatArray

SAMPLES = 3 * 256 + 1
"""The last shard may have one sample alone."""


class Work(NamedTuple):
    bundle: AnyBundle
    x: FloatArray
    """As `check_inputs` returns them."""


def made(name: str) -> Work:
    rng = np.random.default_rng(0)
    bundle: Any
    if name == "stepped":
        x = rng.normal(0.3, 1, (SAMPLES, 2, 8, 8))
        bundle = qif2hw.compile(stepped_images(), calibration=x[:50])
        return Work(bundle, bundle.network.check_inputs(x))
    if name == "product":
        bundle = zoo.bundle("poisson_operator")
    else:
        bundle = qif2hw.compile(ordinary((3, 6, 5, 2), seed=1), steps=128, rounding="nearest")
    return Work(bundle, rng.random((SAMPLES, bundle.program.inputs)))


@pytest.fixture(scope="session", params=["layers", "product", "stepped"])
def work(request: pytest.FixtureRequest) -> Work:
    return made(request.param)


@pytest.fixture(scope="session")
def layers() -> Work:
    return made("layers")
