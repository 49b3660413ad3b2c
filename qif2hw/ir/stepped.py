r"""The float network with a stepped clock: neurons in discrete time, images in, accumulated outputs.

In every step ``t = 1 .. n`` the populations, in the order of their depth, compute

.. math::
    I_t = b + \sum_p W_p\, s^{(p)}_t, \qquad v_t = f(u_{t-1}) + g I_t, \qquad
    s_t = [v_t \ge \theta], \qquad u_t = s_t\, u_\mathrm{reset} + (1 - s_t)\, v_t

with ``f`` the map of the population's neuron (`qif2hw.discrete`) and ``s^{(p)}_t`` what the source of projection ``p``
sends in the same step: binary spikes, or the values of an input group; those of a source with a delay ``d`` are of step
``t - d``, nothing before the first.  An `Accumulator` adds its input up and sends nothing; results are read from it
after the last step.  A CUBA neuron follows the equations of `qif2hw.discrete.cuba`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qif2hw.discrete import SteppedCUBA, SteppedLIF, SteppedQIF, SteppedSynaptic
from qif2hw.errors import InputError
from qif2hw.ir.arrays import ByValue, FloatArray, IntArray, finite
from qif2hw.ir.graph import Graph
from qif2hw.ir.network import Network, Projection
from qif2hw.ir.spikes import Keep as Keep
from qif2hw.ir.spikes import Run
from qif2hw.ir.spikes import check_keep as check_keep
from qif2hw.ir.whole import checked_units, whole


@dataclass(frozen=True)
class Steps:
    """A clock of ``count`` time steps per sample."""

    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.count < 1 << 20:
            raise InputError(f"time steps = {self.count}: at least one is needed, and fewer than 2^20")


@dataclass(frozen=True)
class Frames:
    """An input group that sends real values: the same in every step (direct encoding), or a frame per step.

    Parameters
    ----------
    name
        Name of the group; projections refer to it.
    shape
        Channels, height and width; or (channels,).
    unit
        If given, values are integers times it: those of a group with unit 1 must be whole (spikes, numbers of events),
        others are rounded to the nearest.  If not, the compiler chooses one.
    bits
        Signed width of these integers; the range is used symmetrically.
    """

    name: str
    shape: tuple[int, ...]
    unit: float | None = None
    bits: int = 9

    def __post_init__(self) -> None:
        where = f"input group '{self.name}'"
        object.__setattr__(self, "shape", checked_shape(self.shape, where))
        if self.unit is not None and not (np.isfinite(self.unit) and self.unit > 0):
            raise InputError(f"{where}: unit = {self.unit:g}, it must be positive")
        if not 2 <= self.bits <= 17:
            raise InputError(f"{where}: {self.bits} bits, 2 to 17 are possible")

    @property
    def size(self) -> int:
        """Number of values per step."""
        return int(np.prod(self.shape))

    @property
    def largest(self) -> float:
        """Largest size of a value; infinite without a unit."""
        return np.inf if self.unit is None else ((1 << (self.bits - 1)) - 1) * self.unit

    def sent(self, x: FloatArray) -> FloatArray:
        """What the group sends for these values, element by element: on its grid, if it has one.

        Raises
        ------
        InputError
            If it has a unit and a value lies outside the range, or is not whole although the unit is 1.
        """
        if self.unit is None:
            return x
        if np.abs(x).max(initial=0.0) > self.largest:
            odd = float(x.flat[np.abs(x).argmax()])
            raise InputError(
                f"input group '{self.name}' is given {odd:g}: it takes values up to {self.largest:g} in size"
            )
        if self.unit == 1:
            whole(x, 1.0, f"input group '{self.name}', which takes spikes or numbers of events,")
        return np.rint(x / self.unit) * self.unit


@dataclass(frozen=True)
class Accumulator:
    """A neuron that adds up its input and never spikes: ``u_t = u_{t-1} + I_t``."""


SteppedNeuron = SteppedQIF | SteppedLIF | SteppedSynaptic | SteppedCUBA | Accumulator


@dataclass(frozen=True, eq=False)
class SteppedPopulation(ByValue):
    """Neurons in discrete time with the same parameters.

    Parameters
    ----------
    name
        Name of the population.
    neuron
        Its equation.
    shape
        Channels, height and width; or (neurons,).
    bias
        Input of every step: one value per channel, or of the population's shape.
    unit
        If given, one count of the potential on the machine: weights and biases onto the population are whole multiples
        of it, and compiling keeps them.  That of a CUBA neuron is `SteppedCUBA.UNIT`.
    """

    name: str
    neuron: SteppedNeuron
    shape: tuple[int, ...]
    bias: FloatArray
    unit: float | None = None

    def __post_init__(self) -> None:
        where = f"population '{self.name}'"
        object.__setattr__(self, "shape", checked_shape(self.shape, where))
        bias = finite(self.bias, f"bias of {where}")
        if bias.shape not in ((self.shape[0],), self.shape):
            raise InputError(f"bias of {where} has shape {bias.shape}: ({self.shape[0]},) or {self.shape} is needed")
        object.__setattr__(self, "bias", bias)
        if self.unit is not None and not (np.isfinite(self.unit) and self.unit > 0):
            raise InputError(f"{where}: unit = {self.unit:g}, it must be positive")
        if isinstance(self.neuron, SteppedCUBA):
            self.neuron.check_channels(self.shape[0], where)
            if self.unit != SteppedCUBA.UNIT:
                raise InputError(f"{where}: the unit of a CUBA neuron is {SteppedCUBA.UNIT:g}, {self.unit} is given")

    @property
    def spiking(self) -> bool:
        """Whether the neurons send spikes; accumulators and neurons without a threshold do not."""
        if isinstance(self.neuron, SteppedCUBA):
            return bool(self.neuron.threshold)
        if isinstance(self.neuron, SteppedSynaptic):
            return bool(np.isfinite(self.neuron.threshold))
        return not isinstance(self.neuron, Accumulator)

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(np.prod(self.shape))

    @property
    def current(self) -> FloatArray:
        """The bias of every neuron, (neurons,)."""
        bias = self.bias.reshape(self.bias.shape + (1,) * (len(self.shape) - self.bias.ndim))
        return np.broadcast_to(bias, self.shape).reshape(-1)


@dataclass(frozen=True)
class Accumulated:
    """What a population that does not spike holds after the last step, times ``scale``; one output per neuron.

    Of an accumulator that is its sum, of a neuron without a threshold its potential.
    """

    population: str
    scale: float = 1.0


@dataclass(frozen=True, eq=False)
class SteppedNetwork(Graph[Frames, SteppedPopulation, Projection]):
    """A feed-forward network with a stepped clock.

    Parameters
    ----------
    clock
        Number of time steps.
    encoders
        Input groups.
    populations, projections
        As of a `qif2hw.ir.Network`.
    outputs
        What is read out; concatenated, they are the columns of the result.

    Raises
    ------
    InputError
        As of `Graph.check_graph`, if an output is no accumulator or an accumulator feeds a population, and if what
        reaches a population with a unit is not whole.
    """

    clock: Steps
    encoders: tuple[Frames, ...]
    populations: tuple[SteppedPopulation, ...]
    projections: tuple[Projection, ...]
    outputs: tuple[Accumulated, ...]

    def __post_init__(self) -> None:
        self.check_graph()
        silent = {p.name for p in self.populations if not p.spiking}
        for output in self.outputs:
            if output.population not in silent:
                raise InputError(f"output of '{output.population}': it is no population of accumulators")
        for projection in self.projections:
            if projection.pre in silent:
                raise InputError(f"projection {projection.pre} -> {projection.post}: accumulators send nothing")
        checked_units(self)

    def __repr__(self) -> str:
        return f"SteppedNetwork({self.summary()}; {self.clock.count} time steps)"

    @property
    def results(self) -> int:
        """Columns of the result."""
        return sum(self.population(output.population).size for output in self.outputs)

    def check_inputs(self, x: ArrayLike) -> FloatArray:
        """Inputs as float64 (samples, 1 or time steps, inputs), as groups send them: `check_frames`, `Frames.sent`."""
        inputs = check_frames(x, [e.shape for e in self.encoders], self.clock.count)
        if all(e.unit is None for e in self.encoders):
            return inputs
        return np.concatenate([e.sent(inputs[:, :, self.columns[e.name]]) for e in self.encoders], axis=2)


AnyNetwork = Network | SteppedNetwork
"""A network of either clock."""


@dataclass(frozen=True, eq=False)
class SteppedRun:
    """Result of executing a stepped network on one backend.

    Parameters
    ----------
    backend
        Name of the backend.
    y
        Accumulated outputs, scores of the classes, (samples, classes).
    spikes
        Whether a neuron spiked, (samples, time steps, neurons) by population; empty where they were not kept.
    seconds
        Wall-clock time of the execution.
    counts
        Spikes of each neuron in all samples and steps together, (neurons,) by population; counted from ``spikes`` where
        not given.
    """

    backend: str
    y: FloatArray
    spikes: dict[str, NDArray[np.bool_]]
    seconds: float = 0.0
    counts: dict[str, IntArray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.counts:
            object.__setattr__(self, "counts", {name: _counted(fired) for name, fired in self.spikes.items()})

    def __repr__(self) -> str:
        spikes = sum(self.spikes_per_sample.values())
        results = " x ".join(map(str, self.y.shape))
        return f"SteppedRun({self.backend}: {results} results, {spikes:.4g} spikes per sample in {self.seconds:.3g} s)"

    @property
    def label(self) -> NDArray[np.int64]:
        """Class with the largest score, the first of equals, (samples,)."""
        return self.y.argmax(axis=1)

    @property
    def spikes_per_sample(self) -> dict[str, float]:
        """Mean number of spikes of a sample, by population."""
        return {name: float(count.sum()) / len(self.y) for name, count in self.counts.items()}


def _counted(fired: NDArray[np.bool_]) -> IntArray:
    """Spikes of each neuron; 255 rows at a time, whose number fits a byte, as vector instructions add them."""
    rows, total = fired.reshape(-1, fired.shape[2]).view(np.uint8), np.zeros(fired.shape[2], np.int64)
    for low in range(0, len(rows), 255):
        total += rows[low : low + 255].sum(axis=0, dtype=np.uint8)
    return total


AnyRun = Run | SteppedRun
"""Result of a network of either clock."""


def joined(backend: str, parts: Iterable[SteppedRun], keep: Keep) -> SteppedRun:
    """One run of those of consecutive blocks of samples; spikes that are not kept are dropped block by block."""
    y: list[FloatArray] = []
    spikes: dict[str, list[NDArray[np.bool_]]] = {}
    counts: dict[str, IntArray] = {}
    seconds = 0.0
    for part in parts:
        y.append(part.y)
        seconds += part.seconds
        for name, count in part.counts.items():
            counts[name] = counts.get(name, 0) + count
        for name, fired in part.spikes.items() if keep == "spikes" else ():
            spikes.setdefault(name, []).append(fired)
    whole = {name: np.concatenate(spikes.pop(name)) for name in list(spikes)}
    return SteppedRun(backend, np.concatenate(y), whole, seconds, counts)


def check_frames(x: ArrayLike, groups: list[tuple[int, ...]], steps: int) -> FloatArray:
    """Inputs as float64 (samples, 1 or time steps, inputs); ``groups`` are the shapes of the input groups.

    ``x`` has shape (samples, ...) or (samples, time steps, ...), where ``...`` is the shape of the one input group, or
    (inputs,) for all groups flattened one after the other.

    Raises
    ------
    InputError
        On another shape, no sample, or a value that is not finite.
    """
    try:
        array = np.asarray(x, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"inputs are not an array of numbers: {error}") from None
    width = sum(int(np.prod(shape)) for shape in groups)
    shapes: list[tuple[int, ...]] = list(dict.fromkeys([*(groups if len(groups) == 1 else []), (width,)]))
    for shape in shapes:
        for lead in ((), (1,), (steps,)):
            if array.ndim and array.shape[1:] == (*lead, *shape):
                if not len(array):
                    raise InputError("inputs hold no sample: at least one is needed")
                return finite(array.reshape(len(array), *(lead or (1,)), width), "inputs")
    wanted = " or ".join(f"(samples, {', '.join(map(str, shape))})" for shape in shapes)
    raise InputError(f"inputs have shape {array.shape}: {wanted} is needed, or {steps} time steps after the samples")


def checked_shape(shape: tuple[int, ...], where: str) -> tuple[int, ...]:
    """The shape as plain integers; `InputError`, naming ``where``, unless it is (n,) or (channels, height, width)."""
    sizes = tuple(int(n) for n in shape)
    if len(sizes) not in (1, 3) or min(sizes) < 1:
        raise InputError(f"{where} has shape {sizes}: (neurons,) or (channels, height, width) is needed")
    return sizes
