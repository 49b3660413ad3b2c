r"""Units of the potentials, and weights in them.

The threshold of channel ``c`` is the integer ``th_c = (theta - rest) / u_c``; a weight ``w`` of projection ``p`` is the
grid integer ``W = w / (u_c 2^e_p)``.  The largest weight of a channel (or of the population) lies at the end of the
grid, and the exponents ``e_p`` are such that thresholds have more than `THRESHOLD_BITS` bits.
"""

import math
from dataclasses import dataclass

import numpy as np

from qif2hw.compiler.stepped.arithmetic import height, widest
from qif2hw.errors import InputError
from qif2hw.ir import ProgramProjection, Projection
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.stepped import Accumulator, SteppedNetwork, SteppedPopulation
from qif2hw.ir.weight_grid import largest_weight, round_to_grid
from qif2hw.ir.whole import EXPONENTS, counts_of, on_grid

THRESHOLD_BITS = 12
"""The smallest threshold of a population lies between ``2^THRESHOLD_BITS`` and twice that, if exponents allow it."""


@dataclass(frozen=True)
class Scaled:
    """A population's units by channel, and the projections onto it on the grid."""

    unit: FloatArray
    projections: tuple[ProgramProjection, ...]


def scale(
    network: SteppedNetwork, population: SteppedPopulation, bits: int, per_channel: bool, input_unit: dict[str, float]
) -> Scaled:
    """Put the weights onto a population on the grid.

    Parameters
    ----------
    network, population
        What to scale.
    bits
        Of a weight, 2 to 8.
    per_channel
        One unit per channel, or one for the whole population; accumulators always have one.
    input_unit
        Real value of one count, by input group.

    Raises
    ------
    InputError
        If the weights are so large, against the threshold, that no exponent fits.
    """
    if population.unit is not None:
        return _kept(network, population, population.unit, bits, input_unit)
    incoming = network.incoming(population.name)
    weights = [p.weight * input_unit.get(p.pre, 1.0) for p in incoming]
    channels = [_channels(population, p) for p in incoming]
    largest = [_by_channel(population, w, c) for w, c in zip(weights, channels, strict=True)]
    most = np.max(largest, axis=0)
    if isinstance(population.neuron, Accumulator) or not per_channel or not most.any():
        most = np.full_like(most, most.max() or 1.0)
    most = np.maximum(most, most.max() / widest(population.neuron))
    step = most / largest_weight(bits)
    first = _exponent(population, float(step.max()))
    unit = step / 2.0**first
    made = []
    for p, weight, channel, own in zip(incoming, weights, channels, largest, strict=True):
        # As fine as the largest weight of any channel allows.
        ratio = float((own / step).max()) / largest_weight(bits)
        exponent = max(EXPONENTS[0], first + (math.ceil(math.log2(ratio) - 1e-9) if ratio > 0 else 0))
        whole = round_to_grid(weight / (unit[channel] * 2.0**exponent), 1.0, bits)
        made.append(ProgramProjection(p.pre, p.post, whole.astype(np.int16), exponent, p.synapses, p.delay))
    return Scaled(unit, tuple(made))


def _kept(
    network: SteppedNetwork, population: SteppedPopulation, unit: float, bits: int, input_unit: dict[str, float]
) -> Scaled:
    """Weights that are integers already, unchanged."""
    if bits != 8:
        raise InputError(
            f"weight bits = {bits}: the weights onto population '{population.name}' are integers already and are kept "
            "as they are; leave the option out"
        )
    made = []
    for p in network.incoming(population.name):
        counts = counts_of(p, unit, input_unit.get(p.pre, 1.0))
        weight, exponent = on_grid(counts, -round(math.log2(unit)), f"weights of projection {p.pre} -> {p.post}")
        made.append(ProgramProjection(p.pre, p.post, weight.astype(np.int16), exponent, p.synapses, p.delay))
    return Scaled(np.full(population.shape[0], unit), tuple(made))


def _channels(population: SteppedPopulation, projection: Projection) -> IntArray:
    """Channel of the neurons that use each weight."""
    return projection.synapses.neurons() // (population.size // population.shape[0])


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
