"""Parity: whether every backend gives the same spikes at the same times, within bounds."""

from qif2hw.parity.check import check
from qif2hw.parity.identical import Difference, first_difference, first_stepped_difference
from qif2hw.parity.matching import Matching, match
from qif2hw.parity.outcome import Outcome, ResultError, Verdict
from qif2hw.parity.report import render, write
from qif2hw.parity.results import BackendParity, NeuronParity, ParityReport, PopulationParity
from qif2hw.parity.stepped import SteppedBounds, SteppedReport
from qif2hw.parity.trial import Bounds

__all__ = [
    "BackendParity",
    "Bounds",
    "Difference",
    "Matching",
    "NeuronParity",
    "Outcome",
    "ParityReport",
    "PopulationParity",
    "ResultError",
    "SteppedBounds",
    "SteppedReport",
    "Verdict",
    "check",
    "first_difference",
    "first_stepped_difference",
    "match",
    "render",
    "write",
]
