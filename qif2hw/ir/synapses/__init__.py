"""Which synapses a projection has, apart from their weights: all to all, listed, or a convolution.

A projection holds one array of weights, float or integer, and its synapses say what each of them connects.  So the same
object serves the float network, the integer program, a torch layer and a file; a new kind is one file here, listed in
`AnySynapses`, that says its shapes and its `Synapses.edges`.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qif2hw.errors import InputError
from qif2hw.ir.arrays import frozen
from qif2hw.ir.synapses.base import Edges, Synapses
from qif2hw.ir.synapses.by_source import BySource, join
from qif2hw.ir.synapses.conv2d import Conv2d
from qif2hw.ir.synapses.dense import Dense
from qif2hw.ir.synapses.sparse import Sparse

__all__ = [
    "LEFT_OUT",
    "NOT_GIVEN",
    "AnySynapses",
    "BySource",
    "Conv2d",
    "Dense",
    "Edges",
    "Sparse",
    "Synapses",
    "checked_delay",
    "checked_synapses",
    "join",
]

AnySynapses: TypeAlias = Dense | Sparse | Conv2d
"""Every kind of synapses."""


NOT_GIVEN: Any = None
"""Default of a projection's synapses, which makes them all to all."""

LONGEST_DELAY = 4095
"""Most time steps of a delay: a matter of memory alone; chips have fewer."""

LEFT_OUT = {"implied": Dense}
"""Metadata of that field: synapses of this kind follow from the weights and are left out of files."""


def checked_synapses(synapses: AnySynapses | None, weight: NDArray[Any], where: str) -> AnySynapses:
    """Synapses of a projection, `Dense` of weights (post, pre) where none are given; `InputError` on another shape."""
    if synapses is None:
        if weight.ndim != 2:
            raise InputError(f"{where}: the weight has shape {weight.shape}, (post, pre) is needed")
        return Dense(*weight.shape)
    synapses.check(weight, where)
    return synapses


def checked_delay(delay: NDArray[Any] | None, synapses: Synapses, where: str) -> NDArray[np.int32] | None:
    """Delays of a projection in steps, (pre,), None where all are 0; `InputError` on another shape or range."""
    if delay is None:
        return None
    steps = np.asarray(delay)
    if steps.shape != (synapses.shape[1],):
        raise InputError(f"{where}: its delays have shape {steps.shape}, (pre,) = ({synapses.shape[1]},) is needed")
    if not (steps.min() >= 0 and steps.max() <= LONGEST_DELAY):
        raise InputError(
            f"{where}: delays from {steps.min()} to {steps.max()} steps, 0 to {LONGEST_DELAY} are possible"
        )
    return frozen(steps, np.int32) if steps.any() else None
