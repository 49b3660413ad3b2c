r"""The current-based leaky neuron (CUBA) of Loihi, Lava and SLAYER, in integers.

Current ``u`` and voltage ``v`` decay by fractions of twelve bits, rounded towards zero.  With the input ``x`` and the
bias ``b`` of a step, in counts of the state,

.. math::
    u_t = \mathrm{wrap}(\lfloor u_{t-1} (2^{12} - d_u) / 2^{12} \rfloor_0 + x_t), \qquad
    v_t = \mathrm{clip}(\lfloor v_{t-1} (2^{12} - d_v) / 2^{12} \rfloor_0 + u_t + b), \qquad
    s_t = [v_t > \theta], \qquad v_t \leftarrow (1 - s_t) v_t .

The bias enters the voltage, not the current.  A current that leaves 24 bits wraps around, a voltage saturates.
"""

from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qif2hw.errors import InputError

DECAY_UNITY = 1 << 12
"""A decay of all that is there."""
STATE_SHIFT = 6
"""The state has this many bits below a count of the weights."""
LARGEST = (1 << 23) - 1
"""Largest voltage; currents reach one more."""


@dataclass(frozen=True)
class SteppedCUBA:
    """Parameters of a CUBA neuron: integers, one for all neurons or one per channel.

    Parameters
    ----------
    current_decay, voltage_decay
        What is lost in a step, of `DECAY_UNITY`.
    threshold
        In counts of the weights: a spike needs ``v > threshold 2^6``.  Empty: the neuron never spikes, and results are
        read from its voltage.

    Raises
    ------
    InputError
        If a decay lies outside 0 to 4096, or a threshold outside 0 to 2^17 - 1.
    """

    current_decay: tuple[int, ...]
    voltage_decay: tuple[int, ...]
    threshold: tuple[int, ...] = ()

    UNIT: ClassVar[float] = 2.0**-STATE_SHIFT
    """A count of the state, in counts of the weights."""

    def __post_init__(self) -> None:
        for name in (f.name for f in fields(self)):
            values = tuple(int(v) for v in getattr(self, name))
            object.__setattr__(self, name, values)
            most = LARGEST >> STATE_SHIFT if name == "threshold" else DECAY_UNITY
            if not values and name != "threshold":
                raise InputError(f"CUBA neuron: {name} is empty, one number or one per channel is needed")
            if values and not (min(values) >= 0 and max(values) <= most):
                raise InputError(f"CUBA neuron: {name} from {min(values)} to {max(values)}, it must lie in 0 to {most}")

    def check_channels(self, channels: int, where: str) -> None:
        """`InputError`, naming ``where``, unless each parameter has one value or one per channel."""
        for f in fields(self):
            if len(getattr(self, f.name)) not in ((1, channels) if f.name != "threshold" else (0, 1, channels)):
                raise InputError(
                    f"{where}: {f.name} has {len(getattr(self, f.name))} values, one or one for each of {channels} "
                    "channels is needed"
                )


def advance(u: Any, v: Any, x: Any, bias: Any, current_decay: Any, voltage_decay: Any) -> tuple[Any, Any]:
    """Current and voltage after a step, before the reset; integer arrays."""
    u = wrapped(decayed(u, current_decay) + x)
    return u, np.clip(decayed(v, voltage_decay) + u + bias, -LARGEST, LARGEST)


def decayed(value: NDArray[np.int64], decay: NDArray[np.int64]) -> NDArray[np.int64]:
    """What is left of a register that loses ``decay / 2^12`` of itself, rounded towards zero; element by element."""
    product = value * (DECAY_UNITY - decay)
    return np.sign(product) * (np.abs(product) >> 12)


def wrapped(u: NDArray[np.int64]) -> NDArray[np.int64]:
    """A current in ``(-2^23, 2^23]``, modulo ``2^24``; element by element."""
    return (u + LARGEST) % (2 * (LARGEST + 1)) - LARGEST
