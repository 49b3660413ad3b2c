"""A table as a task: rows for training, validation and test, inputs by range, targets standardised inside the model."""

import hashlib
from dataclasses import astuple, dataclass

import numpy as np

from qif2hw.data.columns import Numbers
from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.host_part.host import Host, Input
from qif2hw.train.tables.rules import (
    FULL_AFTER,
    field_count,
    finish_steps,
    hidden_sizes,
    receptive_fields,
    settings_for,
)
from qif2hw.train.tables.split import TEST, VALIDATION, split
from qif2hw.train.tables.targets import target_of
from qif2hw.train.task import Samples, Task


@dataclass(frozen=True)
class TableOptions:
    """How to learn from a table.

    Parameters
    ----------
    hidden
        Sizes of the hidden layers; None for `qif2hw.train.tables.rules.hidden_sizes`.
    fields
        Receptive fields for each input, 1 for none; None for `qif2hw.train.tables.rules.field_count`
        (`qif2hw.train.tables.choose_fields` compares several).
    finish
        Most second-order steps of a regression (`qif2hw.train.finish`), 0 for none; None for
        `qif2hw.train.tables.rules.finish_steps`.
    first_spike
        Of classes: an output neuron for each, and the class is that of the neuron which spikes first.
    validation, test
        Shares of the rows; without a test set the errors are those of the validation set.

    Raises
    ------
    InputError
        On sizes, numbers and shares that are not possible.
    """

    hidden: tuple[int, ...] | None = None
    fields: int | None = None
    finish: int | None = None
    first_spike: bool = False
    validation: float = VALIDATION
    test: float = TEST

    def __post_init__(self) -> None:
        if self.hidden is not None and (not self.hidden or min(self.hidden) < 1):
            raise InputError(f"hidden layers {self.hidden}: one or more, of at least one neuron each, are needed")
        if self.finish is not None and self.finish < 0:
            raise InputError(f"{self.finish} second-order steps: 0 or more are possible")
        if not (0 < self.validation <= 0.5 and 0 <= self.test <= 0.5):
            raise InputError(
                f"shares of the rows {self.validation:g} for validation, {self.test:g} for the test: at most 0.5 each, "
                "and more than 0 for validation"
            )


def table_task(name: str, numbers: Numbers, options: TableOptions | None = None, seed: int = 0) -> Task:
    """The task to learn from a table.

    The range of an input is that of all rows.  The solution of a regression is in the units of its targets, which the
    network has standardised; a classifier's are probabilities, in outputs named by the classes, or, by the first spike,
    the times of these spikes.

    Parameters
    ----------
    name
        Of the task.
    numbers
        Inputs, and targets or classes.
    options, seed
        How to learn, and the seed of the split.

    Raises
    ------
    InputError
        On fields that are not possible, second-order steps of a classifier, and a regression by the first spike.
    """
    options = options or TableOptions()
    if options.finish and numbers.classes:
        raise InputError(f"{name}: {options.finish} second-order steps are for regressions, this is a classification")
    if options.first_spike and not numbers.classes:
        raise InputError(f"{name}: the first spike tells classes apart, targets are numbers")
    train, validation, test = _rows(numbers, options, seed)
    fields = receptive_fields(field_count(numbers.x.shape[1]) if options.fields is None else options.fields)
    inputs = tuple(Input(of, *_range(numbers.x[:, k]), fields=fields) for k, of in enumerate(numbers.inputs))
    low, high = np.array([i.low for i in inputs]), np.array([i.high for i in inputs])
    x, target = (numbers.x - low) / (high - low), target_of(numbers, train, by_first_spike=options.first_spike)
    tested = Samples(x[test], target.truth[test])
    host = Host(inputs, target.outputs, target.formula, numbers.classes or None)
    sizes = (host.channels, *(options.hidden or hidden_sizes(len(train))), target.neurons)
    finish = 0 if numbers.classes else finish_steps(len(train), sizes) if options.finish is None else options.finish
    return Task(
        name=name,
        summary=f"{', '.join(numbers.targets or ('class',))} of {len(inputs)} inputs",
        train_set=lambda seed: Samples(x[train], target.y[train]),
        validation_set=lambda seed: Samples(x[validation], target.y[validation]),
        test_set=lambda: tested,
        sizes=sizes,
        scale=target.scale,
        settings=settings_for(len(train), finish, 0.0 if options.finish else FULL_AFTER),
        metric=target.metric,
        quantities=target.quantities,
        solution=target.solution,
        host=host,
        fields=fields,
        make=target.make,
        objective=target.objective,
        digest=_digest(numbers, options),
        classes=numbers.classes if options.first_spike else None,
    )


def _rows(numbers: Numbers, options: TableOptions, seed: int) -> tuple[IntArray, IntArray, IntArray]:
    """Rows for training, validation and test, the last two the same where there is no test set."""
    every = np.arange(len(numbers.x))
    classes = numbers.y.astype(np.int64) if numbers.classes else None
    rest, test = split(every, options.test, seed, classes) if options.test else (every, every)
    train, validation = split(rest, options.validation, seed, classes)
    return train, validation, test if options.test else validation


def _range(values: FloatArray) -> tuple[float, float]:
    """Least and largest value (rows,); half a unit around it where there is one value only."""
    low, high = float(values.min()), float(values.max())
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def _digest(numbers: Numbers, options: TableOptions) -> str:
    about = repr((numbers.inputs, numbers.targets, numbers.classes, astuple(options)))
    parts = (about.encode(), numbers.x.astype("<f8").tobytes(), numbers.y.astype("<f8").tobytes())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
