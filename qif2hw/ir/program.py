"""The integer program: what the machine runs, in steps.

Compiling turns a `Network` (float, units of time) into a `Program` (integers, steps of length Delta).
`qif2hw.engine.spec` defines what each number does.  Every class checks the widths of what it holds.
"""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qif2hw.ir.arrays import ByValue, FloatArray, frozen
from qif2hw.ir.encoder import Encoder
from qif2hw.ir.graph import Graph
from qif2hw.ir.host_part.host import Host
from qif2hw.ir.large import flat_blocks, scaled
from qif2hw.ir.network import Network, Population, Projection
from qif2hw.ir.ptc import ACCUMULATOR_BITS, PTC, STATE_BITS, STATE_MAX, PlaneVector, check_curve, need
from qif2hw.ir.readout import AnyOutput, check_alone
from qif2hw.ir.readout.classes import Classifies
from qif2hw.ir.synapses import LEFT_OUT, NOT_GIVEN, AnySynapses, checked_delay, checked_synapses
from qif2hw.neuron import QIF

MOST_STEPS = 1 << 16
"""Most machine steps of a trial."""


@dataclass(frozen=True)
class TimeGrid:
    r"""Steps of length ``Delta = Theta / S``, phase counts of ``Delta / 2^q``, hence a threshold of ``S 2^q``.

    Parameters
    ----------
    period
        ``Theta``, in time units.
    trial
        ``T``, in time units.
    period_steps
        ``S``.
    phase_bits
        ``q``.
    lateness_bits
        The payload of a spike is its lateness in ticks of ``Delta / 2^lateness_bits``.
    layers
        Depth of the deepest population.
    """

    period: float
    trial: float
    period_steps: int
    phase_bits: int
    lateness_bits: int
    layers: int

    def __post_init__(self) -> None:
        need(0 < self.period < math.inf and 0 < self.trial < math.inf, "time grid: period and trial must be positive")
        need(0 <= self.phase_bits < STATE_BITS, f"time grid: {self.phase_bits} phase bits do not fit the state")
        need(self.period_steps >= 2, f"time grid: {self.period_steps} steps per period, at least 2 are needed")
        need(
            0 <= self.lateness_bits < self.phase_bits,
            f"time grid: {self.lateness_bits} lateness bits need more than {self.phase_bits} phase bits",
        )
        need(
            self.threshold + self.increment <= STATE_MAX,
            f"time grid: threshold {self.threshold} + increment {self.increment} exceed the {STATE_BITS}-bit state",
        )
        need(1 <= self.layers <= MOST_STEPS, f"time grid: {self.layers} layers")
        need(
            self.trial <= MOST_STEPS * self.delta,
            f"time grid: a trial of more than the {MOST_STEPS} steps there may be",
        )

    @property
    def delta(self) -> float:
        """Length of a step, in time units."""
        return self.period / self.period_steps

    @property
    def increment(self) -> int:
        """Phase counts per step, ``2^q``."""
        return 1 << self.phase_bits

    @property
    def threshold(self) -> int:
        """Phase counts per period."""
        return self.period_steps << self.phase_bits

    @property
    def tick(self) -> float:
        """Unit of the lateness, in time units."""
        return self.delta / self.ticks

    @property
    def ticks(self) -> int:
        """Ticks per step, ``2^lateness_bits``."""
        return 1 << self.lateness_bits

    @property
    def half_tick(self) -> int:
        """Half a tick in phase counts: the mean of what truncating a lateness drops."""
        return 1 << (self.phase_bits - self.lateness_bits - 1)

    @property
    def trial_steps(self) -> int:
        """Steps of a population's own trial, enough for ``T`` as the deepest population sees it."""
        return -(-(self._trial_counts + (self.layers - 1) * self.half_tick) >> self.phase_bits)

    @property
    def _trial_counts(self) -> int:
        return round(self.trial / self.delta * self.increment)

    def overshoot(self, depth: int) -> int:
        """Phase counts from the trial's end, as a population of this depth sees it, to the end of its last step."""
        return (self.trial_steps << self.phase_bits) - self._trial_counts - (depth - 1) * self.half_tick

    def phase0(self, phi0: FloatArray, depth: int) -> NDArray[np.int32]:
        """Counts of ``phi0`` (neurons,) that cancel the delay of ``depth`` synapses and mean lateness lost."""
        counts = np.rint(phi0 / self.period * self.threshold).astype(np.int64)
        return (counts - (depth << self.phase_bits) - (depth - 1) * self.half_tick).astype(np.int32)

    def phi0(self, phase0: NDArray[np.int32], depth: int) -> FloatArray:
        """Initial phases (neurons,) in time units; inverse of `phase0`."""
        counts = phase0.astype(np.int64) + (depth << self.phase_bits) + (depth - 1) * self.half_tick
        return np.clip(counts, 0, self.threshold - 1) / self.threshold * self.period

    def times(self, step: NDArray[Any], lateness: NDArray[Any], depth: int) -> FloatArray:
        """Times, in time units, of spikes of a population of this depth; arrays of one shape, lateness in ticks."""
        return (step - depth) * self.delta - (lateness + 0.5 * depth) * self.tick


@dataclass(frozen=True, eq=False)
class ProgramPopulation(ByValue):
    """A population on the machine.

    Parameters
    ----------
    name, depth
        Name, and length of the path from the inputs: its clock runs ``depth`` steps behind the machine's.
    neuron
        ``tau`` and ``I0``; they served to make the tables, and turn the program back into a network.
    phase0
        Initial phase counts (neurons,) at machine step 0; negative where the clock's lag exceeds the initial phase.
    unit
        Weight of one grid count, real.
    ptc
        The phase transition curve.
    flush_drop
        Low bits dropped from the phase it sends in the flush step.
    packed_bits
        If positive, spikes reach it as ``2^packed_bits + payload`` and one accumulator holds both sums, which the
        bounds of `qif2hw.compiler.passes.ranges` keep apart; if 0, two accumulators hold one each.
    one_message
        Without `packed_bits`: True if a spike reaches it as one message, ``1 + payload``, which it adds up twice: the
        weights of messages, and weights times messages.  None if flag and payload are two messages.
    """

    name: str
    depth: int
    neuron: QIF
    phase0: NDArray[np.int32]
    unit: float
    ptc: PTC
    flush_drop: int
    packed_bits: int = 0
    one_message: bool | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "phase0", frozen(self.phase0, np.int32))
        need(
            self.phase0.ndim == 1 and self.phase0.size > 0,
            f"population '{self.name}': initial phases have shape {self.phase0.shape}, (neurons,) is needed",
        )
        if isinstance(self.ptc, PlaneVector):
            need(
                self.ptc.start.shape[1] == self.size,
                f"population '{self.name}': {self.ptc.start.shape[1]} plane vectors for {self.size} neurons",
            )
        need(self.depth >= 1, f"population '{self.name}' has depth {self.depth}")
        need(0 <= self.packed_bits < ACCUMULATOR_BITS, f"population '{self.name}': packed_bits = {self.packed_bits}")
        need(
            self.one_message is None or (self.one_message and not self.packed_bits),
            f"population '{self.name}': one_message is true or left out, and has no packed_bits beside it",
        )
        need(0 <= self.flush_drop < STATE_BITS, f"population '{self.name}': flush_drop = {self.flush_drop}")
        need(
            bool(np.isfinite(self.unit)) and self.unit > 0,
            f"population '{self.name}': the weight unit must be positive",
        )
        need(
            bool((np.abs(self.phase0.astype(np.int64)) <= STATE_MAX).all()),
            f"population '{self.name}': initial phases do not fit {STATE_BITS} bits",
        )

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(self.phase0.size)

    @property
    def message_bits(self) -> int | None:
        """Bits of a spike's one message below its flag; None where flag and payload are two messages."""
        return self.packed_bits or (0 if self.one_message else None)


@dataclass(frozen=True, eq=False)
class ProgramProjection(ByValue):
    """Synapses: even integer weights in [-256, 254]; their sum is shifted left by ``exponent``, right if negative.

    ``weight`` has the shape that the synapses say; without ``synapses`` it is (post, pre), all to all.  ``delay`` is
    that of a `Projection`.
    """

    pre: str
    post: str
    weight: NDArray[np.int16]
    exponent: int = 0
    synapses: AnySynapses = field(default=NOT_GIVEN, metadata=LEFT_OUT)
    delay: NDArray[np.int32] | None = None

    def __post_init__(self) -> None:
        where = f"projection {self.pre} -> {self.post}"
        weight = frozen(self.weight, np.int16)
        need(
            all(bool(((w >= -256) & (w <= 254) & (w % 2 == 0)).all()) for w in flat_blocks(weight)),
            f"{where}: weights are even, in [-256, 254]",
        )
        need(-8 <= self.exponent <= 7, f"{where}: exponent {self.exponent} is outside -8 to 7")
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "synapses", checked_synapses(self.synapses, weight, where))
        object.__setattr__(self, "delay", checked_delay(self.delay, self.synapses, where))


@dataclass(frozen=True, eq=False)
class Program(Graph[Encoder, ProgramPopulation, ProgramProjection], Classifies):
    """A compiled network.

    Populations are sorted by depth, and each projection goes from one depth to the next: a synapse takes one step,
    and all populations of one depth share a clock.  ``host`` is that of a `Network`.
    """

    grid: TimeGrid
    encoders: tuple[Encoder, ...]
    populations: tuple[ProgramPopulation, ...]
    projections: tuple[ProgramProjection, ...]
    outputs: tuple[AnyOutput, ...]
    host: Host | None = None

    def __repr__(self) -> str:
        return f"Program({self.summary()}; {self.steps} steps of {self.grid.delta:.6g})"

    def __post_init__(self) -> None:
        depth = {e.name: 0 for e in self.encoders} | {p.name: p.depth for p in self.populations}
        need(len(depth) == len(self.encoders) + len(self.populations), "program: a name is used twice")
        need(
            bool(self.encoders and self.populations and self.outputs),
            "program: inputs, populations and outputs are needed",
        )
        need(
            list(self.populations) == sorted(self.populations, key=lambda p: p.depth),
            "program: populations are sorted by depth",
        )
        for p in self.projections:
            where = f"projection {p.pre} -> {p.post}"
            need(p.exponent >= 0, f"{where}: exponent {p.exponent} is outside 0 to 7")
            need(p.delay is None, f"{where}: delays need a stepped clock")
            need(p.pre in depth and p.post in depth, f"{where}: no such population")
            need(
                depth[p.post] == depth[p.pre] + 1,
                f"{where}: it spans {depth[p.post] - depth[p.pre]} layers, a synapse must reach the next one",
            )
            need(
                p.synapses.shape == (self.sizes[p.post], self.sizes[p.pre]),
                f"{where}: its synapses have shape {p.synapses.shape}",
            )
        for encoder in self.encoders:
            need(
                encoder.earliest > 0 and encoder.latest < self.grid.trial,
                f"input group '{encoder.name}' encodes into ({encoder.earliest:g}, {encoder.latest:g}): "
                f"this must lie inside the trial (0, {self.grid.trial:g})",
            )
        for population in self.populations:
            where = f"population '{population.name}'"
            check_curve(population.ptc, self.grid.threshold, where)
            need(int(population.phase0.max()) < self.grid.threshold, f"{where}: initial phases beyond the threshold")
            need(bool(self.incoming(population.name)), f"population '{population.name}' has no input")
            drops = {self.population(p.pre).flush_drop for p in self.incoming(population.name) if depth[p.pre] > 0}
            for p in self.incoming(population.name):
                self.message_bits(p.pre)
            need(len(drops) <= 1, f"population '{population.name}': its sources drop different numbers of flush bits")
        deepest = max(p.depth for p in self.populations)
        need(deepest == self.grid.layers, f"time grid: {self.grid.layers} layers for populations {deepest} deep")
        check_alone(self.outputs)
        posts = {p.name for p in self.populations}
        for readout in self.readouts:
            need(readout.population in posts, f"readout of '{readout.population}': no such population")
            index = readout.neurons
            for end in (int(index.min()), int(index.max())):
                need(0 <= end < self.sizes[readout.population], f"readout of '{readout.population}': no neuron {end}")
        self.check_host()

    @cached_property
    def depth(self) -> dict[str, int]:
        """Depth of every input group (0) and population."""
        return {e.name: 0 for e in self.encoders} | {p.name: p.depth for p in self.populations}

    @property
    def steps(self) -> int:
        """Machine steps of one trial: the deepest population's own trial, its lag, and the flush step."""
        return self.grid.trial_steps + 1 + self.populations[-1].depth

    def message_bits(self, source: str) -> int | None:
        """How the targets of an input group or population want its spikes, see `ProgramPopulation`.

        Raises
        ------
        InputError
            If they want them differently.
        """
        wanted = {self.population(p.post).message_bits for p in self.projections if p.pre == source}
        need(len(wanted) <= 1, f"'{source}': its targets want its spikes packed differently")
        return wanted.pop() if wanted else None

    def network(self) -> Network:
        """The float network with exactly this program's weights and initial phases."""
        unit = {p.name: p.unit for p in self.populations}
        return Network(
            trial=self.grid.trial,
            encoders=self.encoders,
            populations=tuple(
                Population(p.name, p.neuron, self.grid.phi0(p.phase0, p.depth)) for p in self.populations
            ),
            projections=tuple(
                Projection(p.pre, p.post, scaled(p.weight, unit[p.post] * 2.0**p.exponent), p.synapses)
                for p in self.projections
            ),
            outputs=self.outputs,
            host=self.host,
        )
