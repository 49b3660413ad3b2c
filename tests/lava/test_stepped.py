"""Networks with a stepped clock on Lava: every spike of every layer and step is the engine's."""

from typing import Any

import numpy as np
import pytest
import torch
from networks import stepped_images, whole_images, whole_inputs
from torch import nn

import qif2hw
import qif2hw_lava
from qif2hw.bundle import SteppedBundle
from qif2hw.discrete import SteppedLIF, SteppedQIF
from qif2hw.engine.stepped import run as run_engine
from qif2hw.errors import InputError
from qif2hw.ir import Conv2d, Dense, ProgramProjection, Sparse
from qif2hw.ir.stepped import Accumulated, SteppedRun, Steps
from qif2hw.ir.stepped_program import AddUp, LeakStep, ProgramFrames, SteppedProgram, SteppedProgramPopulation
from qif2hw.nn import Accumulate, DiscreteQIF, export
from qif2hw.nn.models import ResidualBlock, neurons, small_conv
from qif2hw_lava import Interpreter, stepped

pytestmark = pytest.mark.lava

X = np.random.default_rng(1).normal(0.3, 1, (50, 2, 8, 8))
NEURONS = {
    "exact": SteppedQIF(0.25, 0.0, 0.5),
    "euler": SteppedQIF(0.25, 0.0, 0.5, kind="euler"),
    "lif": SteppedLIF(0.5),
}


def equal(run: SteppedRun, expected: SteppedRun) -> None:
    assert run.backend == "lava"
    assert np.array_equal(run.y, expected.y)
    assert run.spikes.keys() == expected.spikes.keys()
    for name, fired in expected.spikes.items():
        assert np.array_equal(run.spikes[name], fired), name
        assert 0.02 < fired.mean() < 0.9, name


def same(bundle: SteppedBundle, x: np.ndarray, **options: Any) -> None:
    equal(bundle.run(x, "lava", **options), bundle.run(x))


@pytest.mark.parametrize("name", NEURONS)
def test_equals_the_engine(name: str, lava: Interpreter, monkeypatch: pytest.MonkeyPatch) -> None:
    """In batches of seven, so that a batch that kept something of the one before would show."""
    bundle = qif2hw.compile(stepped_images(NEURONS[name]), calibration=X)
    monkeypatch.setattr(stepped, "WIDEST", 7 * sum(p.size for p in bundle.program.populations))
    same(bundle, X)
    if name == "exact":
        counted, whole = bundle.run(X, "lava", keep="counts"), bundle.run(X)
        assert counted.spikes == {}
        assert np.array_equal(counted.y, whole.y)
        assert all(np.array_equal(counted.counts[p], whole.counts[p]) for p in whole.counts)


def test_frames(lava: Interpreter) -> None:
    frames = np.random.default_rng(2).normal(0.3, 1, (9, 4, 2, 8, 8))
    same(qif2hw.compile(stepped_images(), calibration=frames), frames)


@pytest.mark.parametrize("steps", [None, 12], ids=["constant", "frames"])
def test_whole_numbers_and_delays(steps: int | None, lava: Interpreter, monkeypatch: pytest.MonkeyPatch) -> None:
    """CUBA neurons, whose delays reach into a sample's own past and no further."""
    x = whole_inputs(30, steps)
    bundle = qif2hw.compile(whole_images(), calibration=x)
    monkeypatch.setattr(stepped, "WIDEST", 7 * sum(p.size for p in bundle.program.populations))
    same(bundle, x)


@pytest.mark.parametrize("name", NEURONS)
def test_modular_equals_the_engine(name: str, lava: Interpreter) -> None:
    same(qif2hw.compile(stepped_images(NEURONS[name]), calibration=X), X[:4], mode="modular")


@pytest.mark.parametrize("steps", [None, 12], ids=["constant", "frames"])
def test_modular_whole_numbers_and_delays(steps: int | None, lava: Interpreter) -> None:
    x = whole_inputs(4, steps)
    same(qif2hw.compile(whole_images(), calibration=x), x, mode="modular")


def test_modular_frames(lava: Interpreter) -> None:
    frames = np.random.default_rng(2).normal(0.3, 1, (4, 4, 2, 8, 8))
    same(qif2hw.compile(stepped_images(), calibration=frames), frames, mode="modular")


def test_modular_residual_blocks(lava: Interpreter) -> None:
    """Shortcuts past two layers wait for them."""
    steps = 4
    make = neurons(NEURONS["exact"], time_steps=steps)
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), DiscreteQIF(NEURONS["exact"], time_steps=steps, hold=True),
        ResidualBlock(4, 4, 1, make), ResidualBlock(4, 6, 2, make), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(24, 5),
        Accumulate(steps),
    )  # fmt: skip
    x = torch.from_numpy(3 * X).float()
    with torch.no_grad():
        for _ in range(30):
            model(x)
    network = export(model.eval(), input_shape=(2, 8, 8), time_steps=steps)
    bundle = qif2hw.compile(network, calibration=3 * X)
    depth = bundle.program.depth
    assert max(depth[p.post] - depth[p.pre] for p in bundle.program.projections) == 2
    same(bundle, 3 * X[:4], mode="modular")


@pytest.mark.slow
def test_modular_small_conv(lava: Interpreter) -> None:
    """16C3-P2-32C3-P2-256-10 on images of 28 x 28."""
    torch.manual_seed(0)
    model = small_conv(neurons(NEURONS["exact"], time_steps=4))
    x = torch.randn(50, 1, 28, 28)
    with torch.no_grad():
        for _ in range(30):
            model(x)
    network = export(model.eval(), input_shape=(1, 28, 28), time_steps=4)
    same(qif2hw.compile(network, calibration=x.numpy()), x[:4].numpy(), mode="modular")


def test_modular_synapses_of_every_kind(lava: Interpreter) -> None:
    """Those that Lava's Conv cannot do are listed: too many groups, sums of more than 24 bits."""
    rng = np.random.default_rng(0)
    image = (4, 9, 8)
    kinds = {
        "uneven": Conv2d(image, 6, (3, 2), (2, 1), (0, 2), (1, 3), 2),
        "depthwise": Conv2d(image, 8, (2, 3), (1, 2), (1, 0), (2, 1), 4),
        "whole": Conv2d(image, 3, (9, 8)),
        "wide": Conv2d(image, 2, (9, 8), padding=(1, 1)),
        "dense": Dense(7, 288),
        "listed": Sparse.of(rng.random((9, 288)) < 0.2)[0],
        "many groups": Conv2d((288, 1, 1), 288, (1, 1), groups=288),
    }
    populations, projections = [], []
    for name, synapses in kinds.items():
        shape = synapses.out_shape if isinstance(synapses, Conv2d) else synapses.shape[:1]
        weight = 2 * rng.integers(-128, 128, synapses.weight_shape)
        if name == "wide":
            weight = np.full_like(weight, 254)
        exponent = {"wide": -5, "dense": -1, "uneven": 1}.get(name, 0)
        spread = np.sqrt(synapses.fan_in.max()) * 2.0**exponent * (10 if name == "wide" else 1)
        threshold = np.full(shape[0], int(10_000 * spread))
        bias = rng.integers(0, 3000, shape) * spread
        neuron = LeakStep(1 << 14, threshold, -threshold // 2)
        populations.append(SteppedProgramPopulation(name, shape, neuron, bias.astype(int), np.ones(shape[0])))
        projections.append(ProgramProjection("image", name, weight, exponent, synapses))
        projections.append(ProgramProjection(name, "out", 2 * rng.integers(-9, 9, (3, populations[-1].size))))
    out = SteppedProgramPopulation("out", (3,), AddUp(), np.array([5, 0, -5]), np.ones(3))
    program = SteppedProgram(
        Steps(3), (ProgramFrames("image", image, 1.0, 9),), (*populations, out), tuple(projections),
        (Accumulated("out"),),
    )  # fmt: skip
    # With the largest of these the sums of "wide" need 25 bits.
    x = (rng.integers(-100, 256, (4, 3, *image)) + np.array([-70, 0, 70, 140]).reshape(4, 1, 1, 1, 1)).clip(-255, 255)
    assert 254 * x.reshape(4, 3, -1).sum(axis=2).max() > 1 << 23
    equal(stepped.run(program, x, mode="modular"), run_engine(program, x, machine="spec"))


def test_wrong_calls_are_refused_before_anything_starts(lava: Interpreter) -> None:
    bundle = qif2hw.compile(stepped_images(), calibration=X)
    with pytest.raises(InputError, match="unknown mode 'moody': known are fused, modular"):
        bundle.run(X, "lava", mode="moody")
    with pytest.raises(InputError, match="timeout = 0"):
        bundle.run(X, "lava", timeout=0)
    with pytest.raises(qif2hw_lava.LavaTimeout, match=r"did not finish within 0\.01 s"):
        bundle.run(X, "lava", timeout=0.01)
