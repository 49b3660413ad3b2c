"""Pass: round weights to the hardware's grid."""

import math
from dataclasses import asdict, dataclass, field, replace
from typing import ClassVar, TypeAlias

import numpy as np

from qif2hw.compiler.state import Phases, Section, State
from qif2hw.errors import InputError
from qif2hw.ir import Network, ProgramProjection, Projection
from qif2hw.ir.arrays import ByValue, FloatArray
from qif2hw.ir.large import empty, flat_blocks, largest, places, release, scaled, sealed
from qif2hw.ir.ptc import STATE_MAX
from qif2hw.ir.weight_grid import largest_weight, nearest_unit, round_to_grid, weight_step

Bits: TypeAlias = int | tuple[int, ...]
"""Bits of a weight: the same for all projections, or one number for each, in the network's order."""

FULL_RANGE = 128.0
"""The potential register reaches at least this ``|cot(theta)|``: all but the outer 0.5 % of the cycle."""

_ROUNDED = 1 << 16
"""Weights that are rounded at a time."""


def smallest_unit(r: float) -> float:
    """Smallest weight unit for which the 24-bit potential still covers `FULL_RANGE`."""
    return FULL_RANGE * r / STATE_MAX


def check_bits(bits: Bits) -> None:
    """`InputError` on bits of a weight that no grid has."""
    if not all(2 <= one <= 8 for one in (bits if isinstance(bits, tuple) else (bits,))):
        raise InputError(f"weight bits = {print_bits(bits)}: 2 to 8 are possible")


def bits_in_order(bits: Bits, projections: int) -> tuple[int, ...]:
    """Bits of a weight for each of the projections; `InputError` if their number is wrong."""
    every = bits if isinstance(bits, tuple) else (bits,) * projections
    if len(every) != projections:
        raise InputError(f"weight bits = {print_bits(bits)}: {len(every)} numbers for {projections} projections")
    return every


def bits_of(bits: Bits, network: Network) -> dict[tuple[str, str], int]:
    """Bits of a weight by projection (pre, post); `InputError` if their number is wrong."""
    names = [(p.pre, p.post) for p in network.projections]
    return dict(zip(names, bits_in_order(bits, len(names)), strict=True))


def print_bits(bits: Bits) -> str:
    """As text: ``8``, or ``8/6/4`` by projection."""
    return "/".join(str(b) for b in bits) if isinstance(bits, tuple) else str(bits)


def parse_bits(text: str) -> Bits:
    """From text; inverse of `print_bits`.  `InputError` on what is no whole number."""
    try:
        every = tuple(int(part) for part in text.split("/"))
    except ValueError:
        raise InputError(f"weight bits = {text}: a whole number, or one for each projection as 8/6/4") from None
    return every if len(every) > 1 else every[0]


@dataclass(frozen=True, eq=False)
class Weights(ByValue):
    """Integer weights.

    Parameters
    ----------
    bits
        Bits of a weight, by projection in the network's order.
    units
        Real weight of one grid count, by population.
    projections
        In the network's order.
    """

    bits: tuple[int, ...]
    units: dict[str, float]
    projections: tuple[ProgramProjection, ...]

    def grid_units(self) -> tuple[float, ...]:
        """Real weight of one count of each projection, its exponent included."""
        return tuple(self.units[p.post] * 2.0**p.exponent for p in self.projections)

    def check(self, state: State) -> None:
        """Shapes and finiteness, for which no float network is made: it may be large."""
        for p, unit, given in zip(self.projections, self.grid_units(), state.network.projections, strict=True):
            where = f"projection {p.pre} -> {p.post}"
            if (p.pre, p.post) != (given.pre, given.post) or p.synapses.shape != given.synapses.shape:
                raise InputError(f"{where}: {given.pre} -> {given.post} of {given.synapses.shape} is needed")
            if not np.isfinite(largest(p.weight) * unit):
                raise InputError(f"weight of {where}: every value must be finite, not of a unit {unit:g}")


@dataclass(frozen=True)
class RoundingError:
    """What rounding each weight of a projection to its nearest grid point costs."""

    unit: float
    exponent: int
    rms_error: float
    max_error: float
    largest: float
    synapses: int


@dataclass(frozen=True)
class NearestRounding:
    """Rounding to the nearest by projection, ``pre->post``."""

    projections: dict[str, RoundingError]


def as_network(network: Network, weights: Weights, phases: Phases) -> Network:
    """The float network with rounded weights and other initial phases."""
    return replace(
        network,
        populations=tuple(replace(p, phi0=phases.phi0[p.name]) for p in network.populations),
        projections=tuple(
            Projection(p.pre, p.post, scaled(p.weight, unit), p.synapses)
            for p, unit in zip(weights.projections, weights.grid_units(), strict=True)
        ),
    )


def rounded(projection: Projection, unit: float, exponent: int, bits: int) -> ProgramProjection:
    """A projection with each weight at its nearest grid point."""
    integers, weight = empty(projection.weight.shape, np.int16), projection.weight.reshape(-1)
    for place in places(weight, _ROUNDED):
        integers.reshape(-1)[place] = round_to_grid(weight[place], unit * 2.0**exponent, bits)
    release(integers)
    return ProgramProjection(projection.pre, projection.post, sealed(integers), exponent, projection.synapses)


@dataclass(frozen=True)
class RoundWeights:
    """Nearest grid point, one real unit per population; further projections onto it use a power of two of that unit.

    Where one unit puts all of a population's weights exactly on the grid, as after training on it, that one is taken.

    Parameters
    ----------
    bits
        Bits of a weight, by projection if they differ.
    """

    name: ClassVar[str] = "weights"
    reads: ClassVar[tuple[type, ...]] = ()
    writes: ClassVar[tuple[type, ...]] = (Weights, NearestRounding)

    bits: Bits = field(default=8, metadata={"parse": parse_bits, "print": print_bits})

    def __post_init__(self) -> None:
        check_bits(self.bits)

    def run(self, state: State) -> State:
        """Round every projection; `InputError` if the target has fewer bits than asked for."""
        most = state.target.limit("weight_bits") or 8
        bits = bits_of(self.bits, state.network)
        if max(bits.values()) > most:
            raise InputError(f"weight bits = {print_bits(self.bits)}: target '{state.target.name}' has {most}")
        units: dict[str, float] = {}
        made: dict[tuple[str, str], ProgramProjection] = {}
        errors: dict[str, RoundingError] = {}
        for population in state.network.populations:
            incoming = state.network.incoming(population.name)
            wanted = [nearest_unit(p.weight, bits[p.pre, p.post]) for p in incoming]
            unit = max(
                min((u for u, p in zip(wanted, incoming, strict=True) if p.weight.any()), default=1.0),
                smallest_unit(population.neuron.r),
                max(wanted) / 128,
            )
            whole = max((u for u, p in zip(wanted, incoming, strict=True) if p.weight.any()), default=0.0)
            unit = _whole_unit(incoming, bits, whole, unit) or unit
            units[population.name] = unit
            for p, own in zip(incoming, wanted, strict=True):
                exponent = max(0, math.ceil(math.log2(own / unit) - 1e-9)) if p.weight.any() else 0
                made[p.pre, p.post] = rounded(p, unit, exponent, bits[p.pre, p.post])
                errors[f"{p.pre}->{p.post}"] = _error(p, made[p.pre, p.post], unit)
        weights = Weights(tuple(bits.values()), units, tuple(made[p.pre, p.post] for p in state.network.projections))
        return state.having(weights, NearestRounding(errors))

    def report(self, state: State) -> Section:
        """Bits, and errors by projection."""
        projections = {name: asdict(error) for name, error in state[NearestRounding].projections.items()}
        return {"bits": self.bits if isinstance(self.bits, int) else print_bits(self.bits), "projections": projections}


def _error(exact: Projection, integers: ProgramProjection, unit: float) -> RoundingError:
    total, most = 0.0, 0.0
    given, rounded_ = exact.weight.reshape(-1), integers.weight.reshape(-1)
    for place in places(given):
        error = rounded_[place] * (unit * 2.0**integers.exponent)
        error -= given[place]
        most = max(most, largest(error))
        total += float(np.sum(np.square(error, out=error)))
    release(integers.weight)
    return RoundingError(
        unit,
        integers.exponent,
        float(np.sqrt(total / given.size)) if given.size else 0.0,
        most,
        largest(exact.weight),
        exact.synapses.count,
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
    return all(
        bool(np.all(np.abs(round_to_grid(part, unit, bits) * unit - part) <= 1e-12 * np.abs(part)))
        for part in flat_blocks(weight, _ROUNDED)
    )
