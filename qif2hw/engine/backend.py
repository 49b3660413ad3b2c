"""The integer machine as a backend."""

from qif2hw import engine
from qif2hw.backends import Backend
from qif2hw.engine import stepped

ENGINE = Backend(
    "engine", "integer machine, compiled", "program", engine.run, exact=True, in_parity=True,
    execute_stepped=stepped.run,
)  # fmt: skip
"""Entry point ``engine``."""
