"""Pass: prove the width of every accumulator from the weights."""

from dataclasses import dataclass

import numpy as np

from qif2hw.compiler.passes.time_grid import with_lateness_bits
from qif2hw.compiler.state import Draft, Facts
from qif2hw.errors import InputError
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


def load_of(draft: Draft, population: str) -> Load:
    """The load of a population, with its witness."""
    incoming = [p for p in draft.projections if p.post == population]
    weight = np.concatenate([p.weight.astype(np.int64) << p.exponent for p in incoming], axis=1)
    up, down = np.maximum(weight, 0).sum(axis=1), np.maximum(-weight, 0).sum(axis=1)
    neuron = int(np.maximum(up, down).argmax())
    row = weight[neuron] if up[neuron] >= down[neuron] else -weight[neuron]
    names = [f"{p.pre}[{j}]" for p in incoming for j in range(p.weight.shape[1])]
    heaviest = np.argsort(-row, kind="stable")[:SOURCES_NAMED]
    return Load(
        int(up.max()),
        int(down.max()),
        neuron,
        tuple(names[j] for j in heaviest if row[j] > 0),
        int((row > 0).sum()),
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
        least so many.
    """

    fewest_payload_bits: int = 12
    name: str = "ranges"

    def run(self, draft: Draft) -> Draft:
        """Prove the ranges; `InputError` with the neuron and its sources as witness when one is too large."""
        draft.need("weights", by=self.name)
        load = {p.name: load_of(draft, p.name) for p in draft.network.populations}
        wanted = draft.time.lateness_bits
        fitting = [b for b in range(wanted + 1) if all(_fits(found, b) for found in load.values())]
        if fitting and self.fewest_payload_bits <= fitting[-1] < wanted:
            draft = with_lateness_bits(draft, fitting[-1])
        grid = draft.time
        for name, found in load.items():
            largest = found.largest * max(1, grid.ticks - 1)
            if largest > ACCUMULATOR_MAX:
                most = max((b for b in range(grid.lateness_bits) if _fits(found, b)), default=None)
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
        senders = {p.pre for p in draft.projections}
        worst = max((load[p.post].largest for p in draft.projections if p.pre in load), default=1)
        # Where spikes carry nothing there is no flush, and no use in making it narrow.
        carried = draft.target.limit("payload_bits") or STATE_BITS
        drop = 0
        while (
            worst * ((grid.threshold >> drop) + 1) > ACCUMULATOR_MAX or (grid.threshold >> drop).bit_length() > carried
        ):
            drop += 1
        packed = _packed_bits(draft, load)
        flush_drop = {name: drop if name in senders else 0 for name in load}
        hears = {p.post for p in draft.projections if p.pre in load}
        facts: Facts = {
            "accumulator_bits": ACCUMULATOR_BITS,
            "payload_bits": grid.lateness_bits,
            "payload_bits_wanted": wanted,
            "flush_payload_bits": max(1, (grid.threshold >> drop).bit_length()),
            "populations": {
                name: {
                    "a0_max": found.largest,
                    "a1_max": found.largest * max(1, grid.ticks - 1),
                    "flush_max": found.largest * ((grid.threshold >> drop) + 1) if name in hears else 0,
                    "packed_bits": packed[name],
                    "up": found.up,
                    "down": found.down,
                    "witness": {"neuron": found.neuron, "sources": list(found.sources), "count": found.count},
                }
                for name, found in load.items()
            },
        }
        return draft.with_report(self.name, facts, flush_drop=flush_drop, packed_bits=packed)


def _packed_bits(draft: Draft, load: dict[str, Load]) -> dict[str, int]:
    """Bits that keep the payload sum below the weight sum in one accumulator; 0 where both do not fit.

    Populations of one depth may share sources, and so share the answer.
    """
    packed: dict[str, int] = {}
    for depth in set(draft.network.depth.values()) - {0}:
        names = [p.name for p in draft.network.populations if draft.network.depth[p.name] == depth]
        largest = max(load[name].largest for name in names)
        payload = largest * max(1, draft.time.ticks - 1)
        bits = payload.bit_length() + 1
        fits = (largest << bits) + payload <= ACCUMULATOR_MAX
        packed |= dict.fromkeys(names, bits if fits else 0)
    return packed


def _fits(load: Load, bits: int) -> bool:
    return load.largest * max(1, (1 << bits) - 1) <= ACCUMULATOR_MAX
