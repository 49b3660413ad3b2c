"""The exact float execution as a backend."""

from qif2hw import reference
from qif2hw.backends import Backend, Execution
from qif2hw.reference import stepped

REFERENCE = Backend(
    "reference", "float64, exact", "network", reference.run, in_parity=True, options=("keep", "progress"),
    stepped=Execution(stepped.run, ("keep", "progress")),
)  # fmt: skip
"""Entry point ``reference``."""
