"""Pass: round weights to the hardware's grid."""

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from qif2hw.compiler.state import Draft, Facts
from qif2hw.errors import InputError
from qif2hw.ir import Network, ProgramProjection, Projection
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.ptc import STATE_MAX
from qif2hw.ir.weight_grid import largest_weight, nearest_unit, round_to_grid, weight_step

Bits: TypeAlias = int | tuple[int, ...]
"""Bits of a weight: the same for all projections, or one number for each, in the network's order."""

FULL_RANGE = 128.0
"""The potential register reaches at least this ``|cot(theta)|``: all but the outer 0.5 % of the cycle."""


def smallest_unit(r: float) -> float:
    """Smallest weight unit for which the 24-bit potential still covers `FULL_RANGE`."""
    return FULL_RANGE * r / STATE_MAX


def bits_of(bits: Bits, network: Network) -> dict[tuple[str, str], int]:
    """Bits of a weight by projection (pre, post); `InputError` if their number is wrong."""
    names = [(p.pre, p.post) for p in network.projections]
    every = bits if isinstance(bits, tuple) else (bits,) * len(names)
    if len(every) != len(names):
        raise InputError(f"weight bits = {print_bits(bits)}: {len(every)} numbers for {len(names)} projections")
    return dict(zip(names, every, strict=True))


def print_bits(bits: Bits) -> str:
    """As text: ``8``, or ``8/6/4`` by projection."""
    return "/".join(str(b) for b in bits) if isinstance(bits, tuple) else str(bits)


def parse_bits(text: str) -> Bits:
    """From text; inverse of `print_bits`."""
    try:
        every = tuple(int(part) for part in text.split("/"))
    except ValueError:
        raise InputError(f"weight bits = {text}: a whole number, or one for each projection as 8/6/4") from None
    return every if len(every) > 1 else every[0]


@dataclass(frozen=True)
class RoundWeights:
    """Nearest grid point, one real unit per population; further projections onto it use a power of two of that unit.

    Where one unit puts all of a population's weights exactly on the grid, as after training on it, that one is taken.
    """

    bits: Bits = 8
    name: str = "weights"

    def run(self, draft: Draft) -> Draft:
        """Round every projection; `InputError` if the target has fewer bits than asked for."""
        most = draft.target.limit("weight_bits") or 8
        bits = bits_of(self.bits, draft.network)
        if max(bits.values()) > most:
            raise InputError(f"weight bits = {print_bits(self.bits)}: target '{draft.target.name}' has {most}")
        units: dict[str, float] = {}
        projections = []
        facts: Facts = {"bits": self.bits if isinstance(self.bits, int) else print_bits(self.bits), "projections": {}}
        for population in draft.network.populations:
            incoming = draft.network.incoming(population.name)
            wanted = [nearest_unit(p.weight, bits[p.pre, p.post]) for p in incoming]
            unit = max(
                min(u for u, p in zip(wanted, incoming, strict=True) if p.weight.any() or len(incoming) == 1),
                smallest_unit(population.neuron.r),
                max(wanted) / 128,
            )
            whole = max((u for u, p in zip(wanted, incoming, strict=True) if p.weight.any()), default=0.0)
            unit = _whole_unit(incoming, bits, whole, unit) or unit
            units[population.name] = unit
            for p, own in zip(incoming, wanted, strict=True):
                exponent = max(0, math.ceil(math.log2(own / unit) - 1e-9)) if p.weight.any() else 0
                rounded = round_to_grid(p.weight, unit * 2.0**exponent, bits[p.pre, p.post])
                projections.append(ProgramProjection(p.pre, p.post, rounded.astype(np.int16), exponent))
                error = rounded * (unit * 2.0**exponent) - p.weight
                facts["projections"][f"{p.pre}->{p.post}"] = {
                    "unit": unit,
                    "exponent": exponent,
                    "rms_error": float(np.sqrt(np.mean(error**2))),
                    "max_error": float(np.abs(error).max()),
                    "largest": float(np.abs(p.weight).max()),
                    "synapses": int(p.weight.size),
                }
        ordered = {(p.pre, p.post): p for p in projections}
        return draft.with_report(
            self.name, facts, units=units, projections=tuple(ordered[p.pre, p.post] for p in draft.network.projections)
        )


def _whole_unit(
    incoming: tuple[Projection, ...], bits: dict[tuple[str, str], int], nearest: float, least: float
) -> float | None:
    """The unit, at least ``least``, that puts all weights exactly on the grid; None if there is none.

    ``nearest`` puts the largest one on the outermost grid point; it may lie further in, down to half of the grid.
    """
    levels = min(largest_weight(b) // weight_step(b) for b in (bits[p.pre, p.post] for p in incoming))
    for level in range(levels, levels // 2, -1):
        unit = nearest * levels / level
        if unit >= least and all(_on_grid(p.weight, unit, bits[p.pre, p.post]) for p in incoming):
            return unit
    return None


def _on_grid(weight: FloatArray, unit: float, bits: int) -> bool:
    return bool(np.all(np.abs(round_to_grid(weight, unit, bits) * unit - weight) <= 1e-12 * np.abs(weight)))
