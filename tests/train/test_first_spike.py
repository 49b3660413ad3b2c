"""Classification by the first spike: its gradients, its loss, and short trainings."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import qif2hw
from qif2hw import reference
from qif2hw.data.images import Images, Split
from qif2hw.errors import InputError
from qif2hw.experiments import tasks
from qif2hw.ir.npz import import_npz
from qif2hw.nn import QIFNetwork
from qif2hw.nn.regime import Regime
from qif2hw.train import loop, train
from qif2hw.train.classify import Augmentation
from qif2hw.train.first_spike import FirstSpikeLoss, image_task
from qif2hw.train.task import Settings

LOSS = FirstSpikeLoss(scale=5.0, smoothing=0.1, deadline=0.3, early=0.2, decay=0.01)


def bars(samples: int, seed: int) -> Images:
    """Images of 3 x 3 with one bright row, on noise: three classes."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 3, samples)
    x = rng.integers(0, 3, (samples, 1, 3, 3))
    x[np.arange(samples), 0, label] += 6
    return Images(x, label, ("top", "middle", "bottom"))


def task(**settings: object) -> loop.Task:
    return image_task(
        "bars", "rows of bright pixels", lambda: Split(bars(300, 0), bars(100, 1)), shape=(1, 3, 3), largest=8.0,
        classes=("top", "middle", "bottom"), hidden=(8,), loss=FirstSpikeLoss(decay=1e-4),
        settings=Settings(**{"steps": 200, "learning_rate": 1e-2, "batch": 32, **settings}),  # type: ignore[arg-type]
        augmentation=Augmentation(),
    )  # fmt: skip


@pytest.mark.parametrize("path", ["kernel", "scan"])
@pytest.mark.parametrize("classes", [3, 4])
def test_gradients_are_those_of_the_loss(path: str, classes: int) -> None:
    # A margin so wide that the deadline and the early spikes count.
    model = QIFNetwork((5, 6, classes), readout="first_spike", regime=Regime(margin=2.5), seed=1)
    x = torch.from_numpy(np.random.default_rng(0).random((9, 5)))
    label = torch.arange(9) % classes

    def loss() -> torch.Tensor:
        return LOSS(model.run(x, path=path).y, label, model.regime) + LOSS.of_weights(model)  # type: ignore[arg-type]

    loss().backward()
    h = 1e-6
    for parameter in model.parameters():
        assert parameter.grad is not None
        slopes = []
        with torch.no_grad():
            for k in range(0, parameter.numel(), 3):
                flat, before = parameter.view(-1), parameter.view(-1)[k].item()
                values = []
                for side in (1, -1):
                    flat[k] = before + side * h
                    values.append(loss().item())
                flat[k] = before
                slopes.append((values[0] - values[1]) / (2 * h))
        np.testing.assert_allclose(parameter.grad.view(-1)[::3].numpy(), slopes, rtol=2e-5, atol=2e-8)


def test_the_loss_is_cross_entropy_of_spike_times() -> None:
    first, label = torch.tensor([[1.0, 2.0], [3.0, 2.5]]), torch.tensor([0, 0])
    plain = FirstSpikeLoss(scale=2.0, smoothing=0.0, deadline=0.0)
    wanted = np.mean([np.log1p(np.exp(-2.0 * 1.0)), np.log1p(np.exp(2.0 * 0.5))])
    assert plain(first, label, Regime()).item() == pytest.approx(wanted)
    late = replace(plain, deadline=1.0)(first, label, Regime(trial=3.0, margin=0.5))
    assert late.item() == pytest.approx(wanted + 0.5**2 / 2)


@pytest.mark.parametrize("classes", [2, 3])
def test_results_are_first_spikes(classes: int) -> None:
    model = QIFNetwork((4, 5, classes), readout="first_spike", seed=2)
    x = torch.from_numpy(np.random.default_rng(1).random((20, 4)))
    y = model(x).detach().numpy()
    exact = reference.run(model.to_network(), x.numpy())
    np.testing.assert_allclose(y, exact.spike_time, atol=1e-12)
    assert torch.equal(QIFNetwork.from_network(model.to_network())(x), model(x))
    with pytest.raises(InputError, match="two classes"):
        QIFNetwork((4, 1), readout="first_spike")
    with pytest.raises(InputError, match="known are difference, first_spike"):
        QIFNetwork((4, 2), readout="last_spike")  # type: ignore[arg-type]


def test_bare_arrays_may_have_classes(tmp_path: Path) -> None:
    network = QIFNetwork((4, 5, 3), readout="first_spike", seed=3).to_network()
    arrays = {f"w{k}": p.weight for k, p in enumerate(network.projections)}
    np.savez(tmp_path / "w.npz", phi0=np.concatenate([p.phi0 for p in network.populations]), **arrays)
    encode = (network.encoders[0].earliest, network.encoders[0].latest)
    read = import_npz(tmp_path / "w.npz", trial=network.trial, encode=encode, first_spike=True)
    assert read == network
    with pytest.raises(InputError, match="two per output are needed"):
        import_npz(tmp_path / "w.npz", trial=network.trial, encode=encode)
    with pytest.raises(InputError, match="they are for differences"):
        import_npz(tmp_path / "w.npz", trial=network.trial, encode=encode, first_spike=True, scale=2.0)


def test_a_short_training_tells_classes_apart() -> None:
    result = train(task(), seed=0)
    assert result.error < 0.1
    assert result.error == np.mean(result.y != result.truth)
    run = qif2hw.compile(result.network).run(result.x)
    assert run.label is not None
    assert np.mean(run.label == result.truth[:, 0]) > 0.9
    assert result.network.classes == ("top", "middle", "bottom")
    # Pixels as they are in the images.
    assert result.x.max() == 8.0


def test_a_training_goes_on_from_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(step: int, *_: object) -> None:
        if step >= 30:
            raise Interrupted

    monkeypatch.setattr(loop, "SAVE_EVERY", 10)
    moved = replace(task(steps=50), name="moved")
    path = tmp_path / "state.safetensors"
    with pytest.raises(Interrupted):
        train(moved, seed=1, checkpoint=path, progress=interrupt)
    assert train(moved, seed=1, checkpoint=path).network == train(moved, seed=1).network


def test_shifts_move_training_images_alone() -> None:
    shifted = image_task(
        "bars", "", lambda: Split(bars(40, 0), bars(10, 1)), shape=(1, 3, 3), largest=8.0,
        classes=("top", "middle", "bottom"), hidden=(4,), settings=Settings(steps=4, batch=16), loss=FirstSpikeLoss(),
        augmentation=Augmentation(shift=1),
    )  # fmt: skip
    plain = replace(task(steps=4, batch=16), train_set=shifted.train_set)
    assert np.array_equal(shifted.test_set().x, bars(10, 1).x.reshape(10, 9) / 8)
    losses = [(t.objective(t, loop.build(replace(plain, sizes=(9, 4, 3)), 0), 0, None)(0)) for t in (shifted, plain)]  # type: ignore[misc]
    assert losses[0].item() != losses[1].item()


def test_tasks_are_known() -> None:
    for name in ("digits_first_spike", "fashion_mnist_first_spike"):
        found = tasks.get(name)
        assert found.classes is not None
        assert found.sizes[-1] == len(found.classes) == found.outputs
    with pytest.raises(InputError, match="no published regime"):
        tasks.get("digits_first_spike", "published")
    with pytest.raises(InputError, match="receptive fields are for coordinates"):
        tasks.with_receptive_fields(tasks.get("digits_first_spike"), 4)


def test_images_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    few = bars(4, 0)
    np.savez(tmp_path / "bars.npz", x_train=few.x, y_train=few.label, x_test=few.x, y_test=few.label)
    with pytest.raises(InputError, match=r"images \(1, 3, 3\) of 3 classes, \(1, 8, 8\) of 10 are needed"):
        tasks.get("digits_first_spike", images=tmp_path / "bars.npz").train_set(0)
    with pytest.raises(InputError, match="takes no images"):
        tasks.get("parabola", images=tmp_path / "bars.npz")
    for classes, message in ((("a",), "at least two"), (("a", "a"), "named 2 times")):
        with pytest.raises(InputError, match=message):
            image_task(
                "t", "", lambda: Split(few, few), shape=(1, 3, 3), largest=8.0, classes=classes, hidden=(4,),
                settings=Settings(), loss=FirstSpikeLoss(), augmentation=Augmentation(),
            )  # fmt: skip
