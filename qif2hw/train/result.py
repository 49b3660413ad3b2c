"""What a training gives."""

from dataclasses import dataclass, field

import numpy as np

from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.network import Network
from qif2hw.train.diagnosis import Diagnosis
from qif2hw.train.task import Errors


@dataclass(frozen=True)
class TrainResult:
    """A trained network, and how well it does on the test set.

    Parameters
    ----------
    network
        The trained network; with weight bits its weights lie on the grid.
    errors
        Of ``network`` on the test set, by quantity.
    x, y, truth
        Test inputs as the network takes them, the solution and the truth.
    seconds
        Time the training took, that of earlier calls and of a teacher included.
    diagnosis
        Of the trained network, on the training set; None for a network that is not a chain of layers.
    steps
        Number of steps with free weights: given as ``steps`` it repeats a run that ended early, bit for bit.
    history
        Rows of a learning curve, (looks, 3): step, training loss and validation loss; empty without a validation set.
    """

    network: Network
    errors: dict[str, Errors]
    x: FloatArray
    y: FloatArray
    truth: FloatArray
    seconds: float
    diagnosis: Diagnosis | None
    steps: int = 0
    history: FloatArray = field(default_factory=lambda: np.empty((0, 3)))

    @property
    def error(self) -> float:
        """The largest error of a quantity, in the task's metric."""
        return max(e.relative for e in self.errors.values())
