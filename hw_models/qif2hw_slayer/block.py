"""Blocks of SLAYER with the QIF neuron: ``Dense(neuron_params, in_neurons, out_neurons, ...)`` and so on."""

from typing import Any

import torch
from lava.lib.dl.slayer.axon import Delay
from lava.lib.dl.slayer.block import base
from lava.lib.dl.slayer.synapse import layer as synapse

from qif2hw_slayer.neuron import DiscreteQIF

__all__ = ["Conv", "Dense", "Flatten"]


class _QIF(torch.nn.Module):
    """Makes the neuron of a block, from ``neuron_params``: keywords of `DiscreteQIF`."""

    kind: type[torch.nn.Module]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.neuron = DiscreteQIF(**self.neuron_params)
        self.synapse = self.kind(**self.synapse_params)
        if self.synapse.pre_hook_fx is None:
            self.synapse.pre_hook_fx = self.neuron.quantize_8bit
        self.delay = Delay(max_delay=62) if options.get("delay") else None
        del self.neuron_params, self.synapse_params


class Dense(_QIF, base.AbstractDense):
    """All-to-all synapses and QIF neurons; parameters as of lava-dl's ``slayer.block.cuba.Dense``."""

    kind = synapse.Dense


class Conv(_QIF, base.AbstractConv):
    """A convolution and QIF neurons; parameters as of lava-dl's ``slayer.block.cuba.Conv``."""

    kind = synapse.Conv


class Flatten(base.AbstractFlatten):
    """From (N, C, H, W, T) to (N, C H W, T)."""
