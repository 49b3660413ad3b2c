"""The integer machine: `spec` defines it, `fast` runs it."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qif2hw.engine.host import encode, finish
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.program import Program
from qif2hw.ir.spikes import Keep, MachineOutput, Run, StepSpikes, check_keep, joined_runs

__all__ = ["encode", "finish", "run"]

MOST_SAMPLES = 4096
"""Most samples of a block."""
BLOCK = 1 << 22
"""Integers that a block of samples may take: what bounds the memory."""


_Execute: TypeAlias = Callable[
    [Program, NDArray[np.int32], NDArray[np.int32]], tuple[MachineOutput, dict[str, StepSpikes]]
]


def run(
    program: Program,
    x: ArrayLike,
    *,
    machine: Literal["fast", "spec", "checked"] = "fast",
    keep: Keep = "spikes",
    progress: Callable[[int, int], None] | None = None,
) -> Run:
    """Execute a program, block by block of samples.

    Parameters
    ----------
    program
        What to run.
    x
        Inputs (samples, columns), as `check_inputs` of the program takes them.
    machine
        The implementation: ``fast`` (compiled; where NUMBA_DISABLE_JIT is set, ``spec``), ``spec`` (plain), or
        ``checked`` (plain, and raises `qif2hw.engine.spec.RegisterOverflow` when a register leaves its
        width).  All return the same spikes.
    keep
        ``spikes``: every spike.  ``counts``: how many each neuron sent, so that memory grows with the results alone.
    progress
        Called with machine steps done and machine steps of all samples.

    Raises
    ------
    InputError
        On inputs of a wrong shape or out of range, or an unknown ``keep``.
    """
    check_keep(keep)
    inputs = program.check_inputs(x)
    return joined_runs(_blocks(program, inputs, _machine(machine), progress), keep)


def _machine(name: str) -> _Execute:
    """What runs encoded inputs."""
    from qif2hw.machinecode import interpreted

    if name == "fast" and not interpreted():
        from qif2hw.engine import fast

        return fast.run
    from qif2hw.engine import spec

    return partial(spec.run, checked=name == "checked")


def _blocks(
    program: Program, x: FloatArray, execute: _Execute, progress: Callable[[int, int], None] | None
) -> Iterator[tuple[int, Run]]:
    """Runs of blocks of samples, with the number of the first."""
    # Where the spikes of each step begin, for every sender, and room for the spikes of every neuron.
    words = len(program.sizes) * program.steps + 12 * sum(program.sizes.values())
    block = max(1, min(MOST_SAMPLES, BLOCK // words))
    for low in range(0, len(x), block):
        part = x[low : low + block]
        step, late = encode(program, part)
        start = time.perf_counter()
        output, spikes = execute(program, step, late)
        yield low, finish(program, "engine", output, spikes, time.perf_counter() - start, x=part)
        if progress is not None:
            progress(min(low + block, len(x)) * program.steps, len(x) * program.steps)
