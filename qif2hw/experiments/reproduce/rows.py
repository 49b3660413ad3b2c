"""The results' table: its rows, and the experiments that they come from."""

from dataclasses import asdict, dataclass
from typing import Any

from qif2hw.experiments.reproduce.paper import paper_percent
from qif2hw.experiments.reproduce.plan import Experiment
from qif2hw.train.task import Errors


@dataclass(frozen=True)
class Row:
    """Error of one quantity by one method.

    Parameters
    ----------
    task, quantity, method, regime
        What was solved, and how; ``regime`` is empty for baselines.
    network
        Sizes of the network.
    weight_bits, steps
        Of the hardware's weights and the machine steps of a trial; simulation steps of a spiking baseline.
    samples
        Test samples the error is taken over.
    rel_l2_percent, mae, rmse
        Errors; the first in the task's metric.
    seed, seconds
        Seed of the run, and the time it took.
    paper_percent
        What the paper reports for this method.
    variant
        What is different from the task as it is, `Experiment.variant`.
    """

    task: str
    quantity: str
    method: str
    regime: str
    network: str
    weight_bits: int | None
    steps: int | None
    samples: int
    rel_l2_percent: float
    mae: float
    rmse: float
    seed: int
    seconds: float
    paper_percent: float | None
    variant: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Score:
    """How well one execution of a classifier in time steps does.

    Parameters
    ----------
    task, method, network
        What was classified, by which execution of which neurons, and the sizes of the network.
    weight_bits
        Of integer executions.
    trained_bits
        Of the grid that the weights were trained on; None where they were rounded after training.
    time_steps, samples
        Time steps, and test images the accuracy is taken over.
    accuracy_percent
        Images whose class is right.
    same_class_percent
        Images in the same class as by the float network before its weights went onto a grid.
    spikes, synaptic_operations
        Per image; None for torch.
    seed, seconds
        Seed of the training; seconds of training (float) or of the run (others).
    """

    task: str
    method: str
    network: str
    weight_bits: int | None
    trained_bits: int | None
    time_steps: int
    samples: int
    accuracy_percent: float
    same_class_percent: float
    spikes: float | None
    synaptic_operations: float | None
    seed: int
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Finished:
    """An experiment that has run.

    Parameters
    ----------
    experiment
        What was run.
    rows
        Its errors.
    about
        Further facts, plain values: of a QIF network ``training`` and ``lava``, of a baseline ``settings``, ``curve``
        and ``stride``.
    scores
        Of a classifier, in place of rows.
    """

    experiment: Experiment
    rows: list[Row]
    about: dict[str, Any]
    scores: tuple[Score, ...] = ()


def rows_of(
    errors: dict[str, Errors],
    *,
    task: str,
    method: str,
    regime: str = "",
    network: str,
    weight_bits: int | None = None,
    steps: int | None = None,
    samples: int,
    seed: int,
    seconds: float,
    variant: str = "",
) -> list[Row]:
    """A row for every quantity."""
    return [
        Row(
            task=task,
            quantity=quantity,
            method=method,
            regime=regime,
            network=network,
            weight_bits=weight_bits,
            steps=steps,
            samples=samples,
            rel_l2_percent=100 * values.relative,
            mae=values.mae,
            rmse=values.rmse,
            seed=seed,
            seconds=round(seconds, 1),
            paper_percent=paper_percent(task, quantity, method),
            variant=variant,
        )
        for quantity, values in errors.items()
    ]
