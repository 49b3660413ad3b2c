"""Results that are differences of first spikes, and products of such."""

from dataclasses import dataclass

import numpy as np

from qif2hw.errors import InputError
from qif2hw.ir.arrays import ByValue, FloatArray, IntArray, finite, frozen
from qif2hw.neuron import difference


@dataclass(frozen=True, eq=False)
class Readout(ByValue):
    """Differences of first spikes: ``y_m = offset_m + scale_m (t[stop_m] - t[start_m])``.

    ``t`` are the first spike times (ordinary or pseudo) of ``population``, in time units; ``start``, ``stop``,
    ``scale`` and ``offset`` have shape (outputs,).
    """

    population: str
    start: IntArray
    stop: IntArray
    scale: FloatArray
    offset: FloatArray

    def __post_init__(self) -> None:
        for name in ("start", "stop"):
            object.__setattr__(self, name, frozen(getattr(self, name), np.int64))
        for name in ("scale", "offset"):
            object.__setattr__(self, name, finite(getattr(self, name), f"readout {name} of '{self.population}'"))
        shapes = {getattr(self, name).shape for name in ("start", "stop", "scale", "offset")}
        if len(shapes) != 1 or self.start.ndim != 1 or self.start.size == 0:
            raise InputError(
                f"readout of '{self.population}': start, stop, scale and offset need one equal, non-empty length"
            )

    @property
    def size(self) -> int:
        """Number of outputs."""
        return int(self.start.size)

    @property
    def neurons(self) -> IntArray:
        """The neurons that are read, (2 outputs,)."""
        return np.concatenate([self.start, self.stop])

    def decode(self, times: FloatArray) -> FloatArray:
        """Outputs (samples, outputs) of the population's first spike times (samples, neurons)."""
        return difference(times[:, self.start], times[:, self.stop], self.scale, self.offset)


@dataclass(frozen=True)
class Product:
    """Inner product of two readouts, as in a DeepONet: ``y = offset + scale sum_m left_m right_m``; one output."""

    left: Readout
    right: Readout
    scale: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        if self.left.size != self.right.size:
            raise InputError(
                f"product of readouts of {self.left.size} and {self.right.size} values: equal sizes are needed"
            )
        if not (np.isfinite(self.scale) and np.isfinite(self.offset)):
            raise InputError("product of readouts: scale and offset must be finite")

    @property
    def size(self) -> int:
        """Number of outputs."""
        return 1


def inner_product(left: FloatArray, right: FloatArray) -> FloatArray:
    """``sum_m left_m right_m`` (samples, 1), column after column: numpy's own has other bits where there is one row."""
    values = left * right
    total = values[:, :1].copy()
    for k in range(1, values.shape[1]):
        total += values[:, k : k + 1]
    return total
