"""The exact float execution as a backend."""

from qif2hw import reference
from qif2hw.backends import Backend

REFERENCE = Backend("reference", "float64, event driven, exact", "network", reference.run, in_parity=True)
"""Entry point ``reference``."""
