"""QIF layers and networks in torch, with exact spike-time gradients."""

from qif2hw.nn.deeponet import DeepONet
from qif2hw.nn.discrete import LIF, Accumulate, DiscreteQIF, Frames, Standardize
from qif2hw.nn.functional.jets import Jets, derivative, jets
from qif2hw.nn.functional.output import ForwardPass, LayerOutput
from qif2hw.nn.hosted import HostedNetwork
from qif2hw.nn.layer import QIFLayer, Route
from qif2hw.nn.network import QIFNetwork
from qif2hw.nn.regime import PUBLISHED, Regime
from qif2hw.nn.spikes import encode, side_by_side
from qif2hw.nn.synapses import random_synapses
from qif2hw.nn.tracing import export, network_of

__all__ = [
    "LIF",
    "PUBLISHED",
    "Accumulate",
    "DeepONet",
    "DiscreteQIF",
    "ForwardPass",
    "Frames",
    "HostedNetwork",
    "Jets",
    "LayerOutput",
    "QIFLayer",
    "QIFNetwork",
    "Regime",
    "Route",
    "Standardize",
    "derivative",
    "encode",
    "export",
    "jets",
    "network_of",
    "random_synapses",
    "side_by_side",
]
