"""The integer machine: `spec` defines it, `fast` runs it."""

import time
from typing import Literal

from numpy.typing import ArrayLike

from qif2hw.engine.host import encode, finish
from qif2hw.ir.program import Program
from qif2hw.ir.spikes import Run

__all__ = ["encode", "finish", "run"]


def run(program: Program, x: ArrayLike, *, machine: Literal["fast", "spec", "checked"] = "fast") -> Run:
    """Execute a program on inputs ``x`` (samples, inputs) in [0, 1].

    ``machine`` names the implementation: ``fast`` (compiled), ``spec`` (plain), or ``checked`` (plain, and raises
    `qif2hw.engine.spec.RegisterOverflow` when a register leaves its width).  All return the same spikes.

    Raises
    ------
    InputError
        On inputs of a wrong shape or outside [0, 1].
    """
    step, late = encode(program, x)
    start = time.perf_counter()
    if machine == "fast":
        from qif2hw.engine import fast

        output, spikes = fast.run(program, step, late)
    else:
        from qif2hw.engine import spec

        output, spikes = spec.run(program, step, late, checked=machine == "checked")
    return finish(program, "engine", output, spikes, time.perf_counter() - start)
