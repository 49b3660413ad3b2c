"""Pass: prove the width of every accumulator from the weights."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from qif2hw.compiler.passes.time_grid import check_payload_bits
from qif2hw.compiler.passes.weights import Weights
from qif2hw.compiler.state import Section, State
from qif2hw.errors import InputError
from qif2hw.ir import Network, Program, ProgramProjection, TimeGrid
from qif2hw.ir.ptc import ACCUMULATOR_BITS, ACCUMULATOR_MAX, STATE_BITS

SOURCES_NAMED = 3


@dataclass(frozen=True)
class Load:
    """What the neurons of a population can receive in one step, in weight counts, if every source sends a one.

    Excitation and inhibition are bounded apart: any order of adding stays between ``-down`` and ``up``.

    Parameters
    ----------
    up, down
        Largest sum of the positive weights of a neuron, and of the negative ones without their sign.
    neuron
        The witness: the neuron with the larger of the two.
    sources
        Its heaviest sources of that sign, as ``population[neuron]``.
    count
        How many sources of that sign it has.
    """

    up: int
    down: int
    neuron: int
    sources: tuple[str, ...]
    count: int

    @property
    def largest(self) -> int:
        """Largest magnitude of the sum."""
        return max(self.up, self.down)


@dataclass(frozen=True)
class PopulationRange:
    """What a population's accumulators may hold in one step, and how spikes reach it.

    Parameters
    ----------
    load
        Sums of its weights.
    late_max, flush_max
        Largest magnitudes of the sums of weights times payloads, and of weights times the phases of the flush.
    packed_bits, flush_drop, one_message
        See `qif2hw.ir.ProgramPopulation`.
    """

    load: Load
    late_max: int
    flush_max: int
    packed_bits: int
    flush_drop: int
    one_message: bool | None = None

    def as_report(self) -> Section:
        """As plain JSON values."""
        load = self.load
        return {
            "a0_max": load.largest,
            "a1_max": self.late_max,
            "flush_max": self.flush_max,
            "packed_bits": self.packed_bits,
            "up": load.up,
            "down": load.down,
            "witness": {"neuron": load.neuron, "sources": list(load.sources), "count": load.count},
        } | ({} if self.one_message is None else {"one_message": self.one_message})


@dataclass(frozen=True)
class Ranges:
    """What can arrive, proven from the weights.

    Parameters
    ----------
    payload_bits, payload_bits_wanted
        Bits of a spike's payload, and those that the time grid was made for.
    flush_payload_bits
        Bits of a payload in the flush.
    populations
        By name.
    """

    payload_bits: int
    payload_bits_wanted: int
    flush_payload_bits: int
    populations: dict[str, PopulationRange]

    def as_report(self) -> Section:
        """As plain JSON values."""
        return {
            "accumulator_bits": ACCUMULATOR_BITS,
            "payload_bits": self.payload_bits,
            "payload_bits_wanted": self.payload_bits_wanted,
            "flush_payload_bits": self.flush_payload_bits,
            "populations": {name: found.as_report() for name, found in self.populations.items()},
        }


def load_of(projections: Sequence[ProgramProjection]) -> Load:
    """The load of a population with these projections onto it, with its witness."""
    signed = [p.synapses.signed_sums(p.weight) for p in projections]
    up, down = (
        np.sum([sums[k] << p.exponent for p, sums in zip(projections, signed, strict=True)], axis=0) for k in (0, 1)
    )
    neuron = int(np.maximum(up, down).argmax())
    sign = 1 if up[neuron] >= down[neuron] else -1
    own = [p.synapses.of_neuron(p.weight, neuron) for p in projections]
    names = [f"{p.pre}[{j}]" for p, (sources, _) in zip(projections, own, strict=True) for j in sources]
    row = np.concatenate(
        [sign * weight.astype(np.int64) << p.exponent for p, (_, weight) in zip(projections, own, strict=True)]
    )
    heaviest = np.argsort(-row, kind="stable")[:SOURCES_NAMED]
    return Load(
        int(up.max()),
        int(down.max()),
        neuron,
        tuple(names[j] for j in heaviest if row[j] > 0),
        int((row > 0).sum()),
    )


def range_of(program: Program, name: str) -> PopulationRange:
    """The range of a population of a program, from its weights."""
    population, grid = program.population(name), program.grid
    incoming = program.incoming(name)
    load = load_of(incoming)
    drops = [program.population(q.pre).flush_drop for q in incoming if program.depth[q.pre] > 0]
    return PopulationRange(
        load,
        late_max=load.largest * max(1, grid.ticks - 1),
        flush_max=load.largest * ((grid.threshold >> max(drops)) + 1) if drops else 0,
        packed_bits=population.packed_bits,
        flush_drop=population.flush_drop,
        one_message=population.one_message,
    )


@dataclass(frozen=True)
class ProveRanges:
    """Bound what a neuron can receive in one step, and choose how many phase bits the flush may carry.

    Each source sends at most one message per step, so a sum lies between that of the negative weights and that of the
    positive ones, times the largest payload.  The flush payload is the phase with its low bits dropped, as few as the
    accumulators and the target's spikes allow.

    Parameters
    ----------
    fewest_payload_bits
        Where a sum is too large with the time grid's payload bits, the most that fit are taken instead, if they are at
        least this many.
    """

    name: ClassVar[str] = "ranges"
    reads: ClassVar[tuple[type, ...]] = (TimeGrid, Weights)
    writes: ClassVar[tuple[type, ...]] = (Ranges, TimeGrid)

    fewest_payload_bits: int = 12

    def __post_init__(self) -> None:
        check_payload_bits(self.fewest_payload_bits)

    def run(self, state: State) -> State:
        """Prove the ranges; `InputError` with the neuron and its sources as witness when one is too large."""
        network, projections, grid = state.network, state[Weights].projections, state[TimeGrid]
        load = {p.name: load_of([q for q in projections if q.post == p.name]) for p in network.populations}
        wanted, one = grid.lateness_bits, state.target.limit("messages_per_spike") == 1
        fitting = [b for b in range(wanted + 1) if all(_fits(found, b, one) for found in load.values())]
        if fitting and self.fewest_payload_bits <= fitting[-1] < wanted:
            grid = replace(grid, lateness_bits=fitting[-1])
        for name, found in load.items():
            _check(name, found, grid, one)
        worst = max((load[p.post].largest for p in projections if p.pre in load), default=1)
        # Where spikes carry nothing there is no flush, and no use in making it narrow.
        carried = state.target.limit("payload_bits") or STATE_BITS
        drop = 0
        while (
            worst * ((grid.threshold >> drop) + 1) > ACCUMULATOR_MAX or (grid.threshold >> drop).bit_length() > carried
        ):
            drop += 1
        senders = {p.pre for p in projections}
        receivers = {p.post for p in projections if p.pre in load}
        packed = _packed_bits(network, grid, load)
        populations = {
            name: PopulationRange(
                found,
                late_max=found.largest * max(1, grid.ticks - 1),
                flush_max=found.largest * ((grid.threshold >> drop) + 1) if name in receivers else 0,
                packed_bits=packed[name],
                flush_drop=drop if name in senders else 0,
                one_message=True if one and not packed[name] else None,
            )
            for name, found in load.items()
        }
        flush_bits = max(1, (grid.threshold >> drop).bit_length())
        return state.having(Ranges(grid.lateness_bits, wanted, flush_bits, populations), grid)

    def report(self, state: State) -> Section:
        """Largest values by population, with their witnesses."""
        return state[Ranges].as_report()


def _check(name: str, found: Load, grid: TimeGrid, one: bool) -> None:
    largest = _largest(found, grid.lateness_bits, one)
    if largest <= ACCUMULATOR_MAX:
        return
    most = max((b for b in range(grid.lateness_bits) if _fits(found, b, one)), default=None)
    raise InputError(
        f"neuron {found.neuron} of population '{name}' may accumulate {largest} if its {found.count} "
        f"sources of one sign spike in one step (the heaviest: {', '.join(found.sources)}), more than "
        f"{ACCUMULATOR_BITS} bits hold: "
        + (
            f"use fewer payload bits than {grid.lateness_bits}: {most} fit"
            if most is not None
            else "even without payload"
        )
    )


def _packed_bits(network: Network, grid: TimeGrid, load: dict[str, Load]) -> dict[str, int]:
    """Bits that keep the payload sum below the weight sum in one accumulator; 0 where both do not fit.

    Populations of one depth may share sources, and so share the answer.
    """
    packed: dict[str, int] = {}
    for depth in set(network.depth.values()) - {0}:
        names = [p.name for p in network.populations if network.depth[p.name] == depth]
        largest = max(load[name].largest for name in names)
        payload = largest * max(1, grid.ticks - 1)
        bits = payload.bit_length() + 1
        fits = (largest << bits) + payload <= ACCUMULATOR_MAX
        packed |= dict.fromkeys(names, bits if fits else 0)
    return packed


def _largest(load: Load, bits: int, one: bool) -> int:
    """Largest sum of weights times payloads; or, where spikes are one message, times payloads plus one."""
    return load.largest * max(1, (1 << bits) - 1 + one)


def _fits(load: Load, bits: int, one: bool) -> bool:
    return _largest(load, bits, one) <= ACCUMULATOR_MAX
