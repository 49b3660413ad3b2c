"""The integer machine as a backend."""

from qif2hw import engine
from qif2hw.backends import Backend, Execution
from qif2hw.engine import stepped

ENGINE = Backend(
    "engine", "integer machine, compiled", "program", engine.run, exact=True, in_parity=True,
    options=("keep", "progress"),
    stepped=Execution(stepped.run, ("keep", "progress")),
)  # fmt: skip
"""Entry point ``engine``."""
