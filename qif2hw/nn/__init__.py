"""QIF layers and networks in torch, with exact spike-time gradients."""

from qif2hw.nn.discrete import LIF, Accumulate, DiscreteQIF, Frames
from qif2hw.nn.functional.dense import LayerOutput, Run
from qif2hw.nn.functional.jets import Jets, derivative
from qif2hw.nn.functional.recurrent import RecurrentQIFLayer
from qif2hw.nn.functional.sparse import Pattern, SparseQIFLayer
from qif2hw.nn.layer import QIFLayer
from qif2hw.nn.network import QIFNetwork, Regime

__all__ = [
    "LIF",
    "Accumulate",
    "DiscreteQIF",
    "Frames",
    "Jets",
    "LayerOutput",
    "Pattern",
    "QIFLayer",
    "QIFNetwork",
    "RecurrentQIFLayer",
    "Regime",
    "Run",
    "SparseQIFLayer",
    "derivative",
]
