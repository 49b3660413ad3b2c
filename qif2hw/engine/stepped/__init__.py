"""The integer machine with a stepped clock: `spec` defines it, `fast` runs it."""

import time
from typing import Literal

from numpy.typing import ArrayLike

from qif2hw.engine.stepped import fast, spec
from qif2hw.ir.stepped import SteppedRun
from qif2hw.ir.stepped_program import SteppedProgram

__all__ = ["run"]


def run(program: SteppedProgram, x: ArrayLike, *, machine: Literal["fast", "spec", "checked"] = "fast") -> SteppedRun:
    """Execute a program on real inputs, as `SteppedProgram.check_inputs` takes them.

    ``machine`` names the implementation: ``fast`` (compiled), ``spec`` (plain), or ``checked`` (plain, and raises
    `qif2hw.engine.stepped.spec.StateOverflow` when a register leaves its width).  All return the same spikes.

    Raises
    ------
    InputError
        On inputs of a wrong shape or values that are not finite.
    """
    inputs = program.check_inputs(x)
    begin = time.perf_counter()
    counts = inputs.copy()
    for encoder in program.encoders:
        columns = program.columns[encoder.name]
        counts[:, :, columns] = encoder.counts(inputs[:, :, columns])
    whole = counts.astype("int64")
    y, spikes = (
        fast.run(program, whole) if machine == "fast" else spec.run(program, whole, checked=machine == "checked")
    )
    return SteppedRun("engine", program.decode(y), spikes, time.perf_counter() - begin)
