"""Pass: prove the width of every accumulator from the weights."""

from dataclasses import dataclass

import numpy as np

from qif2hw.compiler.draft import Draft, Facts
from qif2hw.errors import InputError
from qif2hw.ir.ptc import ACCUMULATOR_BITS, ACCUMULATOR_MAX, STATE_BITS


@dataclass(frozen=True)
class ProveRanges:
    """Bound what a neuron can receive in one step, and choose how many phase bits the flush may carry.

    Each source sends at most one message per step, so a neuron receives at most ``sum_j |W_ij|`` times the largest
    payload.  The flush payload is the phase with its low bits dropped, as few as the accumulators allow.
    """

    name: str = "ranges"

    def run(self, draft: Draft) -> Draft:
        """Prove the ranges; `InputError` with the neuron as witness when one is too large."""
        draft.need("weights", by=self.name)
        grid = draft.time
        load: dict[str, int] = {}
        for population in draft.network.populations:
            total = np.zeros(population.size, np.int64)
            for p in draft.projections:
                if p.post == population.name:
                    total += np.abs(p.weight.astype(np.int64)).sum(axis=1) << p.exponent
            witness = int(total.argmax())
            load[population.name] = int(total[witness])
            largest = load[population.name] * max(1, grid.ticks - 1)
            if largest > ACCUMULATOR_MAX:
                raise InputError(
                    f"neuron {witness} of population '{population.name}' may accumulate {largest}, more than "
                    f"{ACCUMULATOR_BITS} bits hold: use fewer payload bits than {grid.lateness_bits}"
                )
        hidden = {p.pre for p in draft.projections}
        worst = max((load[p.post] for p in draft.projections if p.pre in load), default=1)
        # Where spikes carry nothing there is no flush, and no use in making it narrow.
        carried = draft.target.limit("payload_bits") or STATE_BITS
        drop = 0
        while (
            worst * ((grid.threshold >> drop) + 1) > ACCUMULATOR_MAX or (grid.threshold >> drop).bit_length() > carried
        ):
            drop += 1
        flush_drop = {name: drop if name in hidden else 0 for name in load}
        facts: Facts = {
            "accumulator_bits": ACCUMULATOR_BITS,
            "flush_payload_bits": max(1, (grid.threshold >> drop).bit_length()),
            "populations": {
                name: {
                    "a0_max": value,
                    "a1_max": value * max(1, grid.ticks - 1),
                    "flush_max": max(
                        (
                            load[name] * ((grid.threshold >> drop) + 1)
                            for p in draft.projections
                            if p.post == name and p.pre in load
                        ),
                        default=0,
                    ),
                }
                for name, value in load.items()
            },
        }
        return draft.with_report(self.name, facts, flush_drop=flush_drop)
