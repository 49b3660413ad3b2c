"""Populations to cores: who goes where, and what it fills there."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from qif2hw.compiler.targets import Target
from qif2hw.ir import PlaneVector, Program, ProgramPopulation
from qif2hw.ir.ptc import second_moment
from qif2hw.ir.weight_grid import weight_bits

BYTES_PER_WORD = 3
"""A 24-bit register."""


@dataclass(frozen=True)
class Source:
    """Synapses from one group: how many sources, and the bits of a weight."""

    name: str
    size: int
    bits: int


@dataclass(frozen=True)
class Need:
    """What a population asks of a chip.

    Every synapse is stored, zeros too; each projection onto a core has one byte for its shared exponent.
    """

    name: str
    neurons: int
    sources: tuple[Source, ...]
    state_bytes: int
    table_bytes: int

    @property
    def fan_in(self) -> int:
        """Synapses of one neuron."""
        return sum(s.size for s in self.sources)

    @property
    def row_bits(self) -> int:
        """Bits of one neuron's synapses."""
        return sum(s.size * s.bits for s in self.sources)

    def synapse_bytes(self, neurons: int, parts: int = 1) -> int:
        """Synapse memory of some neurons on one core, with the fan-in split into ``parts``."""
        return -(-neurons * -(-self.row_bits // parts) // 8) + len(self.sources)

    def bytes(self, neurons: int, parts: int = 1) -> int:
        """All memory that some neurons fill on one core."""
        return self.synapse_bytes(neurons, parts) + neurons * self.state_bytes + self.table_bytes


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
    """Cores in order, the same for the same input; ``problems`` says by population what no split can place."""

    shares: tuple[Share, ...]
    problems: dict[str, str]

    def of(self, population: str) -> tuple[Share, ...]:
        """The cores of a population."""
        return tuple(s for s in self.shares if s.population == population)


def needs_of(program: Program) -> tuple[Need, ...]:
    """What the populations of a program ask of a chip."""
    return tuple(_need(program, population) for population in program.populations)


def _need(program: Program, population: ProgramPopulation) -> Need:
    sources = tuple(Source(p.pre, p.weight.shape[1], weight_bits(p.weight)) for p in program.incoming(population.name))
    return Need(population.name, population.size, sources, state_bytes(population), table_bytes(population))


def state_bytes(population: ProgramPopulation) -> int:
    """Memory of one neuron's registers: its state and where it starts from, and one accumulator to three."""
    # A plane vector is two registers, a phase is one.
    registers = 2 if isinstance(population.ptc, PlaneVector) else 1
    accumulators = (1 if population.packed_bits else 2) + (second_moment(population.ptc) is not None)
    return BYTES_PER_WORD * (2 * registers + accumulators)


def table_bytes(population: ProgramPopulation) -> int:
    """Memory of a population's tables, which each of its cores holds."""
    return population.ptc.bytes


def map_cores(needs: tuple[Need, ...], target: Target) -> CoreMap:
    """Give every population cores of its own, as few as hold it, filled evenly.

    A population that one core does not hold is split by its neurons; a neuron that one core does not hold is split by
    its synapses where the target allows it.
    """
    shares: list[Share] = []
    problems = {}
    for need in needs:
        parts = _parts(need, target)
        room = _room(need, target, parts)
        if room < 1:
            problems[need.name] = _why(need, target)
            room = 1
        cores = -(-need.neurons // room)
        small, larger = divmod(need.neurons, cores)
        first = 0
        for k in range(cores):
            stop = first + small + (k < larger)
            filled = need.bytes(stop - first, parts)
            shares += [Share(need.name, first, stop, part, parts, filled) for part in range(parts)]
            first = stop
    return CoreMap(tuple(shares), problems)


def _room(need: Need, target: Target, parts: int) -> int:
    """Neurons of a population that one core holds."""
    room = target.limit("neurons_per_core") or need.neurons
    memory = target.limit("memory_per_core_bytes")
    if memory is not None:
        room = min(room, _most(memory, lambda n: need.bytes(n, parts), room))
    memory = target.limit("synaptic_memory_per_core_bytes")
    if memory is not None:
        room = min(room, _most(memory, lambda n: need.synapse_bytes(n, parts), room))
    axons = target.limit("input_axons_per_core")
    if axons is not None and -(-need.fan_in // parts) > axons:
        room = 0
    return min(room, need.neurons)


def _most(memory: int, size: Callable[[int], int], most: int) -> int:
    """Largest ``n <= most`` with ``size(n) <= memory``; 0 if there is none."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if size(middle) <= memory else (low, middle - 1)
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


def _why(need: Need, target: Target) -> str:
    axons = target.limit("input_axons_per_core")
    if axons is not None and need.fan_in > axons:
        return f"{need.fan_in} sources send to each neuron, a core takes {axons}"
    synapses = target.limit("synaptic_memory_per_core_bytes")
    if synapses is not None and need.synapse_bytes(1) > synapses:
        return f"the {need.fan_in} synapses of one neuron need {need.synapse_bytes(1)} bytes, a core has {synapses}"
    return (
        f"one neuron with its {need.fan_in} synapses and the tables need {need.bytes(1)} bytes, "
        f"a core has {target.limit('memory_per_core_bytes')}"
    )


def with_weight_bits(needs: tuple[Need, ...], bits: int) -> tuple[Need, ...]:
    """The same populations with no weight above so many bits."""
    return tuple(
        replace(need, sources=tuple(replace(s, bits=min(s.bits, bits)) for s in need.sources)) for need in needs
    )


def with_tables_halved(needs: tuple[Need, ...], times: int) -> tuple[Need, ...]:
    """The same populations with tables of half the size, so many times."""
    return tuple(replace(need, table_bytes=need.table_bytes >> times) for need in needs)


def with_fewer_neurons(needs: tuple[Need, ...], percent: int, keep: tuple[str, ...]) -> tuple[Need, ...]:
    """The same populations at a percentage of their size, but for those to ``keep``."""
    sizes = {n.name: n.neurons if n.name in keep else max(1, n.neurons * percent // 100) for n in needs}
    return tuple(
        replace(
            need,
            neurons=sizes[need.name],
            sources=tuple(replace(s, size=sizes.get(s.name, s.size)) for s in need.sources),
        )
        for need in needs
    )
