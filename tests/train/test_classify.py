"""Training of classifiers in time steps."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from qif2hw import api
from qif2hw.data.images import Images, Split, digits
from qif2hw.errors import InputError
from qif2hw.experiments.tasks import images
from qif2hw.ir.weight_grid import largest_weight
from qif2hw.nn import Accumulate, export
from qif2hw.nn.models import neurons
from qif2hw.reference import stepped as reference
from qif2hw.train.classify import (
    NEURONS,
    Augmentation,
    Classification,
    ClassifierSettings,
    Schedule,
    train_classifier,
)
from qif2hw.train.classify.augment import augment
from qif2hw.train.classify.fake_quantize import OnGrid, put_on_grid
from qif2hw.train.classify.loop import accuracy, predict

DIGITS = digits()
FEW = Split(
    Images(DIGITS.train.x[:320], DIGITS.train.label[:320], DIGITS.train.classes),
    Images(DIGITS.test.x[:200], DIGITS.test.label[:200], DIGITS.test.classes),
)
"""Few enough for tests."""

QUICK = Classification(
    "quick", "", lambda source: FEW, images.TASKS["digits"].network,
    settings=ClassifierSettings(
        batch=32, free=Schedule(4, 5e-3), on_grid=Schedule(2, 5e-4, 0.0), average=0.9,
        augmentation=Augmentation(shift=1),
    ),
)  # fmt: skip


class TestAugmentation:
    X = torch.arange(2 * 3 * 5 * 4).reshape(2, 3, 5, 4).float() + 1

    def test_nothing(self) -> None:
        assert torch.equal(augment(self.X, Augmentation(), np.random.default_rng(0)), self.X)

    def test_flips_half_of_the_samples_whole(self) -> None:
        x = self.X[:1].expand(400, -1, -1, -1)
        found = augment(x, Augmentation(flip=True), np.random.default_rng(0))
        same = (found == x).flatten(1).all(1)
        assert torch.equal(found[~same], x[~same].flip(-1))
        assert 150 < int(same.sum()) < 250

    @pytest.mark.parametrize("frames", [False, True])
    def test_shifts_are_those_of_torch(self, frames: bool) -> None:
        x = self.X[:, None].expand(-1, 2, -1, -1, -1) if frames else self.X
        x = x.repeat_interleave(50, 0)
        found = augment(x, Augmentation(shift=1), np.random.default_rng(0))
        padded = nn.functional.pad(x, (1, 1, 1, 1))
        seen = set()
        for before, after in zip(padded, found, strict=True):
            places = [
                (i, j) for i in range(3) for j in range(3)
                if torch.equal(before[..., i : i + 5, j : j + 4], after)
            ]  # fmt: skip
            assert len(places) == 1
            seen.update(places)
        assert len(seen) == 9

    def test_patches(self) -> None:
        found = augment(self.X.expand(2, 3, 5, 4), Augmentation(patch=2), np.random.default_rng(1))
        gone = found == 0
        assert torch.equal(found[~gone], self.X[~gone])
        assert (gone == gone[:, :1]).all()
        assert 1 <= int(gone[0, 0].sum()) <= 4


class TestWeightsOnTheGrid:
    def test_rounds_to_levels_of_each_channel(self) -> None:
        w = torch.randn(5, 3, 3, 3, generator=torch.Generator().manual_seed(0))
        rounded = OnGrid(4)(w)
        levels = rounded / w.abs().amax((1, 2, 3), keepdim=True) * 7
        assert (levels - levels.round()).abs().max() < 1e-5
        assert int(levels.abs().max().round()) == 7
        assert (rounded - w).abs().max() <= w.abs().max() / 14 + 1e-6

    def test_passes_gradients_on(self) -> None:
        w = torch.randn(4, 6, requires_grad=True)
        g = torch.randn(4, 6)
        (OnGrid(8)(w) * g).sum().backward()
        assert w.grad is not None
        torch.testing.assert_close(w.grad, g)

    @pytest.mark.parametrize("bits", [8, 4])
    def test_the_compiler_finds_the_same_weights(self, bits: int) -> None:
        make = neurons(time_steps=4)
        module = nn.Sequential(
            nn.Conv2d(1, 6, 3, bias=False), nn.BatchNorm2d(6), make(hold=True), nn.Conv2d(6, 7, 3, bias=False),
            nn.BatchNorm2d(7), make(), nn.Flatten(), nn.Linear(112, 5), Accumulate(4),
        )  # fmt: skip
        generator = torch.Generator().manual_seed(0)
        for layer in module:
            if isinstance(layer, nn.BatchNorm2d):
                for tensor in (layer.weight.data, layer.running_mean, layer.running_var):
                    tensor.uniform_(0.5, 2, generator=generator)
        put_on_grid(module, bits)
        x = FEW.test.x[:20] / 16.0
        bundle = api.compile(export(module.eval(), (1, 8, 8), 4), calibration=x, weight_bits=bits)
        layers = [layer for layer in module if isinstance(layer, nn.Conv2d | nn.Linear)]
        for k, (projection, layer) in enumerate(zip(bundle.program.projections, layers, strict=True)):
            trained = layer.weight.detach().numpy()
            axes = tuple(range(0 if k == 2 else 1, trained.ndim))
            wanted = trained / np.abs(trained).max(axes, keepdims=True) * largest_weight(bits)
            np.testing.assert_allclose(projection.weight.reshape(trained.shape), wanted, atol=1e-3)


class TestTraining:
    def test_learns_and_exports_what_it_learned(self) -> None:
        result = train_classifier(QUICK, steps=120, weight_bits=4)
        assert result.floating[1] > 0.8
        assert result.accuracy > 0.75
        assert accuracy(result.module, FEW.test) == result.accuracy
        found = reference.run(result.network, FEW.test.x.astype(float))
        scores = predict(result.module, FEW.test.x).numpy()
        assert (found.label == scores.argmax(1)).mean() > 0.99

    @pytest.mark.parametrize("weight_bits", [None, 4])
    def test_a_resumed_run_has_the_same_bits(self, tmp_path: Path, weight_bits: int | None) -> None:
        whole = train_classifier(QUICK, seed=3, weight_bits=weight_bits)
        calls = []

        class Stop(Exception):
            pass

        def interrupt(done: int, total: int, loss: float, error: float) -> None:
            calls.append(done)
            if len(calls) in (2, 6):
                raise Stop

        state = tmp_path / "state.safetensors"
        for _ in range(2):
            try:
                train_classifier(QUICK, seed=3, weight_bits=weight_bits, checkpoint=state, progress=interrupt)
            except Stop:
                continue
        resumed = train_classifier(QUICK, seed=3, weight_bits=weight_bits, checkpoint=state)
        for name, value in whole.module.state_dict().items():
            assert torch.equal(value, resumed.module.state_dict()[name]), name
        with pytest.raises(InputError, match=r"checkpoint is of another run \(seed = 3, here 4\)"):
            train_classifier(QUICK, seed=4, checkpoint=state)
        state.unlink()
        state.with_name(f"{state.name}.grid4").write_bytes(b"something else")
        with pytest.raises(InputError, match="grid4"):
            train_classifier(QUICK, weight_bits=4, checkpoint=state, progress=lambda *_: pytest.fail("it has begun"))
        assert not state.exists()

    def test_leaves_the_callers_random_numbers_alone(self) -> None:
        torch.manual_seed(5)
        wanted = torch.rand(3)
        torch.manual_seed(5)
        train_classifier(QUICK, steps=2)
        assert torch.equal(torch.rand(3), wanted)

    @pytest.mark.parametrize("neuron", NEURONS)
    def test_every_neuron(self, neuron: str) -> None:
        assert train_classifier(QUICK, neuron=neuron, steps=2).network.clock.count == 4

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"neuron": "izhikevich"}, "no neuron 'izhikevich': known are exact, euler, lif"),
            ({"steps": 0}, "steps = 0"),
            ({"weight_bits": 9}, "weight bits = 9"),
            ({"device": "nonsense"}, "device 'nonsense' cannot be used"),
        ],
    )
    def test_wrong_options(self, options: dict[str, object], message: str) -> None:
        with pytest.raises(InputError, match=message):
            train_classifier(QUICK, **options)  # type: ignore[arg-type]

    def test_frames(self) -> None:
        rng = np.random.default_rng(0)
        frames = Images(rng.poisson(1.0, (64, 3, 2, 16, 16)).astype(np.float32), rng.integers(0, 2, 64), ("a", "b"))
        few = ClassifierSettings(batch=32)
        task = Classification("frames", "", lambda source: Split(frames, frames), images.NETWORKS["small"], 3, few)
        result = train_classifier(task, steps=2)
        assert result.network.encoders[0].shape == (2, 16, 16)
        found = reference.run(result.network, frames.x[:8].astype(float))
        np.testing.assert_allclose(found.y, predict(result.module, frames.x[:8]).numpy(), atol=1e-5)


WORKER = """
import sys, numpy as np, torch
from pathlib import Path
from qif2hw.data.images import Images, Split
from qif2hw.experiments.tasks import images
from qif2hw.train.classify import *
from qif2hw.train.classify import processes
torch.set_num_threads(1)
out = Path(sys.argv[1])
given = np.load(out / "data.npz")
part = Images(given["x"], given["y"], tuple("0123456789"))
task = Classification("two", "", lambda source: Split(part, part), images.TASKS["digits"].network,
    settings=ClassifierSettings(batch=32, smoothing=0.0, free=Schedule(1, 1e-3)))
from qif2hw.train.classify import loop, update
seen = []
class Watched(update.Update):
    def _move(self, x, label):
        loss = super()._move(x, label)
        seen.append(torch.cat([p.grad.flatten() for p in self.module.parameters()]))
        return loss
loop.Update = Watched
result = train_classifier(task, steps=10)
if processes.rank() == 0:
    buffers = {k: v.double().numpy() for k, v in result.module.state_dict().items() if "running" in k}
    np.savez(out / f"{processes.count()}.npz", gradients=torch.stack(seen).numpy(), **buffers)
processes.stop()
"""


def test_two_processes_compute_what_one_does(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=FEW.train.x, y=FEW.train.label)
    program = tmp_path / "worker.py"
    program.write_text(WORKER, encoding="utf-8")
    common = [str(program), str(tmp_path)]
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", *common]
    for command in ([sys.executable, *common], run):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr
    one, two = (np.load(tmp_path / f"{n}.npz") for n in (1, 2))
    assert set(one) == set(two)
    for name in one:
        np.testing.assert_allclose(two[name], one[name], atol=1e-5, rtol=1e-5, err_msg=name)


@pytest.mark.long
def test_digits_of_five_splits() -> None:
    """The task as users train it, on five divisions of the images: every fifth is for testing."""
    found = [train_classifier(images.TASKS["digits"], seed=seed, data=digits(seed)).accuracy for seed in range(5)]
    assert np.mean(found) >= 0.98
