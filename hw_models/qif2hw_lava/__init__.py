"""The integer machine on Lava: Processes for the CPU simulator, run in a child process of their own.

>>> import qif2hw_lava
>>> run = qif2hw_lava.run("model.qif", x)  # doctest: +SKIP

Nothing that this imports imports lava; `qif2hw_lava.network` and the Processes do, in the child.
"""

from qif2hw_lava.backend import run
from qif2hw_lava.interpreter import Interpreter, LavaMissing, find_interpreter
from qif2hw_lava.job import Mode
from qif2hw_lava.launch import LavaError, LavaTimeout

__all__ = ["Interpreter", "LavaError", "LavaMissing", "LavaTimeout", "Mode", "find_interpreter", "run"]
