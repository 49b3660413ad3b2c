"""The class by the neuron that spikes first."""

from dataclasses import dataclass

import numpy as np

from qif2hw.errors import InputError
from qif2hw.ir.arrays import ByValue, FloatArray, IntArray, frozen


@dataclass(frozen=True, eq=False)
class FirstSpike(ByValue):
    """First spike times as results, ``y_m = t[neuron_m]``; the class is the ``m`` whose neuron spikes first.

    ``t`` are the first spike times (ordinary or pseudo) of ``population``, in time units.  A neuron without a spike in
    the trial has its pseudospike, which is later than all ordinary ones; of neurons that spike at once the first in
    order counts.

    Parameters
    ----------
    population
        Whose spikes they are.
    neuron
        The neuron of each class, (classes,).

    Raises
    ------
    InputError
        On fewer than two classes, and on a neuron of several.
    """

    population: str
    neuron: IntArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "neuron", frozen(self.neuron, np.int64))
        where = f"first-spike readout of '{self.population}'"
        if self.neuron.ndim != 1 or self.neuron.size < 2:
            raise InputError(f"{where}: neurons of shape {self.neuron.shape}, one for each of at least two classes")
        if np.unique(self.neuron).size < self.neuron.size:
            raise InputError(f"{where}: each class needs a neuron of its own")

    @property
    def size(self) -> int:
        """Number of classes."""
        return int(self.neuron.size)

    @property
    def neurons(self) -> IntArray:
        """The neurons that are read, (classes,)."""
        return self.neuron

    def decode(self, times: FloatArray) -> FloatArray:
        """First spike times (samples, classes) of those of the population (samples, neurons)."""
        return times[:, self.neuron]

    def label(self, times: FloatArray | IntArray) -> IntArray:
        """The class (samples,) of first spikes (samples, classes): times, or whole numbers in their order."""
        return times.argmin(axis=1)
