"""A classification problem in time steps: its images, its network, how it is trained; and the training of it."""

import copy
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from qif2hw.data.images import Images, Split
from qif2hw.discrete import Stepped, SteppedLIF, SteppedQIF
from qif2hw.errors import InputError
from qif2hw.files import check_writable
from qif2hw.ir.stepped import SteppedNetwork
from qif2hw.nn.discrete import Standardize
from qif2hw.nn.models import MakeNeurons, neurons
from qif2hw.nn.tracing import export
from qif2hw.seeds import check_seed
from qif2hw.train import checkpoint as saved
from qif2hw.train.classify import processes
from qif2hw.train.classify.fake_quantize import put_on_grid
from qif2hw.train.classify.loop import Progress, Run, classes_of, fit
from qif2hw.train.classify.settings import ClassifierSettings

NEURONS: dict[str, Stepped] = {"exact": SteppedQIF(), "euler": SteppedQIF(kind="euler"), "lif": SteppedLIF()}
"""Neurons by name: the QIF neuron's two discretizations, and the LIF neuron as the baseline."""


@dataclass(frozen=True)
class Classification:
    """A problem.

    Parameters
    ----------
    name, summary
        One word, and one line for a list of tasks.
    data
        Reads the images, from a folder or file where one is given.
    network
        Makes the layers for given neurons and training images; they take standardized images.
    time_steps
        Number of them.
    settings
        How to train.
    """

    name: str
    summary: str
    data: Callable[[Path | None], Split]
    network: Callable[[MakeNeurons, Images], nn.Sequential]
    time_steps: int = 4
    settings: ClassifierSettings = field(default_factory=ClassifierSettings)


@dataclass(frozen=True)
class ClassifierResult:
    """A trained classifier.

    Parameters
    ----------
    network
        For compiling; takes images as they are in the data.
    module
        The torch module that it was exported from, in evaluation mode.
    accuracy
        On the test set, from 0 to 1.
    label
        Classes of the test images, (samples,).
    floating
        Module and accuracy before the weights went onto the grid; those above where they did not.
    seconds
        Time the training took, that of earlier calls included.
    """

    network: SteppedNetwork
    module: nn.Sequential
    accuracy: float
    label: NDArray[np.int64]
    floating: tuple[nn.Sequential, float]
    seconds: float


def build(task: Classification, train: Images, neuron: str = "exact", seed: int = 0) -> nn.Sequential:
    """The untrained network of a task.

    Raises
    ------
    InputError
        If there is no such neuron, or the network does not fit the images.
    """
    if neuron not in NEURONS:
        raise InputError(f"there is no neuron '{neuron}': known are {', '.join(NEURONS)}")
    channel = train.x.ndim - 3
    axes = tuple(axis for axis in range(train.x.ndim) if axis != channel)
    mean, deviation = train.x.mean(axes), train.x.std(axes)
    deviation[deviation == 0] = 1.0
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = task.network(neurons(NEURONS[neuron], time_steps=task.time_steps), train)
    standardize = Standardize([float(f"{m:.4g}") for m in mean], [float(f"{d:.4g}") for d in deviation])
    # Frames are put into the order of convolutions before anything else.
    at = 1 if train.x.ndim == 5 else 0
    return nn.Sequential(*layers[:at], standardize, *layers[at:])


def train_classifier(
    task: Classification,
    *,
    neuron: str = "exact",
    seed: int = 0,
    steps: int | None = None,
    weight_bits: int | None = None,
    device: str = "cpu",
    data: Path | Split | None = None,
    progress: Progress | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> ClassifierResult:
    """Train a network for a classification problem.

    Parameters
    ----------
    task
        The problem.
    neuron
        A name of `NEURONS`.
    seed
        Of the initialisation, the order of the samples and their augmentation.
    steps
        Updates with free weights, instead of the task's own number.
    weight_bits
        Train on with weights on the hardware's grid of this number of bits.
    device
        Of torch, ``cpu`` or ``cuda``.
    data
        Images, or where they are, in place of the task's own.
    progress
        Called after every epoch, and meanwhile.
    checkpoint
        File for the state of the run (that of the training on the grid lies beside it); if it exists the run goes on.

    Raises
    ------
    InputError
        On options that are not possible, missing data, a checkpoint of another run, and files that cannot be written.
    """
    check_seed(seed)
    if steps is not None and steps < 1:
        raise InputError(f"steps = {steps}: at least one is needed")
    if weight_bits is not None and not 2 <= weight_bits <= 8:
        raise InputError(f"weight bits = {weight_bits}: 2 to 8 are possible")
    path = None if checkpoint is None else check_writable(checkpoint)
    device = processes.start(_device(device))
    split = data if isinstance(data, Split) else task.data(data)
    settings = replace(task.settings, free=replace(task.settings.free, steps=steps or task.settings.free.steps))
    module = build(task, split.train, neuron, seed)
    identity = {
        "task": task.name, "neuron": neuron, "seed": seed, "time_steps": task.time_steps,
        "images": list(split.train.x.shape), "settings": asdict(settings), "weight_bits": None,
    }  # fmt: skip
    run = Run(seed, device, progress, path, identity)
    beside = None if path is None or weight_bits is None else path.with_name(f"{path.name}.grid{weight_bits}")
    on_grid = replace(run, checkpoint=beside, identity=identity | {"weight_bits": weight_bits})
    if beside is not None and check_writable(beside).exists():
        saved.read_state(beside, on_grid.identity or {})
    seconds = fit(module, split, settings, settings.free, run)
    label = classes_of(module, split.test)
    reached = float((label == split.test.label).mean())
    floating = module, reached
    if weight_bits is not None:
        module = copy.deepcopy(module)
        put_on_grid(module, weight_bits)
        seconds += fit(module, split, settings, settings.on_grid, on_grid)
        label = classes_of(module, split.test)
        reached = float((label == split.test.label).mean())
    channel = split.train.x.ndim - 3
    network = export(module.cpu(), split.train.x.shape[channel:], task.time_steps)
    return ClassifierResult(network, module, reached, label, floating, seconds)


def _device(name: str) -> str:
    """The device, if torch can use it here."""
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"device '{name}' cannot be used here ({reason})") from None
    return name
