"""The second moment of the lateness is chosen where it lowers the whole error."""

from dataclasses import replace

import numpy as np
import pytest

from qif2hw import reference, zoo
from qif2hw.compiler import CompileOptions, compile_network
from qif2hw.compiler.passes.moments import WORTH
from qif2hw.ir import Network

OPTIONS = CompileOptions(steps=512)


@pytest.fixture(scope="module")
def network() -> Network:
    return zoo.network("ricker")


def error_of(network: Network, options: CompileOptions, x: np.ndarray) -> float:
    from qif2hw import engine

    made = compile_network(network, options, x).program
    exact = reference.run(network, x).y
    return float(np.linalg.norm(engine.run(made, x).y - exact) / np.linalg.norm(exact))


def test_two_moments_where_the_time_grid_is_the_error(network: Network) -> None:
    """The zoo's weights are on the grid: nothing but the time grid is wrong."""
    x = network.host.unscaled(np.random.default_rng(0).random((400, 2))) if network.host else None
    assert x is not None
    found = compile_network(network, OPTIONS, x).report
    assert found["moments"]["moments"] == 2
    assert found["tables"]["lateness_moments"] == 2
    assert found["moments"]["error_two"] <= WORTH * found["moments"]["error_one"]
    fresh = network.host.unscaled(np.random.default_rng(1).random((2000, 2)))
    one, two = (error_of(network, replace(OPTIONS, lateness_moments=m), fresh) for m in (1, 2))
    assert two < 0.9 * one
    assert error_of(network, OPTIONS, fresh) == pytest.approx(two, rel=0.05)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (CompileOptions(steps=512, weight_bits=3, rounding="nearest"), "two leave"),
        (CompileOptions(steps=512, payload_bits=0), "carry no lateness"),
        (CompileOptions(steps=512, form="grid"), "uses one"),
        (CompileOptions(steps=512, target="loihi2-microcode"), "messages_per_spike"),
    ],
)
def test_one_where_it_gains_nothing_or_cannot_be(network: Network, options: CompileOptions, why: str) -> None:
    """Weights of three bits: their rounding is the error."""
    found = compile_network(network, options).report
    assert found["moments"]["moments"] == found["tables"]["lateness_moments"] == 1
    assert why in found["moments"]["why"]


def test_what_is_asked_for_is_not_measured(network: Network) -> None:
    found = compile_network(network, replace(OPTIONS, lateness_moments=1)).report
    assert "moments" not in found
    assert found["tables"]["lateness_moments"] == 1
    assert "moments" not in compile_network(network, replace(OPTIONS, max_error=0.01)).report
