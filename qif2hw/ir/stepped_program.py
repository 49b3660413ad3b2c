"""The integer program of a stepped network: what the machine runs, in time steps.

`qif2hw.engine.stepped.spec` defines what each number does.  Potentials are counted from rest, in units that make the
threshold of each channel an integer; a weight of one count and exponent 0 is one unit of the potential.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qif2hw.discrete.cuba import DECAY_UNITY
from qif2hw.ir.arrays import ByValue, FloatArray, IntArray, finite, frozen
from qif2hw.ir.graph import Graph
from qif2hw.ir.program import ProgramProjection
from qif2hw.ir.ptc import STATE_MAX, need
from qif2hw.ir.stepped import Accumulated, Steps, check_frames, checked_shape

DECAY_BITS = 15
"""Fraction bits of the factor by which a potential decays in a step."""
SCALE_BITS = 12
"""Fraction bits of the second coordinate of a plane vector: it is near ``2^SCALE_BITS``."""
CURVATURE_BITS = 30
"""Fraction bits of Euler's curvature."""
FACTOR_BITS = 16
"""Signed width of the factors of Euler's square; larger ones saturate."""


@dataclass(frozen=True)
class ProgramFrames:
    """An input group of integers.

    Parameters
    ----------
    name, shape
        As of `qif2hw.ir.stepped.Frames`.
    unit
        Real value of one count.
    bits
        Signed width of a value.
    """

    name: str
    shape: tuple[int, ...]
    unit: float
    bits: int = 9

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", checked_shape(self.shape, f"input group '{self.name}'"))
        need(bool(np.isfinite(self.unit)) and self.unit > 0, f"input group '{self.name}': the unit must be positive")
        need(2 <= self.bits <= 17, f"input group '{self.name}': {self.bits} bits, 2 to 17 are possible")

    @property
    def size(self) -> int:
        """Number of values per step."""
        return int(np.prod(self.shape))

    @property
    def largest(self) -> int:
        """Largest magnitude of a value; the range is used symmetrically."""
        return (1 << (self.bits - 1)) - 1

    def counts(self, x: FloatArray) -> IntArray:
        """Real values as integers, to the nearest, saturated; element by element."""
        return np.clip(np.rint(x / self.unit), -self.largest, self.largest).astype(np.int64)


@dataclass(frozen=True, eq=False)
class PlaneStep(ByValue):
    """The exact QIF neuron as a plane vector ``(p, q)`` with potential ``2^SCALE_BITS p / q``.

    Parameters
    ----------
    decay
        ``exp(-a (u2 - u1))``, with `DECAY_BITS` fraction bits.
    coupling, coupling_shift
        ``(1 - exp(-a (u2 - u1))) / (u2 - u1)`` per unit of the potential, by channel: what ``p`` takes from ``q``.
    threshold, reset
        By channel.
    """

    decay: int
    coupling: NDArray[np.int32]
    coupling_shift: int
    threshold: NDArray[np.int32]
    reset: NDArray[np.int32]

    def __post_init__(self) -> None:
        _check_channels(self, "coupling", "threshold", "reset")
        need(0 < self.decay <= 1 << DECAY_BITS, f"plane step: decay {self.decay}")
        need(0 <= self.coupling_shift < 48, f"plane step: shift {self.coupling_shift}")
        need(bool((self.coupling >= 0).all()), "plane step: the coupling is not negative")


@dataclass(frozen=True, eq=False)
class EulerStep(ByValue):
    """Euler's QIF neuron, ``w + a w (w - d)``: ``curvature``, ``distance`` ``d``, threshold and reset by channel."""

    curvature: NDArray[np.int32]
    distance: NDArray[np.int32]
    threshold: NDArray[np.int32]
    reset: NDArray[np.int32]

    def __post_init__(self) -> None:
        _check_channels(self, "curvature", "distance", "threshold", "reset")


@dataclass(frozen=True, eq=False)
class LeakStep(ByValue):
    """The LIF neuron: ``leak`` with `DECAY_BITS` fraction bits; ``threshold`` and ``reset`` by channel."""

    leak: int
    threshold: NDArray[np.int32]
    reset: NDArray[np.int32]

    def __post_init__(self) -> None:
        _check_channels(self, "threshold", "reset")
        need(0 <= self.leak <= 1 << DECAY_BITS, f"leak step: leak {self.leak}")


@dataclass(frozen=True, eq=False)
class CubaStep(ByValue):
    """The CUBA neuron of `qif2hw.discrete.cuba`, in counts of its state: decays and ``threshold`` by channel.

    Without a threshold it never spikes, and its voltage is read out.
    """

    current_decay: NDArray[np.int32]
    voltage_decay: NDArray[np.int32]
    threshold: NDArray[np.int32] | None = None

    def __post_init__(self) -> None:
        for name in ("current_decay", "voltage_decay") + (() if self.threshold is None else ("threshold",)):
            value = frozen(getattr(self, name), np.int32)
            object.__setattr__(self, name, value)
            most = STATE_MAX if name == "threshold" else DECAY_UNITY
            need(bool(((value >= 0) & (value <= most)).all()), f"CUBA step: a {name} is outside 0 to {most}")
            need(value.shape == (self.current_decay.size,), f"CUBA step: {name} has shape {value.shape}")


@dataclass(frozen=True)
class AddUp:
    """An accumulator: it adds its input up and sends nothing."""


Arithmetic = PlaneStep | EulerStep | LeakStep | CubaStep | AddUp
"""What a neuron does with its registers in a step."""


@dataclass(frozen=True, eq=False)
class SteppedProgramPopulation(ByValue):
    """A population on the machine.

    Parameters
    ----------
    name, shape
        As of `qif2hw.ir.stepped.SteppedPopulation`.
    arithmetic
        What its neurons do.
    bias
        Input of every step, in units, by channel or neuron.
    unit
        Real value of one unit of the potential, by channel.
    """

    name: str
    shape: tuple[int, ...]
    arithmetic: Arithmetic
    bias: NDArray[np.int32]
    unit: FloatArray

    def __post_init__(self) -> None:
        where = f"population '{self.name}'"
        object.__setattr__(self, "shape", checked_shape(self.shape, where))
        object.__setattr__(self, "bias", frozen(self.bias, np.int32))
        object.__setattr__(self, "unit", finite(self.unit, f"unit of {where}"))
        need(self.bias.shape in ((self.channels,), self.shape), f"{where}: the bias has shape {self.bias.shape}")
        need(self.unit.shape == (self.channels,) and bool((self.unit > 0).all()), f"{where}: its units are wrong")
        need(bool((np.abs(self.bias.astype(np.int64)) <= STATE_MAX).all()), f"{where}: the bias does not fit the state")
        threshold = getattr(self.arithmetic, "threshold", None)
        need(threshold is None or threshold.shape == (self.channels,), f"{where}: one threshold per channel is needed")
        if isinstance(self.arithmetic, CubaStep):
            need(self.arithmetic.current_decay.shape == (self.channels,), f"{where}: one decay per channel is needed")

    @property
    def spiking(self) -> bool:
        """Whether the neurons send spikes; accumulators and CUBA neurons without a threshold do not."""
        if isinstance(self.arithmetic, CubaStep):
            return self.arithmetic.threshold is not None
        return not isinstance(self.arithmetic, AddUp)

    @property
    def most(self) -> int:
        """Largest size of an input sum or register: 24 bits; CUBA neurons wrap sums of 32 bits around themselves."""
        return (1 << 31) - 1 if isinstance(self.arithmetic, CubaStep) else STATE_MAX

    @property
    def channels(self) -> int:
        """Number of channels, or of neurons where the shape has one dimension."""
        return self.shape[0]

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(np.prod(self.shape))

    def of_neurons(self, values: NDArray[np.int32]) -> IntArray:
        """Numbers by channel or neuron as one for each neuron, (neurons,)."""
        full = values.reshape(values.shape + (1,) * (len(self.shape) - values.ndim))
        return np.broadcast_to(full, self.shape).reshape(-1).astype(np.int64)


@dataclass(frozen=True, eq=False)
class SteppedProgram(Graph[ProgramFrames, SteppedProgramPopulation, ProgramProjection]):
    """A compiled stepped network; populations are sorted by depth."""

    clock: Steps
    encoders: tuple[ProgramFrames, ...]
    populations: tuple[SteppedProgramPopulation, ...]
    projections: tuple[ProgramProjection, ...]
    outputs: tuple[Accumulated, ...]

    def __post_init__(self) -> None:
        self.check_graph()
        need(list(self.populations) == list(self.order), "program: populations are sorted by depth")
        silent = {p.name for p in self.populations if not p.spiking}
        need(all(output.population in silent for output in self.outputs), "program: outputs are accumulators")
        need(all(p.pre not in silent for p in self.projections), "program: accumulators send nothing")

    @property
    def results(self) -> int:
        """Columns of the result."""
        return sum(self.population(output.population).size for output in self.outputs)

    def __repr__(self) -> str:
        return f"SteppedProgram({self.summary()}; {self.clock.count} time steps)"

    def decode(self, y: IntArray) -> FloatArray:
        """Results (samples, outputs) of the accumulators, concatenated."""
        units = [
            output.scale * np.repeat(p.unit, p.size // p.channels)
            for output in self.outputs
            for p in [self.population(output.population)]
        ]
        return y * np.concatenate(units)

    def check_inputs(self, x: ArrayLike) -> FloatArray:
        """Inputs as float64 (samples, 1 or time steps, inputs); see `qif2hw.ir.stepped.check_frames`."""
        return check_frames(x, [e.shape for e in self.encoders], self.clock.count)


def _check_channels(step: PlaneStep | EulerStep | LeakStep, *names: str) -> None:
    """Make arrays read-only and check that all have one number per channel that fits the state."""
    for name in names:
        value = frozen(getattr(step, name), np.int32)
        object.__setattr__(step, name, value)
        need(value.ndim == 1 and value.size > 0, f"{type(step).__name__}: {name} has shape {value.shape}")
    need(len({getattr(step, name).shape for name in names}) == 1, f"{type(step).__name__}: channels differ")
    need(bool((step.threshold > step.reset).all()), f"{type(step).__name__}: the reset must lie below the threshold")
    need(bool((step.threshold > 0).all()), f"{type(step).__name__}: the threshold must lie above rest")
