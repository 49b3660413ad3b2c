"""Baselines of the QIF networks: ANNs, spiking networks trained directly, converted ANNs."""

from qif2hw.experiments.baselines.ann import Ann
from qif2hw.experiments.baselines.architecture import Architecture
from qif2hw.experiments.baselines.calibration import calibrate
from qif2hw.experiments.baselines.conversion import Converted, convert
from qif2hw.experiments.baselines.lif_direct import LifNetwork, Spiking
from qif2hw.experiments.baselines.registry import methods, run, settings_of, train
from qif2hw.experiments.baselines.result import Baseline, BaselineResult

__all__ = [
    "Ann",
    "Architecture",
    "Baseline",
    "BaselineResult",
    "Converted",
    "LifNetwork",
    "Spiking",
    "calibrate",
    "convert",
    "methods",
    "run",
    "settings_of",
    "train",
]
