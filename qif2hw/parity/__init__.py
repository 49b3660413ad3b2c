"""Parity: whether every backend gives the same spikes at the same times, within bounds."""

from qif2hw.parity.check import Bounds, check
from qif2hw.parity.identical import Difference, first_difference
from qif2hw.parity.matching import Matching, match
from qif2hw.parity.report import render, write
from qif2hw.parity.results import BackendParity, NeuronParity, ParityReport, PopulationParity, ResultError, Verdict

__all__ = [
    "BackendParity",
    "Bounds",
    "Difference",
    "Matching",
    "NeuronParity",
    "ParityReport",
    "PopulationParity",
    "ResultError",
    "Verdict",
    "check",
    "first_difference",
    "match",
    "render",
    "write",
]
