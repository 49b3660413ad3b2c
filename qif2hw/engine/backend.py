"""The integer machine as a backend."""

from qif2hw import engine
from qif2hw.backends import Backend

ENGINE = Backend("engine", "integer machine, compiled", "program", engine.run, exact=True, in_parity=True)
"""Entry point ``engine``."""
