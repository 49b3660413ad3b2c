"""A problem to train: its data, its network, its loss and its measure of error."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from torch import Tensor, nn

from qif2hw import ir
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.host_part.host import Host
from qif2hw.ir.host_part.receptive_fields import ReceptiveFields
from qif2hw.nn.regime import Regime
from qif2hw.train.residuals import Draw


class Samples(NamedTuple):
    """Inputs (samples, inputs), scaled to [0, 1], and the results wanted (samples, quantities)."""

    x: FloatArray
    y: FloatArray


@dataclass(frozen=True)
class Settings:
    """How to train.

    Parameters
    ----------
    steps, learning_rate
        Steps with free weights; the rate decays to zero as a cosine.
    finish_steps
        Largest number of second-order steps after these (`qif2hw.train.finish`), for regressions and for losses that
        are made of residuals; 0 for none.  They
        begin as soon as the steps before them lower the loss only slowly, and end when there is nothing to gain.
    finish_early
        Whether they do; otherwise they begin after all steps before them.
    rounding_steps
        With these and weight bits: second-order steps in which one weight after the other goes onto the grid, in place
        of those below, or the most rounds of `qif2hw.train.rounding`; a fifth as many follow for the initial phases
        alone.
    qat_steps, qat_learning_rate
        If weight bits are asked for: further steps in which one weight after the other goes onto the grid; the rate
        decays to a tenth.
    freeze_steps, freeze_learning_rate
        The same for five bits and less, which need more.
    settle_steps
        Steps after these in which the weights stay where they are and the initial phases alone take up the rounding.
    batch
        Samples per step, drawn anew in every epoch; None takes all of them.
    clip
        Largest gradient norm.
    optimizer
        Of the steps in which weights move: ``"adam"``, or ``"soap"``, Adam in the eigenbasis of each weight array's
        gradient covariance, which copes with losses as badly conditioned as those of spike times and of residuals.
        The initial phases alone are always Adam's.
    steady
        Share of the steps with free weights before their rate decays.
    look_every, patience
        Of a task with a validation set: steps between two looks at it, and the share of the steps after which the rate
        decays at once if the validation loss has not fallen in it.  Second-order steps are looked at one by one.
    full_after
        How long the stages after the steps with free weights are where another number of these is asked for.  None: in
        proportion.  A share of the steps: as long as given here from that share on, shorter in proportion below it.
    """

    steps: int = 2000
    learning_rate: float = 1e-2
    qat_steps: int = 1000
    settle_steps: int = 500
    qat_learning_rate: float = 2e-3
    freeze_steps: int = 10000
    freeze_learning_rate: float = 4e-3
    batch: int | None = None
    clip: float = 1.0
    optimizer: str = "adam"
    steady: float = 0.0
    look_every: int = 20
    patience: float = 0.5
    full_after: float | None = None
    finish_steps: int = 0
    finish_early: bool = True
    rounding_steps: int = 150


class Model(Protocol):
    """A network that can be trained: `qif2hw.nn.QIFNetwork` and `qif2hw.nn.DeepONet`."""

    weight_bits: int | None

    def __call__(self, x: Tensor) -> Tensor:
        """Results (samples, outputs) of inputs (samples, inputs)."""

    def parameter_groups(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """All weights, and all initial phases."""

    def keep_inside(self) -> None:
        """Put all initial phases back into [0, Theta)."""

    def to_network(self) -> ir.Network:
        """The network for compiling."""


class Equation(Protocol):
    """A differential equation: `qif2hw.physics.Physics`, for one."""

    @property
    def directions(self) -> Tensor:
        """Rows: how the inputs in [0, 1] change with each physical coordinate; (coordinates, inputs)."""

    @property
    def pairs(self) -> Sequence[tuple[int, int]]:
        """Coordinates of the second derivatives that the equation needs."""

    def residual(self, value: Tensor, gradient: Tensor, second: Tensor, x: Tensor) -> Tensor:
        """Residuals (samples, equations) of network outputs and their derivatives by the coordinates."""

    def points(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Collocation points (count, inputs) in [0, 1]."""


Metric: TypeAlias = Callable[[FloatArray, FloatArray], float]
"""Error of one quantity (samples,) against the truth (samples,)."""

Solution: TypeAlias = Callable[[FloatArray, FloatArray], FloatArray]
"""Quantities (samples, quantities) from inputs and a network's results: the host's part after decoding."""

Objective: TypeAlias = Callable[[int], Tensor]
"""Loss of a training step, by its number alone: a resumed run sees the same batches."""


def relative_l2(y: FloatArray, truth: FloatArray) -> float:
    """``|y - truth| / |truth|``, both (samples,); where the truth is zero, infinite, or 0 if ``y`` is zero too."""
    difference, whole = float(np.linalg.norm(y - truth)), float(np.linalg.norm(truth))
    return difference / whole if whole > 0 else (0.0 if difference == 0 else math.inf)


def results_themselves(x: FloatArray, y: FloatArray) -> FloatArray:
    """The solution of a task that wants a network's results ``y`` (samples, outputs) as they are."""
    del x
    return y


class Errors(NamedTuple):
    """Errors of one quantity on the test set: in the task's metric, mean absolute, root of the mean square."""

    relative: float
    mae: float
    rmse: float


@dataclass(frozen=True)
class Task:
    """A problem.

    Parameters
    ----------
    name, summary
        One word, and one line for a list of tasks.
    train_set, test_set
        ``train_set(seed)`` and ``test_set()``.  Where physics is trained, the training inputs are collocation points
        and their ``y`` is empty.
    sizes
        Of the network: inputs, hidden layers, outputs times two.
    scale, offset
        Of the readout ``y = offset + scale (t2 - t1)``.
    settings, regime
        How to train, and the times the network works with.
    metric
        Error of results against the truth, for each quantity.
    quantities
        Names of the columns of the test set's ``y``.
    solution
        Host's part after decoding, from the network's results: a hard boundary condition, a normalisation.
    host
        The host's part that the trained network gets: inputs in the user's units, the same solution.  None for inputs
        in [0, 1] and a solution that is not to be part of the model.
    fields
        Receptive fields that encode each input, of an operator each coordinate; ``sizes`` counts them all.  None for
        one spike per input.
    make
        Builds the network for a seed; None for layers of ``sizes``.
    objective
        ``objective(task, model, seed, teacher)`` is the loss by step; None for the mean square error on the training
        set.
    residuals
        ``residuals(task, model, seed, teacher)``: the same loss as a sum of squares, for second-order steps; None where
        it is none, or where there is no ``objective``.
    teacher
        A task to train first, whose network the objective is given.
    starts_from_teacher
        Whether the network starts from the parameters of its teacher, one of the same sizes.
    encoded
        The task to take instead where coordinates get receptive fields; None for the same.
    equation
        The differential equation whose residual is trained; None where true results are given.
    branch_inputs
        Of an operator: how many of the inputs describe the function; the others are the point at which it is
        evaluated.  0 for a task that is no operator.
    block
        Number of consecutive rows of the test set that belong together, as the points of one function.
    validation_set
        ``validation_set(seed)``, like ``train_set``: the parameters with the least loss on it are kept, and the steps
        end early where it falls no more.
    digest
        Of the data, by which a checkpoint of other data is recognised.
    classes
        Of a classification: names of the classes; ``y`` of the samples are their numbers (samples, 1).
    """

    name: str
    summary: str
    train_set: Callable[[int], Samples]
    test_set: Callable[[], Samples]
    sizes: tuple[int, ...]
    scale: float = 1.0
    offset: float = 0.0
    settings: Settings = field(default_factory=Settings)
    regime: Regime = field(default_factory=Regime)
    metric: Metric = relative_l2
    quantities: tuple[str, ...] = ("y",)
    solution: Solution = results_themselves
    host: Host | None = None
    fields: ReceptiveFields | None = None
    make: "Callable[[Task, int], Model] | None" = None
    objective: "Callable[[Task, Model, int, Model | None], Objective] | None" = None
    residuals: "Callable[[Task, Model, int, Model | None], Draw] | None" = None
    teacher: "Task | None" = None
    starts_from_teacher: bool = False
    encoded: "Task | None" = None
    equation: Equation | None = None
    branch_inputs: int = 0
    block: int = 1
    validation_set: Callable[[int], Samples] | None = None
    digest: str = ""
    classes: tuple[str, ...] | None = None

    @property
    def outputs(self) -> int:
        """Number of a network's results."""
        if self.classes is not None:
            return len(self.classes)
        return 1 if self.make is not None else self.sizes[-1] // 2

    def raw(self, x: FloatArray) -> FloatArray:
        """Inputs in the user's units, as the trained network takes them, of ``x`` (samples, inputs) in [0, 1]."""
        return x if self.host is None else self.host.unscaled(x)

    def errors(self, values: FloatArray, truth: FloatArray) -> dict[str, Errors]:
        """Errors of every quantity; both arrays have shape (samples, quantities)."""
        errors = {}
        for k, name in enumerate(self.quantities):
            deviation = values[:, k] - truth[:, k]
            errors[name] = Errors(
                self.metric(values[:, k], truth[:, k]),
                float(np.abs(deviation).mean()),
                float(np.sqrt(np.square(deviation).mean())),
            )
        return errors
