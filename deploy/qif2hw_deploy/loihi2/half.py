"""The vendor's half: models of our Processes for neuro cores, which only who has Intel's extension can write.

A distribution in the Python that has Lava and the extension offers it by one entry point::

    [project.entry-points."qif2hw.loihi2"]
    mylab = "mylab_loihi2:Half"

The object is a class as `VendorHalf` describes.  The arithmetic of the models is that of `qif2hw.engine.spec`.
"""

import importlib.metadata
from collections.abc import Mapping
from typing import Any, Protocol

from qif2hw.errors import InputError

GROUP = "qif2hw.loihi2"
"""Group of the entry points."""
MOST_DELAY = 64
"""Steps that an adapter may take at most."""


class VendorHalf(Protocol):
    """What the entry point's class has; it is made without arguments, in the process that runs Lava.

    Attributes
    ----------
    input_delay, output_delay
        Steps from the host's sending to the arrival at the chip's synapses, and from a neuron's sending to the host's
        receiving, through the adapters of ``lava.proc.embedded_io``.
    """

    input_delay: int
    output_delay: int

    def models(self) -> Mapping[type, type]:
        """By Process, the model that runs it: a model for neuro cores of each in `needed`, others as wanted."""


def entries() -> list[tuple[str, str, str]]:
    """Name, value and distribution of each entry point of the group."""
    found = importlib.metadata.entry_points(group=GROUP)
    return sorted((e.name, e.value, "unknown" if e.dist is None else e.dist.name) for e in found)


def needed() -> tuple[type, ...]:
    """The Processes that run on neuro cores, besides Lava's own synapses.  Imports lava."""
    from qif2hw_deploy.loihi2.processes.chip import CountdownInput, FirstSpikeLatch
    from qif2hw_lava.processes.modular import PhaseNeurons

    return CountdownInput, PhaseNeurons, FirstSpikeLatch


def load() -> VendorHalf:
    """The vendor's half that is installed.  Imports it, and with it lava.

    Raises
    ------
    InputError
        If there is none or more than one, it cannot be loaded, or it lacks something; in one line.
    """
    found = list(importlib.metadata.entry_points(group=GROUP))
    if len(found) != 1:
        names = ", ".join(f"{distribution}: {name} = {value}" for name, value, distribution in entries())
        raise InputError(
            f"one entry point of the group '{GROUP}' is needed, there are {len(found)} ({names or 'none'})"
        )
    where = f"'{found[0].value}' of the group '{GROUP}'"
    try:
        half: Any = found[0].load()()
        models = dict(half.models())
        delays = half.input_delay, half.output_delay
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{where} cannot be loaded ({reason})") from error
    for name, delay in zip(("input_delay", "output_delay"), delays, strict=True):
        if type(delay) is not int or not 0 <= delay <= MOST_DELAY:
            raise InputError(f"{where}: {name} = {delay}, a number of steps from 0 to {MOST_DELAY} is needed")
    for process in needed():
        if process not in models:
            raise InputError(f"{where} has no model of {process.__name__}")
    for process, model in models.items():
        problem = _problem(process, model, process in needed())
        if problem:
            raise InputError(f"{where}: {problem}")
    loaded: VendorHalf = half
    return loaded


def _problem(process: Any, model: Any, on_chip: bool) -> str | None:
    """Why a model is not one of a Process, or not one for neuro cores."""
    from lava.magma.core.model.model import AbstractProcessModel
    from lava.magma.core.model.nc.model import AbstractNcProcessModel
    from lava.magma.core.resources import Loihi2NeuroCore, NeuroCore

    if not (isinstance(process, type) and isinstance(model, type) and issubclass(model, AbstractProcessModel)):
        return f"{process} -> {model} is not a Process and a model of it"
    chosen: Any = model
    if chosen.implements_process is not process:
        return f"{model.__name__} implements {chosen.implements_process}, not {process.__name__}"
    if not on_chip:
        return None
    if not issubclass(model, AbstractNcProcessModel):
        return f"{model.__name__} is no AbstractNcProcessModel: it would not run on a neuro core"
    if not {Loihi2NeuroCore, NeuroCore} & set(chosen.required_resources):
        return f"{model.__name__} does not require a Loihi2NeuroCore"
    return None
