"""Weights that are integers already: whole multiples of the unit of the population that receives them.

Such a population has a `unit`, and so has every input group that reaches it.  A weight ``w`` from an input group whose
values count in ``x`` is ``w x / unit`` counts of the potential for each count of the input.
"""

from typing import Any

import numpy as np

from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.network import Projection

LARGEST = 1 << 31
"""No count is as large."""
EXPONENTS = (-8, 7)
"""Least and largest exponent of a projection."""


def whole(values: FloatArray, unit: float, what: str) -> IntArray:
    """Values, of any shape, as counts of a unit; `InputError`, naming ``what``, unless they are whole."""
    counts = np.rint(values / unit)
    if (np.abs(counts) >= LARGEST).any():
        raise InputError(f"{what} holds {float(values.flat[np.abs(counts).argmax()]):g}, too large for the machine")
    if (counts * unit != values).any():
        odd = float(values[counts * unit != values].flat[0])
        raise InputError(f"{what} holds {odd:g}, which is no whole multiple of its unit {unit:g}")
    return counts.astype(np.int64)


def counts_of(projection: Projection, unit: float, sent: float) -> IntArray:
    """Weights of a projection, of their shape, in counts of the potential, ``unit``, per count of its source, ``sent``.

    Raises
    ------
    InputError
        If one is no whole number.
    """
    return whole(projection.weight * sent, unit, f"weight of projection {projection.pre} -> {projection.post}")


def on_grid(counts: IntArray, first: int, what: str) -> tuple[IntArray, int]:
    """Even integers on the weight grid and the exponent with which they are the ``counts``, of any shape, exactly.

    The exponent is ``first``, or the nearest to it that serves.

    Raises
    ------
    InputError
        If more than eight bits and an exponent would be needed.
    """
    for exponent in sorted(range(EXPONENTS[0], EXPONENTS[1] + 1), key=lambda e: abs(e - first)):
        weight = counts << -exponent if exponent < 0 else counts >> exponent
        exact = exponent <= 0 or bool((weight << exponent == counts).all())
        if exact and bool(((weight % 2 == 0) & (weight >= -256) & (weight <= 254)).all()):
            return weight, exponent
    raise InputError(f"{what}: integers from {counts.min()} to {counts.max()} do not fit 8 bits and an exponent")


def checked_units(network: Any) -> None:
    """`InputError` unless what reaches the populations of a `SteppedNetwork` that have a unit is whole."""
    sent = {e.name: e.unit for e in network.encoders}
    for population in network.populations:
        if population.unit is None:
            continue
        whole(population.bias, population.unit, f"bias of population '{population.name}'")
        for p in network.incoming(population.name):
            of_input = sent.get(p.pre, 1.0)
            if of_input is None:
                raise InputError(
                    f"population '{p.post}' has a unit, input group '{p.pre}' has none: its values must be integers too"
                )
            counts_of(p, population.unit, of_input)
