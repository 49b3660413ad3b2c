"""Classification by the first spike: cross-entropy on spike times, whose gradients are exact."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from qif2hw.data.images import Images, Split
from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.host_part.host import Host, Input, Output, check_classes
from qif2hw.nn.network import QIFNetwork
from qif2hw.nn.regime import Regime
from qif2hw.train.classify.augment import Augmentation, augment
from qif2hw.train.objective import batch_of
from qif2hw.train.task import Model, Objective, Samples, Settings, Task


@dataclass(frozen=True)
class FirstSpikeLoss:
    """Cross-entropy of the classes with logits ``-scale t``, and what keeps spikes inside the trial and weights small.

    Parameters
    ----------
    scale
        Of the logits, per unit of time: spikes of two classes that are ``1 / scale`` apart are as 1 to e.
    smoothing
        Label smoothing.
    deadline
        Weight of ``relu(t - (T - margin))^2`` of the true class's spike, with the regime's margin: a class that spikes
        first does so inside the trial.
    early
        Weight of ``relu(margin - t)^2`` over all classes: spikes that come before the inputs know nothing.
    decay
        Weight of the mean square of the weights onto each neuron times their number, summed over the layers.
    """

    scale: float = 6.0
    smoothing: float = 0.03
    deadline: float = 0.1
    early: float = 0.0
    decay: float = 0.0

    def __call__(self, first: Tensor, label: Tensor, regime: Regime) -> Tensor:
        """The loss of first spike times (batch, classes) for true classes (batch,); the weights' part apart."""
        loss = torch.nn.functional.cross_entropy(-self.scale * first, label, label_smoothing=self.smoothing)
        margin = regime.margin or 0.0
        if self.deadline:
            late = first.gather(1, label[:, None]) - (regime.trial - margin)
            loss = loss + self.deadline * torch.relu(late).square().mean()
        if self.early:
            loss = loss + self.early * torch.relu(margin - first).square().mean()
        return loss

    def of_weights(self, model: QIFNetwork) -> Tensor:
        """The part that keeps the weights small, of the shape of a loss."""
        parts = [layer.weight.square().sum() / layer.phi0.shape[0] for layer in model.layers]
        return self.decay * torch.stack(parts).sum()


@dataclass(frozen=True)
class Pictures:
    """How the inputs of a task are images, which training may move.

    Parameters
    ----------
    shape
        (channels, height, width).
    augmentation
        Random changes of the training images.
    """

    shape: tuple[int, int, int]
    augmentation: Augmentation = field(default_factory=Augmentation)

    def changed(self, x: Tensor, seed: int, step: int) -> Tensor:
        """Inputs (batch, pixels) of a training step, changed."""
        rng = np.random.default_rng([seed, step, 1])
        return augment(x.view(-1, *self.shape), self.augmentation, rng).flatten(1)


def classification(
    loss: FirstSpikeLoss, pictures: Pictures | None = None
) -> Callable[[Task, Model, int, Model | None], Objective]:
    """The objective of a task whose ``y`` are classes (samples, 1), for a `QIFNetwork` with a first-spike readout."""

    def objective(task: Task, model: Model, seed: int, teacher: Model | None) -> Objective:
        del teacher
        assert isinstance(model, QIFNetwork)
        samples = task.train_set(seed)
        x = torch.from_numpy(samples.x).to(model.last.phi0.dtype)
        label = torch.from_numpy(samples.y[:, 0].astype(np.int64))

        def of_step(step: int) -> Tensor:
            chosen = batch_of(len(x), task.settings.batch, seed, step)
            inputs, classes = (x, label) if chosen is None else (x[chosen], label[chosen])
            if pictures is not None:
                inputs = pictures.changed(inputs, seed, step)
            found = loss(model.run(inputs).first, classes, model.regime)
            return found + loss.of_weights(model) if loss.decay else found

        return of_step

    return objective


def first_class(x: FloatArray, times: FloatArray) -> FloatArray:
    """The class (samples, 1) of first spike times (samples, classes), as a task's solution."""
    del x
    return times.argmin(axis=1)[:, None].astype(np.float64)


def share_wrong(label: FloatArray, truth: FloatArray) -> float:
    """Share of the samples whose class (samples,) is not the true one."""
    return float(np.mean(label != truth))


def network(task: Task, seed: int) -> QIFNetwork:
    """The untrained network of a task, in float32."""
    return QIFNetwork(
        task.sizes, regime=task.regime, fields=task.fields, seed=seed, dtype=torch.float32, readout="first_spike"
    )


def labelled(images: Images, largest: float) -> Samples:
    """Images as inputs (samples, pixels) in [0, 1] and classes (samples, 1)."""
    x = images.x.reshape(len(images), -1)
    return Samples(x / largest, images.label[:, None].astype(np.float64))


def image_task(
    name: str,
    summary: str,
    data: Callable[[], Split],
    *,
    shape: tuple[int, int, int],
    largest: float,
    classes: tuple[str, ...],
    hidden: tuple[int, ...],
    settings: Settings,
    loss: FirstSpikeLoss,
    augmentation: Augmentation,
    regime: Regime | None = None,
) -> Task:
    """The task of telling classes of images apart by the first spike.

    Parameters
    ----------
    name, summary, settings, regime
        As of a `Task`.
    data
        Reads the images.
    shape, largest
        Their (channels, height, width), and the value of the brightest pixel: inputs are pixels from 0 to it.
    classes
        Their names.
    hidden
        Sizes of the hidden layers.
    loss, augmentation
        What is trained, on images changed how.

    Raises
    ------
    InputError
        If there are fewer than two classes, or a name is empty or used twice.
    """
    check_classes(classes)
    pixels = int(np.prod(shape))
    inputs = tuple(Input(f"pixel{k}", 0.0, largest) for k in range(pixels))
    host = Host(inputs, tuple(Output(f"spike of {one}", "time units") for one in classes), classes=classes)

    def checked(images: Images) -> Samples:
        if images.x.shape[1:] != shape or len(images.classes) != len(classes):
            raise InputError(
                f"task '{name}': images {images.x.shape[1:]} of {len(images.classes)} classes, {shape} of "
                f"{len(classes)} are needed"
            )
        return labelled(images, largest)

    return Task(
        name=name,
        summary=summary,
        train_set=lambda seed: checked(data().train),
        test_set=lambda: checked(data().test),
        sizes=(pixels, *hidden, len(classes)),
        settings=settings,
        regime=regime or Regime(),
        metric=share_wrong,
        quantities=("class",),
        solution=first_class,
        host=host,
        make=network,
        objective=classification(loss, Pictures(shape, augmentation)),
        classes=classes,
    )
