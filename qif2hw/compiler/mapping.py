"""Populations to cores: who goes where, and what it fills there."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from qif2hw.compiler.targets import Target
from qif2hw.ir import PlaneVector, Program, ProgramPopulation
from qif2hw.ir.arrays import ByValue, IntArray
from qif2hw.ir.ptc import second_moment
from qif2hw.ir.weight_grid import weight_bits

BYTES_PER_WORD = 3
"""A 24-bit register."""


@dataclass(frozen=True)
class Window:
    """What the neurons of a convolution's channel read: neighbouring ones mostly the same sources.

    Parameters
    ----------
    width
        Neurons in a row.
    step, height
        Rows of sources by which the window moves from one row of neurons to the next, and that it covers.
    row, rows
        Sources of a row, those of all channels that are read, and the number of rows.
    channels
        Number of channels that read other channels each (the groups of the convolution).
    """

    width: int
    step: int
    height: int
    row: int
    rows: int
    channels: int = 1

    def sources(self, neurons: int, channels: int) -> int:
        """Most sources of consecutive neurons that lie in a number of channels."""
        lines = -(-(neurons - 1) // self.width) + 1
        return min(channels, self.channels) * self.row * min(self.rows, (lines - 1) * self.step + self.height)


@dataclass(frozen=True, eq=False)
class Source(ByValue):
    """Synapses from one group.

    Parameters
    ----------
    name, size
        The group, and its number of neurons or channels.
    bits
        Bits of a weight.
    index_bits
        Bits stored beside each weight to say which neuron it belongs to: 0 where all are connected to all (for listed
        synapses the format is inferred, see `qif2hw.ir.synapses`).
    fan_in
        Synapses of each receiving neuron; None where all are connected to all.
    lists
        All to all: number of sources whose synapses differ; equal ones share a list (status: inferred).  None: all.
    kernel, window
        Of a convolution: weights of one output channel, which its neurons share, and which sources they read.
    """

    name: str
    size: int
    bits: int
    index_bits: int = 0
    fan_in: IntArray | None = None
    lists: int | None = None
    kernel: int | None = None
    window: Window | None = None

    @property
    def stored(self) -> int | IntArray:
        """Weights that are stored for each neuron, (neurons,); one number where all have as many."""
        if self.fan_in is not None:
            return self.fan_in
        return self.size if self.lists is None else self.lists

    def sources(self, neurons: int, channels: int) -> int:
        """Most sources of consecutive neurons that lie in a number of channels."""
        most = self.size if self.fan_in is None else min(self.size, int(self.fan_in.max(initial=0)) * neurons)
        return most if self.window is None else min(most, self.window.sources(neurons, channels))


@dataclass(frozen=True, eq=False)
class Need(ByValue):
    """What a population asks of a chip.

    Every synapse is stored, weights of zero too, but for those that are shared: kernels of a convolution are stored
    once on each core that holds neurons of their channel, and the place of a neuron says which weights meet which
    source; sources whose synapses are equal, as those of one pooling, share a list of them (status: inferred from Loihi
    2's convolutional connections and from axons that point to lists of synapses; the formats are not public).  Each
    projection onto a core has one byte for its shared exponent.

    Parameters
    ----------
    name, neurons
        The population.
    sources
        Its synapses.
    state_bytes
        Of one neuron.
    table_bytes
        Of a core, however many neurons it holds.
    plane
        Neurons of a channel, which share kernels and parameters; a core holds whole channels where it can.
    channel_bytes
        Parameters of one channel.
    """

    name: str
    neurons: int
    sources: tuple[Source, ...]
    state_bytes: int
    table_bytes: int
    plane: int = 1
    channel_bytes: int = 0

    @property
    def fan_in(self) -> int:
        """Most synapses of one neuron."""
        total = np.zeros(self.neurons, np.int64)
        for source in self.sources:
            total += source.size if source.fan_in is None else source.fan_in
        return int(total.max())

    @cached_property
    def row_bits(self) -> IntArray:
        """Bits of the synapses that each neuron has to itself, (neurons,)."""
        total = np.zeros(self.neurons, np.int64)
        for source in self.sources:
            if source.kernel is None:
                total += (source.bits + source.index_bits) * source.stored
        return total

    @property
    def kernel_bits(self) -> int:
        """Bits of the weights that the neurons of a channel share."""
        return sum(s.bits * s.kernel for s in self.sources if s.kernel is not None)

    def channels(self, neurons: int, first: int | None = None) -> int:
        """Channels of consecutive neurons, from ``first``; or the most, where whole channels begin with a channel."""
        if first is not None:
            return (first + neurons - 1) // self.plane - first // self.plane + 1
        if neurons % self.plane == 0:
            return neurons // self.plane
        return min(self.neurons // self.plane, (neurons - 2) // self.plane + 2)

    def axons(self, neurons: int) -> int:
        """Most sources that send to some neurons."""
        return sum(s.sources(neurons, self.channels(neurons)) for s in self.sources)

    @cached_property
    def _ends(self) -> dict[int, IntArray]:
        return {}

    def synapse_bytes(self, neurons: int, parts: int = 1, first: int | None = None) -> int:
        """Synapse memory of consecutive neurons on one core, from ``first``, or of those that need most.

        The synapses of each neuron are split into ``parts``, of which the core holds one.
        """
        if parts not in self._ends:
            self._ends[parts] = np.cumsum(np.concatenate([[0], -(-self.row_bits // parts)]))
        ends = self._ends[parts]
        bits = ends[neurons:] - ends[: len(ends) - neurons]
        own = int(bits.max() if first is None else bits[first])
        shared = self.channels(neurons, first) * -(-self.kernel_bits // parts)
        return -(-(own + shared) // 8) + len(self.sources)

    def bytes(self, neurons: int, parts: int = 1, first: int | None = None) -> int:
        """All memory that these neurons fill on one core."""
        parameters = self.channels(neurons, first) * self.channel_bytes
        return self.synapse_bytes(neurons, parts, first) + neurons * self.state_bytes + parameters + self.table_bytes


@dataclass(frozen=True)
class Share:
    """What one core holds: part ``part`` of ``parts`` of the synapses of neurons ``first`` to ``stop`` (exclusive)."""

    population: str
    first: int
    stop: int
    part: int
    parts: int
    bytes: int


@dataclass(frozen=True)
class CoreMap:
    """Cores in order, the same for the same input.

    ``problems`` says by population what no split can place, ``limits`` names the limit that is in the way.
    """

    shares: tuple[Share, ...]
    problems: dict[str, str]
    limits: dict[str, str]

    def of(self, population: str) -> tuple[Share, ...]:
        """The cores of a population."""
        return tuple(s for s in self.shares if s.population == population)


def needs_of(program: Program) -> tuple[Need, ...]:
    """What the populations of a program ask of a chip."""
    return tuple(_need(program, population) for population in program.populations)


def _need(program: Program, population: ProgramPopulation) -> Need:
    sources = tuple(
        Source(p.pre, p.synapses.shape[1], weight_bits(p.weight), p.synapses.index_bits, p.synapses.fan_in)
        for p in program.incoming(population.name)
    )
    return Need(population.name, population.size, sources, state_bytes(population), population.ptc.bytes)


def state_bytes(population: ProgramPopulation) -> int:
    """Memory of one neuron's registers: its state and where it starts from, and one accumulator to three."""
    # A plane vector is two registers, a phase is one.
    registers = 2 if isinstance(population.ptc, PlaneVector) else 1
    accumulators = (1 if population.packed_bits else 2) + (second_moment(population.ptc) is not None)
    return BYTES_PER_WORD * (2 * registers + accumulators)


def map_cores(needs: tuple[Need, ...], target: Target) -> CoreMap:
    """Give every population cores of its own, as few as hold it, filled evenly, with whole channels where one fits.

    A population that one core does not hold is split by its channels or neurons; a neuron that one core does not hold
    is split by its synapses where the target allows it.
    """
    shares: list[Share] = []
    problems, limits = {}, {}
    for need in needs:
        parts = _parts(need, target)
        room = _room(need, target, parts)
        if room < 1:
            limits[need.name], problems[need.name] = _why(need, target)
            room = 1
        unit = need.plane if room >= need.plane else 1
        cores = -(-need.neurons // (room // unit * unit))
        small, larger = divmod(need.neurons // unit, cores)
        first = 0
        for k in range(cores):
            stop = first + (small + (k < larger)) * unit
            filled = need.bytes(stop - first, parts, first)
            shares += [Share(need.name, first, stop, part, parts, filled) for part in range(parts)]
            first = stop
    return CoreMap(tuple(shares), problems, limits)


def _room(need: Need, target: Target, parts: int) -> int:
    """Neurons of a population that one core holds: those of whole channels, unless it does not hold one."""
    for unit in dict.fromkeys((need.plane, 1)):
        units = need.neurons // unit
        room = min((target.limit("neurons_per_core") or need.neurons) // unit, units)
        for name, size in (
            ("memory_per_core_bytes", lambda n: need.bytes(n, parts)),
            ("synaptic_memory_per_core_bytes", lambda n: need.synapse_bytes(n, parts)),
            ("input_axons_per_core", lambda n: -(-need.axons(n) // parts)),
        ):
            limit = target.limit(name)
            if limit is not None:
                room = _most(limit, lambda n, size=size, unit=unit: size(n * unit), room)  # type: ignore[misc]
        if room >= 1:
            return room * unit
    return 0


def _most(limit: int, size: Callable[[int], int], most: int) -> int:
    """Largest ``n <= most`` with ``size(n) <= limit``; 0 if there is none."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if size(middle) <= limit else (low, middle - 1)
    return low


def _parts(need: Need, target: Target) -> int:
    """Parts into which the synapses of a neuron are split: one, or the fewest that let a core hold a neuron."""
    if not target.limit("fan_in_split") or _room(need, target, 1) >= 1:
        return 1
    if _room(need, target, need.fan_in) < 1:
        return 1
    low, high = 2, need.fan_in
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _room(need, target, middle) >= 1 else (middle + 1, high)
    return low


def _why(need: Need, target: Target) -> tuple[str, str]:
    """The limit for which no split of a population fits a core, and why."""
    axons = target.limit("input_axons_per_core")
    if axons is not None and need.axons(1) > axons:
        return "input_axons_per_core", f"{need.axons(1)} sources send to each neuron, a core takes {axons}"
    synapses = target.limit("synaptic_memory_per_core_bytes")
    if synapses is not None and need.synapse_bytes(1) > synapses:
        needed = f"the {need.fan_in} synapses of one neuron need {need.synapse_bytes(1)} bytes, a core has {synapses}"
        return "synaptic_memory_per_core_bytes", needed
    return "memory_per_core_bytes", (
        f"one neuron with its {need.fan_in} synapses and the tables need {need.bytes(1)} bytes, "
        f"a core has {target.limit('memory_per_core_bytes')}"
    )


def with_weight_bits(needs: tuple[Need, ...], bits: int) -> tuple[Need, ...]:
    """The same populations with weights of at most ``bits`` bits."""
    return tuple(
        replace(need, sources=tuple(replace(s, bits=min(s.bits, bits)) for s in need.sources)) for need in needs
    )


def with_tables_halved(needs: tuple[Need, ...], times: int) -> tuple[Need, ...]:
    """The same populations with tables of half the size, ``times`` times over."""
    return tuple(replace(need, table_bytes=need.table_bytes >> times) for need in needs)


def with_fewer_neurons(needs: tuple[Need, ...], percent: int, keep: tuple[str, ...]) -> tuple[Need, ...]:
    """The same populations at a percentage of their channels, but for those to ``keep``."""
    sizes = {
        n.name: n.neurons if n.name in keep else max(1, n.neurons // n.plane * percent // 100) * n.plane for n in needs
    }
    return tuple(
        replace(
            need,
            neurons=sizes[need.name],
            sources=tuple(_smaller(s, sizes.get(s.name, s.size), sizes[need.name]) for s in need.sources),
        )
        for need in needs
    )


def _smaller(source: Source, size: int, neurons: int) -> Source:
    """The same share of synapses, from ``size`` sources to ``neurons`` neurons."""

    def share(count: IntArray) -> IntArray:
        return -(-count * size // source.size)

    fan_in = None if source.fan_in is None else share(source.fan_in[:neurons])
    window = None if source.window is None else replace(source.window, row=-(-source.window.row * size // source.size))
    kernel, lists = (n if n is None else -(-n * size // source.size) for n in (source.kernel, source.lists))
    return replace(source, size=size, fan_in=fan_in, lists=lists, kernel=kernel, window=window)
