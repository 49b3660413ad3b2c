"""Make lava-dl's netx know the QIF neuron, so that ``netx.hdf5.Network`` runs networks of it on Lava."""

import multiprocessing
import sys
from typing import Any

import numpy as np

if (
    "lava.magma.runtime.message_infrastructure.multiprocessing" not in sys.modules
    and multiprocessing.get_start_method(allow_none=True) == "fork"
):
    # Lava sets the start method when it is imported, and fails if anything has used multiprocessing before, as
    # scikit-learn does: let it set the same one again.
    multiprocessing.set_start_method(None, force=True)
from lava.lib.dl.netx.hdf5 import Network

from qif2hw.ir.stepped_program import EulerStep, PlaneStep
from qif2hw_lava.processes.discrete_qif import DiscreteQIF
from qif2hw_slayer.importer.neurons import STEPS

__all__ = ["Network", "register"]

_neuron_params_of_netx = Network.get_neuron_params


def register() -> None:
    """Let `lava.lib.dl.netx.hdf5.Network` read layers with neurons of type QIF; doing so twice does no harm."""
    # netx calls this static method by the name of its class: a subclass would not be asked.
    Network.get_neuron_params = staticmethod(neuron_params)


def neuron_params(
    neuron_config: Any,
    input: bool = False,
    reset_interval: int | None = None,
    reset_offset: int = 0,
    spike_exp: int = 6,
) -> dict[str, Any]:
    """Process and parameters of a layer's neurons, as ``Network.get_neuron_params``; of type QIF too."""
    if neuron_config["type"] != "QIF":
        known: dict[str, Any] = _neuron_params_of_netx(neuron_config, input, reset_interval, reset_offset, spike_exp)
        return known
    values = {name: value[()] for name, value in neuron_config.f.items()}
    return {
        "neuron_proc": DiscreteQIF,
        "arithmetic": arithmetic(values),
        "state_exp": int(values["stateExp"]),
        "reset_interval": reset_interval or 0,
        "reset_offset": reset_offset,
        "num_message_bits": 0,
    }


def arithmetic(values: dict[str, Any]) -> PlaneStep | EulerStep:
    """The integers of the group ``neuron`` of a QIF layer."""
    kind = values["kind"].decode()
    own: dict[str, Any] = {field: np.array([values[key]]) for key, field in STEPS[kind].items()}
    if kind == "euler":
        return EulerStep(**own)
    return PlaneStep(**own | {name: own[name].item() for name in ("decay", "coupling_shift")})
