r"""Pass: units of the potentials, and weights in them.

The threshold of channel ``c`` is the integer ``th_c = (theta - rest) / u_c``; a weight ``w`` of projection ``p`` is the
grid integer ``W = w / (u_c 2^e_p)``.  The largest weight of a channel (or of the population) lies at the end of the
grid, and the exponents ``e_p`` are such that thresholds have more than `THRESHOLD_BITS` bits; those of accumulators
are 0, or as far below as it takes for what is added up in all steps to fit the state.
"""

import math
from dataclasses import asdict, dataclass, field, replace
from typing import ClassVar

import numpy as np

from qif2hw.compiler.passes.weights import Bits, RoundingError, bits_in_order, check_bits, parse_bits, print_bits
from qif2hw.compiler.state import Currents, Section, SteppedState
from qif2hw.compiler.stepped.inputs import InputUnits
from qif2hw.compiler.stepped.thresholds import height, widest
from qif2hw.errors import InputError
from qif2hw.ir import ProgramProjection, Projection
from qif2hw.ir.arrays import ByValue, FloatArray, IntArray
from qif2hw.ir.ptc import STATE_MAX
from qif2hw.ir.stepped import Accumulator, SteppedNetwork, SteppedPopulation
from qif2hw.ir.weight_grid import largest_weight, round_to_grid
from qif2hw.ir.whole import EXPONENTS, counts_of, on_grid

THRESHOLD_BITS = 12
"""The smallest threshold of a population lies between ``2^THRESHOLD_BITS`` and twice that, if exponents allow it."""
THRESHOLDS = ("channel", "layer")
"""What may have a unit of its own."""


@dataclass(frozen=True, eq=False)
class Scales(ByValue):
    """Units, and integer weights in them.

    Parameters
    ----------
    bits
        Bits of a weight, by projection in the network's order.
    units
        Real value of one unit of the potential, by population: (channels,).
    projections
        Integer weights in the network's order.
    thresholds
        What has a unit of its own: see `ScaleWeights`.
    """

    bits: tuple[int, ...]
    units: dict[str, FloatArray]
    projections: tuple[ProgramProjection, ...]
    thresholds: str = "channel"

    def check(self, state: SteppedState) -> None:
        """Shapes and finiteness, which a network checks when it is made."""
        given = {e.name: e.unit for e in state.network.encoders if e.unit is not None}
        as_network(state.network, self, given, state[Currents])


@dataclass(frozen=True)
class ScalingErrors:
    """What rounding costs, by projection in the network's order."""

    projections: tuple[RoundingError, ...]


@dataclass(frozen=True)
class ScaleWeights:
    """Choose units and exponents, and round every weight to its nearest grid point.

    Parameters
    ----------
    bits
        Bits of a weight, by projection if they differ.
    thresholds
        ``channel``: every channel of a population has a unit of its own, so that its weights use the whole grid;
        ``layer``: one unit per population.
    """

    name: ClassVar[str] = "weights"
    reads: ClassVar[tuple[type, ...]] = (InputUnits, Currents)
    writes: ClassVar[tuple[type, ...]] = (Scales, ScalingErrors)

    bits: Bits = field(default=8, metadata={"parse": parse_bits, "print": print_bits})
    thresholds: str = "channel"

    def __post_init__(self) -> None:
        check_bits(self.bits)
        check_thresholds(self.thresholds)

    def run(self, state: SteppedState) -> SteppedState:
        """Scale every population; `InputError` if weights are too large, or the target has fewer bits."""
        network, units = state.network, state[InputUnits].units
        bits = bits_in_order(self.bits, len(network.projections))
        most = state.target.limit("weight_bits") or 8
        if max(bits) > most:
            raise InputError(f"weight bits = {print_bits(self.bits)}: target '{state.target.name}' has {most}")
        made: dict[int, ProgramProjection] = {}
        own: dict[str, FloatArray] = {}
        for population in network.populations:
            places = [k for k, p in enumerate(network.projections) if p.post == population.name]
            own[population.name], found = scale(
                population,
                [network.projections[k] for k in places],
                [bits[k] for k in places],
                self.thresholds == "channel",
                state[InputUnits],
                network.clock.count,
            )
            made |= dict(zip(places, found, strict=True))
        scales = Scales(bits, own, tuple(made[k] for k in range(len(bits))), self.thresholds)
        return state.having(scales, _errors(network, scales, units))

    def report(self, state: SteppedState) -> Section:
        """Bits, and errors by projection."""
        errors = state[ScalingErrors].projections
        return {
            "bits": self.bits if isinstance(self.bits, int) else print_bits(self.bits),
            "thresholds": self.thresholds,
            "projections": dict(zip(labels(state.network), map(asdict, errors), strict=True)),
        }


def check_thresholds(thresholds: str) -> None:
    """`InputError` unless there are such units."""
    if thresholds not in THRESHOLDS:
        raise InputError(f"thresholds = {thresholds}: {' and '.join(THRESHOLDS)} are possible")


def labels(network: SteppedNetwork) -> list[str]:
    """A name for each projection, ``pre->post``; further ones between the same two are numbered."""
    names = [f"{p.pre}->{p.post}" for p in network.projections]
    return [f"{name} ({names[: k + 1].count(name)})" if name in names[:k] else name for k, name in enumerate(names)]


def real_units(population: SteppedPopulation, projection: ProgramProjection, unit: FloatArray) -> FloatArray:
    """Real weight of one count, of the weights' shape, of a projection onto a population with units (channels,)."""
    return unit[channels_of(population, projection)] * 2.0**projection.exponent


def as_network(
    network: SteppedNetwork, scales: Scales, input_units: dict[str, float], currents: Currents
) -> SteppedNetwork:
    """The float network with rounded weights and other currents."""
    posts = {p.name: p for p in network.populations}
    return replace(
        network,
        populations=tuple(replace(p, bias=currents.bias[p.name]) for p in network.populations),
        projections=tuple(
            Projection(
                p.pre,
                p.post,
                p.weight * real_units(posts[p.post], p, scales.units[p.post]) / input_units.get(p.pre, 1.0),
                p.synapses,
                p.delay,
            )
            for p in scales.projections
        ),
    )


def scale(
    population: SteppedPopulation,
    incoming: list[Projection],
    bits: list[int],
    per_channel: bool,
    inputs: InputUnits,
    steps: int,
    shrink: FloatArray | None = None,
) -> tuple[FloatArray, list[ProgramProjection]]:
    """Put the weights onto a population on the grid.

    Parameters
    ----------
    population, incoming
        What to scale, and the projections onto it.
    bits
        Of the weights of each of these, 2 to 8.
    per_channel
        One unit per channel, or one for the whole population; accumulators always have one.
    inputs
        Integer inputs.
    steps
        Time steps of a sample, in which an accumulator adds up.
    shrink
        Factors of the units, by channel, with which the largest weights lie beyond the grid and saturate.

    Returns
    -------
    array, list of ProgramProjection
        Units (channels,), and the integer weights.

    Raises
    ------
    InputError
        If the weights are so large, against the threshold, that no exponent fits.
    """
    input_unit = inputs.units
    if population.unit is not None:
        return _kept(population, incoming, population.unit, bits, input_unit)
    weights = [p.weight * input_unit.get(p.pre, 1.0) for p in incoming]
    channels = [channels_of(population, p) for p in incoming]
    # What one count of each channel would be if its largest weight were at the end of the grid.
    wanted = [
        _by_channel(population, w, c) / largest_weight(b) for w, c, b in zip(weights, channels, bits, strict=True)
    ]
    step = np.max(wanted, axis=0)
    if isinstance(population.neuron, Accumulator) or not per_channel or not step.any():
        step = np.full_like(step, step.max() or 1.0)
    step = np.maximum(step, step.max() / widest(population.neuron))
    finer = step if shrink is None else step * shrink
    finer = np.maximum(finer, finer.max() / widest(population.neuron))

    def made(first: int) -> tuple[FloatArray, list[ProgramProjection]]:
        unit, found = finer / 2.0**first, []
        for p, weight, channel, own, b in zip(incoming, weights, channels, wanted, bits, strict=True):
            # As fine as the largest weight of any channel allows.
            ratio = float((own / step).max())
            exponent = max(EXPONENTS[0], first + (math.ceil(math.log2(ratio) - 1e-9) if ratio > 0 else 0))
            whole = round_to_grid(weight / (unit[channel] * 2.0**exponent), 1.0, b)
            found.append(ProgramProjection(p.pre, p.post, whole.astype(np.int16), exponent, p.synapses, p.delay))
        return unit, found

    first = _exponent(population, float(finer.max()))
    unit, found = made(first)
    if isinstance(population.neuron, Accumulator):
        # Each right shift of a sum, and the bias, are rounded.
        room = STATE_MAX - steps * (1 + len(found))
        largest = _largest_sum(population, unit, found, inputs) * steps
        if largest > room > 0:
            unit, found = made(first - math.ceil(math.log2(largest / room)))
    return unit, found


def _largest_sum(
    population: SteppedPopulation, unit: FloatArray, incoming: list[ProgramProjection], inputs: InputUnits
) -> float:
    """A bound of what neurons receive in a step, in units, whatever their sources send."""
    largest = {f.name: f.largest for f in inputs.frames}
    total = np.abs(population.current) / np.repeat(unit, population.size // population.shape[0])
    for q in incoming:
        total = total + q.synapses.sums(np.abs(q.weight.astype(float))) * largest.get(q.pre, 1) * 2.0**q.exponent
    return float(total.max())


def _kept(
    population: SteppedPopulation,
    incoming: list[Projection],
    unit: float,
    bits: list[int],
    input_unit: dict[str, float],
) -> tuple[FloatArray, list[ProgramProjection]]:
    """Weights that are integers already, unchanged."""
    if min(bits) < 8:
        raise InputError(
            f"weight bits = {min(bits)}: the weights onto population '{population.name}' are integers already and are "
            "kept; leave the option out"
        )
    made = []
    for p in incoming:
        counts = counts_of(p, unit, input_unit.get(p.pre, 1.0))
        weight, exponent = on_grid(counts, -round(math.log2(unit)), f"weights of projection {p.pre} -> {p.post}")
        made.append(ProgramProjection(p.pre, p.post, weight.astype(np.int16), exponent, p.synapses, p.delay))
    return np.full(population.shape[0], unit), made


def channels_of(population: SteppedPopulation, projection: Projection | ProgramProjection) -> IntArray:
    """Channel of the neurons that use each weight, of the weights' shape."""
    return projection.synapses.neurons() // (population.size // population.shape[0])


def _errors(network: SteppedNetwork, scales: Scales, input_units: dict[str, float]) -> ScalingErrors:
    found = []
    rounded = as_network(network, scales, input_units, Currents({p.name: p.bias for p in network.populations}))
    for p, q, integers in zip(network.projections, rounded.projections, scales.projections, strict=True):
        error = q.weight - p.weight
        found.append(
            RoundingError(
                float(scales.units[p.post].max()) / input_units.get(p.pre, 1.0),
                integers.exponent,
                float(np.sqrt(np.mean(error**2))),
                float(np.abs(error).max()),
                float(np.abs(p.weight).max()),
                p.synapses.count,
            )
        )
    return ScalingErrors(tuple(found))


def _by_channel(population: SteppedPopulation, weight: FloatArray, channel: IntArray) -> FloatArray:
    """Largest magnitude of the weights of each channel."""
    most = np.zeros(population.shape[0])
    np.maximum.at(most, channel.ravel(), np.abs(weight).ravel())
    return most


def _exponent(population: SteppedPopulation, step: float) -> int:
    """Exponent that gives a threshold more than `THRESHOLD_BITS` bits for weights that count in ``step``."""
    if isinstance(population.neuron, Accumulator):
        return 0
    wanted = math.ceil(THRESHOLD_BITS - math.log2(height(population.neuron) / step))
    exponent = min(max(wanted, EXPONENTS[0]), EXPONENTS[1])
    if height(population.neuron) / step * 2.0**exponent < 1 << (THRESHOLD_BITS // 2):
        raise InputError(
            f"population '{population.name}': its largest weight counts in steps of {step:.3g}, the threshold is "
            f"{height(population.neuron):.3g} above rest: weights are too large for it"
        )
    return exponent
