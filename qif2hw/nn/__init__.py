"""Training in torch: layers with exact spike-time gradients, networks, readouts, the training loop."""

from qif2hw.nn.diagnosis import Diagnosis, diagnose
from qif2hw.nn.function import LayerOutput, Run
from qif2hw.nn.jets import Jets, derivative
from qif2hw.nn.layer import QIFLayer
from qif2hw.nn.network import QIFNetwork, Regime
from qif2hw.nn.recurrent import RecurrentQIFLayer
from qif2hw.nn.schedule import Phase, plan
from qif2hw.nn.sparse import Pattern, SparseQIFLayer
from qif2hw.nn.task import Samples, Settings, Task, relative_l2
from qif2hw.nn.training import Progress, TrainResult, train

__all__ = [
    "Diagnosis",
    "Jets",
    "LayerOutput",
    "Pattern",
    "Phase",
    "Progress",
    "QIFLayer",
    "QIFNetwork",
    "RecurrentQIFLayer",
    "Regime",
    "Run",
    "Samples",
    "Settings",
    "SparseQIFLayer",
    "Task",
    "TrainResult",
    "derivative",
    "diagnose",
    "plan",
    "relative_l2",
    "train",
]
