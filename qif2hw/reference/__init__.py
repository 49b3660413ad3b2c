"""Event-driven float64 execution of a `qif2hw.ir.Network`: exact, without a time grid."""

from qif2hw.reference.execute import Trace, run, trace
from qif2hw.reference.recurrent import RecurrentTrace, trace_recurrent

__all__ = ["RecurrentTrace", "Trace", "run", "trace", "trace_recurrent"]
