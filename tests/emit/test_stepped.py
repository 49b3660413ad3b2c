"""Emitted networks in time steps: every spike and output is the engine's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emitted import SANITIZED, STRICT, assert_equal, native
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import REST, stepped_images, whole_images, whole_inputs

import qif2hw
from qif2hw.bundle import SteppedBundle
from qif2hw.discrete import SteppedLIF, SteppedQIF
from qif2hw.ir import Conv2d, Projection, Sparse
from qif2hw.ir.stepped import Accumulated, Accumulator, Frames, SteppedNetwork, SteppedPopulation, Steps

NEURONS = {"plane": REST, "euler": SteppedQIF(0.25, 0.0, 0.5, kind="euler"), "leak": SteppedLIF(0.5)}


def compiled(network: SteppedNetwork, x: Any, **options: Any) -> SteppedBundle:
    return qif2hw.compile(network, calibration=x, **options)


@pytest.mark.parametrize("frames", [False, True], ids=["constant", "frames"])
@pytest.mark.parametrize("kind", NEURONS)
def test_images(tmp_path: Path, kind: str, frames: bool) -> None:
    """Convolutions with stride, padding and groups, two projections onto one population, frames or one image."""
    network = stepped_images(NEURONS[kind], spread=30.0)
    x = np.random.default_rng(1).normal(0, 1, (40, *([4] if frames else []), 2, 8, 8))
    bundle = compiled(network, x[:8], thresholds="channel")
    program = native(bundle, x, tmp_path)
    run = bundle.run(x)
    assert program.make("test").startswith(f"equal: {len(bundle.golden.x)} golden inputs")
    assert_equal(program, bundle, run)
    assert len(set(run.label.tolist())) > 1
    assert all(0.01 < fired.mean() < 0.99 for fired in run.spikes.values())


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("steps", [None, 12], ids=["constant", "frames"])
def test_cuba_neurons_with_delays(tmp_path: Path, steps: int | None, compiler: str) -> None:
    """Delays up to beyond the last step, biases, sparse synapses, two input groups; outputs in two units."""
    x = whole_inputs(30, steps)
    bundle = compiled(whole_images(), x[:6])
    program = native(bundle, x, tmp_path, compiler, SANITIZED[compiler])
    run = bundle.run(x)
    assert program.make("test").startswith("equal: 6 golden inputs")
    assert_equal(program, bundle, run)
    assert len(set(run.label.tolist())) > 1


def test_a_network_that_others_trained(tmp_path: Path) -> None:
    """pilotnet_lif of lava-dl's wheel: eleven populations, 14 million synapses, 17 time steps."""
    pytest.importorskip("h5py")
    from slayer_files import wheel_file

    from qif2hw_slayer.importer import import_network

    network = import_network(wheel_file("gts/pilotnet_lif/network.net"), time_steps=17, inputs="bias")
    bundle = qif2hw.compile(network)
    x = np.load(wheel_file("gts/pilotnet_lif/image.npy")).transpose(2, 1, 0)[None]
    run = bundle.run(x)
    assert all(fired.any() for fired in run.spikes.values())
    assert_equal(native(bundle, x, tmp_path), bundle, run)


@st.composite
def networks(draw: st.DrawFn) -> tuple[SteppedNetwork, int]:
    """A convolution of any geometry, sparse or dense synapses, an accumulator; and a seed."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    groups = draw(st.integers(1, 2))
    shape = (groups * draw(st.integers(1, 2)), draw(st.integers(5, 8)), draw(st.integers(5, 8)))
    numbers = (
        draw(pair),
        draw(pair),
        draw(st.tuples(st.integers(0, 2), st.integers(0, 2))),
        draw(st.just((1, 1)) | st.just((2, 1))),
    )
    conv = Conv2d(shape, groups * draw(st.integers(1, 2)), *numbers, groups=groups)
    middle, last = int(np.prod(conv.out_shape)), draw(st.integers(1, 5))
    neuron = NEURONS[draw(st.sampled_from(sorted(NEURONS)))]
    weight = rng.normal(0, 1, (last, middle)) * (rng.random((last, middle)) < 0.5)
    synapses, listed = Sparse.of(weight) if draw(st.booleans()) else (None, weight)
    delay = rng.integers(0, 6, middle) if draw(st.booleans()) else None
    return SteppedNetwork(
        Steps(draw(st.integers(1, 5))),
        (Frames("image", shape),),
        (
            SteppedPopulation("conv", neuron, conv.out_shape, rng.normal(0.3, 0.2, conv.out_shape[0])),
            SteppedPopulation("last", neuron, (last,), rng.normal(0.3, 0.2, last)),
            SteppedPopulation("scores", Accumulator(), (3,), rng.normal(size=3)),
        ),
        (
            Projection("image", "conv", rng.normal(0, 0.5, conv.weight_shape), conv),
            Projection("conv", "last", listed, synapses, delay),
            Projection("last", "scores", rng.normal(size=(3, last))),
        ),
        (Accumulated("scores"),),
    ), seed


def check(drawn: tuple[SteppedNetwork, int], folder: Path) -> None:
    network, seed = drawn
    x = np.random.default_rng(seed).normal(0, 1, (6, *network.encoders[0].shape))
    bundle = compiled(network, x[:2])
    assert_equal(native(bundle, x, folder, flags=SANITIZED["gcc"]), bundle, bundle.run(x))


@settings(max_examples=8, deadline=None)
@given(networks())
def test_any_network(tmp_path_factory: pytest.TempPathFactory, drawn: tuple[SteppedNetwork, int]) -> None:
    check(drawn, tmp_path_factory.mktemp("any"))


@pytest.mark.long
@settings(max_examples=40, deadline=None)
@given(networks())
def test_many_networks(tmp_path_factory: pytest.TempPathFactory, drawn: tuple[SteppedNetwork, int]) -> None:
    check(drawn, tmp_path_factory.mktemp("many"))


def test_the_self_test_names_the_first_difference(tmp_path: Path) -> None:
    bundle = compiled(stepped_images(), np.ones((1, 2, 8, 8)))
    program = native(bundle, None, tmp_path, flags=STRICT)
    text, name = (tmp_path / "golden.c").read_text(), "qif_golden_spikes["
    start = text.index("{\n    ", text.index(name)) + 6
    byte = int(text[start : text.index(",", start)])
    (tmp_path / "golden.c").write_text(text[:start] + str(byte ^ 1) + text[text.index(",", start) :])
    with pytest.raises(AssertionError, match="sample 0, step 0: neuron 7 of population 0"):
        program.make("test")


def test_wrong_lines_are_refused(tmp_path: Path) -> None:
    bundle = compiled(stepped_images(), np.ones((1, 2, 8, 8)))
    program = native(bundle, None, tmp_path, flags=STRICT)
    program.make("network")
    for values in ([0] * 127, [0] * 129, [0] * 127 + [256], [-256] + [0] * 127, [0] * 256):
        lines = [[0] * 128, [255] * 512, values]
        (tmp_path / "inputs.csv").write_text("".join(",".join(map(str, line)) + "\n" for line in lines))
        done = program.run("inputs.csv")
        assert (done.returncode, len(done.stdout.splitlines()), len(done.stderr.splitlines())) == (2, 2, 1)
        assert "inputs.csv: line 3: 128 inputs are needed, or those of 4 time steps" in done.stderr
