"""The weight grid of the hardware: even integers in [-256, 254] times a real unit.

An 8-bit mantissa in [-128, 127] counts in steps of two (Lava's mixed-sign synapses); ``bits`` below 8 drop low
mantissa bits. Training and compiling use this one function, so that what is trained is
what is deployed.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.large import flat_blocks, largest


def weight_step(bits: int) -> int:
    """Distance of neighbouring grid points, ``2^(9 - bits)``; `InputError` on a number of bits that is not possible."""
    if not 2 <= bits <= 8:
        raise InputError(f"weight bits = {bits}: 2 to 8 are possible")
    return int(1 << (9 - bits))


def largest_weight(bits: int) -> int:
    """Largest magnitude used, ``256 - 2^(9 - bits)``; the grid is used symmetrically, -256 stays unused."""
    return 256 - weight_step(bits)


def weight_bits(weight: NDArray[Any]) -> int:
    """Fewest bits whose grid holds all integers of ``weight``, of any shape."""
    used = 0
    for part in flat_blocks(weight):
        used |= int(np.bitwise_or.reduce(np.abs(part), initial=0))
    # The lowest set bit of any weight is the step of the grid; all zeros fit the coarsest.
    step = used & -used or 1 << 7
    return max(2, 10 - step.bit_length())


def nearest_unit(weight: FloatArray, bits: int) -> float:
    """The unit that puts ``max|w|`` on the largest grid point (1 for an all-zero array); ``weight`` of any shape."""
    most = largest(weight)
    # Of the smallest numbers the quotient would be 0.
    return max(most / largest_weight(bits), float(np.nextafter(0.0, 1.0))) if most > 0 else 1.0


def closest_unit(weight: FloatArray, bits: int) -> float:
    """The unit that rounds ``weight``, of any shape, with the smallest mean square error.

    ``max|w|`` may be 3 times the grid's end.
    """
    first = nearest_unit(weight, bits)
    units = first * np.linspace(1.0, 1 / 3, 41)
    errors = [float(np.mean((round_to_grid(weight, unit, bits) * unit - weight) ** 2)) for unit in units]
    return float(units[int(np.argmin(errors))])


def round_to_grid(weight: FloatArray, unit: float, bits: int) -> IntArray:
    """Nearest grid integers ``W``, of the shape of ``weight``, with ``w ~ W unit``, saturated at the largest."""
    step = weight_step(bits)
    levels = largest_weight(bits) // step
    return (step * np.clip(np.rint(weight / (unit * step)), -levels, levels)).astype(np.int64)
