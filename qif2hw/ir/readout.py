"""What the host computes from first spikes."""

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


def readouts_of(outputs: tuple[Readout | Product, ...]) -> tuple[Readout, ...]:
    """All readouts of a tuple of outputs, those inside products included, in order."""
    found: list[Readout] = []
    for output in outputs:
        found.extend([output] if isinstance(output, Readout) else [output.left, output.right])
    return tuple(found)


def output_populations_of(outputs: tuple[Readout | Product, ...]) -> tuple[str, ...]:
    """Populations that are read out, each once, in order."""
    return tuple(dict.fromkeys(r.population for r in readouts_of(outputs)))


def decode(outputs: tuple[Readout | Product, ...], times: dict[str, FloatArray]) -> FloatArray:
    """Results (samples, outputs) of first spike times (samples, neurons) by population."""
    columns = []
    for output in outputs:
        if isinstance(output, Readout):
            columns.append(output.decode(times[output.population]))
        else:
            left = output.left.decode(times[output.left.population])
            right = output.right.decode(times[output.right.population])
            columns.append(output.offset + output.scale * _summed(left * right))
    return np.concatenate(columns, axis=1)


def _summed(values: FloatArray) -> FloatArray:
    """Sum of each row, (samples, 1), column after column: numpy's own has other bits where there is one row alone."""
    total = values[:, :1].copy()
    for k in range(1, values.shape[1]):
        total += values[:, k : k + 1]
    return total


class ReadFromFirstSpikes:
    """Accessors of a network whose outputs are computed from first spikes."""

    outputs: tuple[Readout | Product, ...]

    @property
    def readouts(self) -> tuple[Readout, ...]:
        """All readouts, those inside products included, in order."""
        return readouts_of(self.outputs)

    @property
    def output_populations(self) -> tuple[str, ...]:
        """Populations that are read out, each once, in order; their neurons are the columns of ``spike_time``."""
        return output_populations_of(self.outputs)
