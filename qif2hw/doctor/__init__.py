"""What this installation can do, what is missing and what brings it; compiled kernels made ready."""

from qif2hw.doctor.checks import Finding, findings
from qif2hw.doctor.warming import warm, workloads

__all__ = ["Finding", "findings", "warm", "workloads"]
