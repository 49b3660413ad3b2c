"""The integer machine with a stepped clock: `spec` defines it, `fast` runs it."""

import time
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from qif2hw.ir.arrays import IntArray
from qif2hw.ir.stepped import SteppedRun
from qif2hw.ir.stepped_program import SteppedProgram

__all__ = ["encode", "run"]


def encode(program: SteppedProgram, x: ArrayLike) -> IntArray:
    """Real inputs, as `SteppedProgram.check_inputs` takes them, in integers: (samples, 1 or time steps, inputs)."""
    inputs = program.check_inputs(x)
    parts = [e.counts(inputs[:, :, program.columns[e.name]]) for e in program.encoders]
    return np.concatenate(parts, axis=2)


def run(program: SteppedProgram, x: ArrayLike, *, machine: Literal["fast", "spec", "checked"] = "fast") -> SteppedRun:
    """Execute a program on real inputs, as `SteppedProgram.check_inputs` takes them.

    ``machine`` names the implementation: ``fast`` (compiled), ``spec`` (plain), or ``checked`` (plain, and raises
    `qif2hw.engine.stepped.spec.StateOverflow` when a register leaves its width).  All return the same spikes.

    Raises
    ------
    InputError
        On inputs of a wrong shape or values that are not finite.
    """
    counts = encode(program, x)
    begin = time.perf_counter()
    if machine == "fast":
        from qif2hw.engine.stepped import fast

        y, spikes = fast.run(program, counts)
    else:
        from qif2hw.engine.stepped import spec

        y, spikes = spec.run(program, counts, checked=machine == "checked")
    return SteppedRun("engine", program.decode(y), spikes, time.perf_counter() - begin)
