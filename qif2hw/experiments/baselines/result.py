"""Results of a baseline."""

from dataclasses import dataclass, field
from typing import Any

from qif2hw.experiments.baselines.model import ChainModel
from qif2hw.ir.arrays import FloatArray
from qif2hw.train.task import Errors


@dataclass(frozen=True)
class Baseline:
    """A trained or converted network.

    Parameters
    ----------
    task, method, seed
        Names of the problem and of the way it was made, and its seed.
    model
        The network; ``model.predict(x)`` is what a QIF network's results are.
    settings
        All that the run depended on and the learning rates tried, ready for JSON.
    seconds
        Time it took, a conversion without the training of its ANN (``settings["ann"]["seconds"]``).
    """

    task: str
    method: str
    seed: int
    model: ChainModel = field(repr=False, compare=False)
    settings: dict[str, Any]
    seconds: float = field(compare=False)


@dataclass(frozen=True)
class BaselineResult:
    """A baseline and its errors on the test set.

    Parameters
    ----------
    task, method, seed, settings, seconds
        As in `Baseline`.
    errors
        By quantity.
    y
        Solution on the test set (samples, quantities).
    """

    task: str
    method: str
    seed: int
    settings: dict[str, Any]
    seconds: float = field(compare=False)
    errors: dict[str, Errors]
    y: FloatArray = field(repr=False, compare=False)
