"""Networks with a stepped clock on Lava: every spike of every layer and step is the engine's."""

import numpy as np
import pytest
from networks import stepped_images, whole_images, whole_inputs

import qif2hw_lava
from qif2hw import api
from qif2hw.bundle import SteppedBundle
from qif2hw.discrete import SteppedLIF, SteppedQIF
from qif2hw.errors import InputError
from qif2hw_lava import Interpreter, stepped

pytestmark = pytest.mark.lava

X = np.random.default_rng(1).normal(0.3, 1, (50, 2, 8, 8))
NEURONS = {
    "exact": SteppedQIF(0.25, 0.0, 0.5),
    "euler": SteppedQIF(0.25, 0.0, 0.5, kind="euler"),
    "lif": SteppedLIF(0.5),
}


def same(bundle: SteppedBundle, x: np.ndarray) -> None:
    run, expected = bundle.run(x, "lava"), bundle.run(x)
    assert run.backend == "lava"
    assert np.array_equal(run.y, expected.y)
    assert run.spikes.keys() == expected.spikes.keys()
    for name, fired in expected.spikes.items():
        assert np.array_equal(run.spikes[name], fired)
        assert 0.02 < fired.mean() < 0.9


@pytest.mark.parametrize("name", NEURONS)
def test_equals_the_engine(name: str, lava: Interpreter, monkeypatch: pytest.MonkeyPatch) -> None:
    """In batches of seven, so that a batch that kept something of the one before would show."""
    bundle = api.compile_stepped(stepped_images(NEURONS[name]), X)
    monkeypatch.setattr(stepped, "WIDEST", 7 * sum(p.size for p in bundle.program.populations))
    same(bundle, X)


def test_frames(lava: Interpreter) -> None:
    frames = np.random.default_rng(2).normal(0.3, 1, (9, 4, 2, 8, 8))
    same(api.compile_stepped(stepped_images(), frames), frames)


@pytest.mark.parametrize("steps", [None, 12], ids=["constant", "frames"])
def test_whole_numbers_and_delays(steps: int | None, lava: Interpreter, monkeypatch: pytest.MonkeyPatch) -> None:
    """CUBA neurons, whose delays reach into a sample's own past and no further."""
    x = whole_inputs(30, steps)
    bundle = api.compile_stepped(whole_images(), x)
    monkeypatch.setattr(stepped, "WIDEST", 7 * sum(p.size for p in bundle.program.populations))
    same(bundle, x)


def test_wrong_calls_are_refused_before_anything_starts(lava: Interpreter) -> None:
    bundle = api.compile_stepped(stepped_images(), X)
    with pytest.raises(InputError, match="run fused on Lava"):
        bundle.run(X, "lava", mode="modular")
    with pytest.raises(InputError, match="timeout = 0"):
        bundle.run(X, "lava", timeout=0)
    with pytest.raises(qif2hw_lava.LavaTimeout, match=r"did not finish within 0\.01 s"):
        bundle.run(X, "lava", timeout=0.01)
