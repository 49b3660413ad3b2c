"""Parity: whether every backend gives the same spikes at the same times, within bounds."""

from qif2hw.parity.certificates.certificate import Certificate, certify
from qif2hw.parity.certificates.certified import CertifiedRun, CertifiedSpikes
from qif2hw.parity.certificates.domain import DomainCertificate, certify_domain
from qif2hw.parity.certificates.explain import Explanation, explain
from qif2hw.parity.certificates.spike_errors import SpikeErrors
from qif2hw.parity.check import check
from qif2hw.parity.drift import Drift, drift
from qif2hw.parity.identical import Difference, first_difference, first_stepped_difference
from qif2hw.parity.inputs import default_inputs
from qif2hw.parity.matching import Matching, match
from qif2hw.parity.outcome import Outcome, ResultError, Verdict
from qif2hw.parity.report import render, write
from qif2hw.parity.results import BackendParity, NeuronParity, ParityReport, PopulationParity
from qif2hw.parity.stepped import SteppedBounds, SteppedReport
from qif2hw.parity.trial import Bounds

__all__ = [
    "BackendParity",
    "Bounds",
    "Certificate",
    "CertifiedRun",
    "CertifiedSpikes",
    "Difference",
    "DomainCertificate",
    "Drift",
    "Explanation",
    "Matching",
    "NeuronParity",
    "Outcome",
    "ParityReport",
    "PopulationParity",
    "ResultError",
    "SpikeErrors",
    "SteppedBounds",
    "SteppedReport",
    "Verdict",
    "certify",
    "certify_domain",
    "check",
    "default_inputs",
    "drift",
    "explain",
    "first_difference",
    "first_stepped_difference",
    "match",
    "render",
    "write",
]
