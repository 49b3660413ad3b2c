"""Event-driven float64 execution of a `qif2hw.ir.Network`: exact, without a time grid."""

from qif2hw.reference.execute import Trace, run, trace

__all__ = ["Trace", "run", "trace"]
