"""Emitted networks on a Cortex-M4 under qemu: every spike is the engine's."""

from pathlib import Path

import numpy as np
import pytest
from emitted import assert_equal, cortex_m4, outputs
from networks import stepped_images

import qif2hw
from qif2hw import zoo

SMALL = ("parabola", "ripple")


def golden(name: str, folder: Path) -> None:
    bundle = zoo.bundle(name)
    program = cortex_m4(bundle, bundle.golden.x, folder)
    spikes = sum(len(found) for found in bundle.golden.step_spikes.values())
    assert program.make("test").strip() == f"equal: {len(bundle.golden.x)} golden inputs, {spikes} spikes"
    assert_equal(program, bundle, bundle.run(bundle.golden.x))


@pytest.mark.parametrize("name", SMALL)
def test_golden_inputs(name: str, tmp_path: Path) -> None:
    golden(name, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(set(zoo.names(stepped=False)) - set(SMALL)))
def test_golden_inputs_of_larger_networks(name: str, tmp_path: Path) -> None:
    golden(name, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("name", SMALL)
def test_many_inputs(name: str, tmp_path: Path) -> None:
    bundle = zoo.bundle(name)
    x = bundle.program.unscaled(np.random.default_rng(7).random((1000, bundle.program.width)))
    program = cortex_m4(bundle, x, tmp_path)
    program.make("network")
    np.testing.assert_array_equal(program.numbers(), outputs(bundle.run(x), bundle))


def test_a_network_in_time_steps(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(0, 1, (6, 2, 8, 8))
    bundle = qif2hw.compile(stepped_images(), calibration=x)
    program = cortex_m4(bundle, x, tmp_path)
    assert program.make("test").startswith("equal: 6 golden inputs")
    assert_equal(program, bundle, bundle.run(x))
