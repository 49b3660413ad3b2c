"""Neurons of SLAYER's files as those of a stepped network."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from qif2hw.compiler.stepped.arithmetic import arithmetic_of
from qif2hw.discrete import SteppedCUBA, SteppedQIF
from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray
from qif2hw_slayer.importer.hdf5 import Layer, whole_numbers

WEIGHT_SCALE = 64
"""What is 1.0 in SLAYER counts this many in a file, unless the neuron says otherwise."""
NO_THRESHOLD = (1 << 17) - 1
"""From here on a threshold means that the voltage is read out: SLAYER writes so for layers without spikes."""

_IGNORED = ("type", "theta", "tauRho", "scaleRho")
"""Keys that say nothing about how a network runs: they are for training."""
_FIXED = {"refDelay": 1, "gradedSpike": 0, "wgtExp": 0, "weight_exp": 0, "messageBits": 0}
"""Keys with the one value that is supported."""
_CUBA = ("iDecay", "vDecay", "vThMant")
_QIF = ("kind", "a", "u1", "u2", "threshold", "reset", "scale", "stateExp")
STEPS = {
    "euler": {"curvature": "curvature", "distance": "distance", "vTh": "threshold", "vReset": "reset"},
    "exact": {
        "decay": "decay", "coupling": "coupling", "couplingShift": "coupling_shift", "vTh": "threshold",
        "vReset": "reset",
    },
}  # fmt: skip
"""The integers of a QIF neuron: keys, and the fields of its step on the machine."""


@dataclass(frozen=True)
class Neuron:
    """A neuron, and what its weights count in.

    Parameters
    ----------
    neuron
        Its equation.
    unit
        A count of its state, real: `qif2hw.ir.stepped.SteppedPopulation.unit`.
    weight
        A count of a weight or bias in a file, real.
    value
        SLAYER rounds what input neurons are given to multiples of this.
    """

    neuron: SteppedCUBA | SteppedQIF
    unit: float
    weight: float
    value: float


def neuron_of(layer: Layer) -> Neuron:
    """The neuron of a layer.

    Raises
    ------
    InputError
        If its type or a key is not known, or a value is missing or not supported.
    """
    given = layer.neuron
    kind = given.get("type")
    if kind in ("CUBA", "LOIHI"):
        _check_keys(layer, _CUBA)
        return _cuba(layer)
    if kind == "QIF":
        step = given.get("kind")
        if step not in STEPS:
            raise InputError(f"{layer}: the kind of its QIF neuron is {step!r}: exact and euler are known")
        _check_keys(layer, (*_QIF, "vThMant", *STEPS[str(step)]))
        return _qif(layer, str(step))
    name = f"'{kind}'" if isinstance(kind, str) else "missing"
    raise InputError(f"{layer}: the type of its neuron is {name}: CUBA, LOIHI and QIF are supported")


def _check_keys(layer: Layer, known: tuple[str, ...]) -> None:
    for key, value in layer.neuron.items():
        if key in _FIXED:
            if np.any(np.asarray(value) != _FIXED[key]):
                raise InputError(f"{layer}: '{key}' of its neuron is {_text(value)}, {_FIXED[key]} alone is supported")
        elif key not in (*_IGNORED, *known):
            raise InputError(f"{layer}: unknown key '{key}' of its neuron")
    for key in known:
        if key not in layer.neuron and key != "vThMant":
            raise InputError(f"{layer}: '{key}' of its neuron is missing")


def _cuba(layer: Layer) -> Neuron:
    def integers(key: str) -> tuple[int, ...]:
        return tuple(int(n) for n in _whole(layer, key).ravel())

    if "vThMant" not in layer.neuron:
        raise InputError(f"{layer}: 'vThMant' of its neuron is missing")
    threshold = integers("vThMant")
    silent = min(threshold) >= NO_THRESHOLD
    try:
        neuron = SteppedCUBA(integers("iDecay"), integers("vDecay"), () if silent else threshold)
    except InputError as error:
        raise InputError(f"{layer}: {error}") from None
    return Neuron(neuron, SteppedCUBA.UNIT, 1.0, 2 / WEIGHT_SCALE)


def _qif(layer: Layer, step: str) -> Neuron:
    """The float neuron; its integers, which are what ran in SLAYER, must be those that compiling will make of it."""
    scale, exponent = (int(_single(layer, key)) for key in ("scale", "stateExp"))
    if scale < 1 or not 0 <= exponent < 24:
        raise InputError(f"{layer}: 'scale' and 'stateExp' of its neuron are {scale} and {exponent}")
    unit = 1.0 / (scale << exponent)
    parameters: Any = {key: _single(layer, key) for key in ("a", "u1", "u2", "threshold", "reset")}
    try:
        neuron = SteppedQIF(**parameters, kind=step)  # type: ignore[arg-type]
        made = arithmetic_of(neuron, np.array([unit]))
    except InputError as error:
        raise InputError(f"{layer}: {error}") from None
    names = {f.name for f in fields(made)}
    for key, field in STEPS[step].items():
        assert field in names
        ours = int(np.asarray(getattr(made, field)).item())
        if _single(layer, key) != ours:
            raise InputError(f"{layer}: '{key}' of its neuron is {_single(layer, key):g}, its parameters give {ours}")
    return Neuron(neuron, unit, 1.0 / scale, 2.0 / scale)


def _whole(layer: Layer, key: str) -> FloatArray:
    value = layer.neuron[key]
    if isinstance(value, str) or not value.size:
        raise InputError(f"{layer}: '{key}' of its neuron holds no numbers")
    return whole_numbers(value, f"'{key}' of the neuron of {layer}")


def _single(layer: Layer, key: str) -> float:
    value = layer.neuron[key]
    if isinstance(value, str) or value.size != 1:
        raise InputError(f"{layer}: '{key}' of its neuron is {_text(value)}, one number is needed")
    return float(value.item())


def _text(value: FloatArray | str) -> str:
    return value if isinstance(value, str) else ", ".join(f"{v:g}" for v in value.ravel()[:4])
