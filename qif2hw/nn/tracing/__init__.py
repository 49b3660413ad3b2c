"""From torch modules to networks."""

from typing import Any

from torch.nn import Module

from qif2hw.errors import InputError
from qif2hw.ir.stepped import AnyNetwork
from qif2hw.nn.discrete import SteppedNeurons
from qif2hw.nn.layer import QIFLayer
from qif2hw.nn.tracing.export import export
from qif2hw.nn.tracing.trial import export_trial


def network_of(module: Module, input_shape: tuple[int, ...] | None = None, time_steps: int | None = None) -> AnyNetwork:
    """The network that a torch module is, of the clock that its neurons have.

    Parameters
    ----------
    module
        A `QIFNetwork`, `DeepONet` or `HostedNetwork`; a module that holds such, or layers, see `export_trial`; or a
        module of neurons in discrete time, see `export`.
    input_shape
        Shape of one sample, where it does not follow from the module; with discrete time at one time step.
    time_steps
        Number of time steps; with discrete time alone, and needed there.

    Raises
    ------
    InputError
        If the module cannot be exported: all that stands in the way is named by its path.
    """
    event_driven = [path for path, part in module.named_modules() if isinstance(part, QIFLayer)]
    stepped = [path for path, part in module.named_modules() if isinstance(part, SteppedNeurons)]
    if event_driven and stepped:
        raise InputError(
            f"the module has event-driven neurons ('{event_driven[0]}') and ones in discrete time ('{stepped[0]}'): "
            "a network has one clock"
        )
    if stepped:
        if input_shape is None or time_steps is None:
            raise InputError("neurons in discrete time: give input_shape, of a sample at one time step, and time_steps")
        return export(module, input_shape, time_steps)
    if not event_driven:
        raise InputError(f"a {type(module).__name__} without neurons of qif2hw.nn: there is nothing to export")
    if time_steps is not None:
        raise InputError(f"time_steps = {time_steps}: the module's neurons are event driven, they have none")
    whole: Any = module
    return whole.to_network() if hasattr(module, "to_network") else export_trial(module, input_shape)


__all__ = ["Module", "export", "export_trial", "network_of"]
