"""The integer machine with a stepped clock: `spec` defines it, `fast` runs it."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.stepped import Keep, SteppedRun, check_keep, joined
from qif2hw.ir.stepped_program import SteppedProgram

__all__ = ["encode", "run"]

MOST_SAMPLES = 128
"""Most samples of a block."""
BLOCK = 1 << 24
"""Neuron-steps of a population that are worked on at a time: what bounds the memory."""


def encode(program: SteppedProgram, x: ArrayLike) -> IntArray:
    """Real inputs, as `SteppedProgram.check_inputs` takes them, in integers: (samples, 1 or time steps, inputs)."""
    inputs = program.check_inputs(x)
    parts = [e.counts(inputs[:, :, program.columns[e.name]]) for e in program.encoders]
    return np.concatenate(parts, axis=2)


def run(
    program: SteppedProgram,
    x: ArrayLike,
    *,
    machine: Literal["fast", "spec", "checked"] = "fast",
    keep: Keep = "spikes",
    progress: Callable[[int, int], None] | None = None,
) -> SteppedRun:
    """Execute a program on real inputs, as `SteppedProgram.check_inputs` takes them, block by block of samples.

    Parameters
    ----------
    program, x
        What to run, on what.
    machine
        The implementation: ``fast`` (compiled; where NUMBA_DISABLE_JIT is set, ``spec``), ``spec`` (plain), or
        ``checked`` (plain, and raises `qif2hw.engine.stepped.spec.StateOverflow` when a register leaves its
        width).  All return the same spikes.
    keep
        ``spikes``: every spike.  ``counts``: how many each neuron sent, so that memory does not grow with the samples.
    progress
        Called with time steps done and time steps of all samples.

    Raises
    ------
    InputError
        On inputs of a wrong shape, values that are not finite, or an unknown ``keep``.
    """
    check_keep(keep)
    inputs = program.check_inputs(x)
    return joined("engine", _blocks(program, inputs, machine, progress), keep)


def _machine(program: SteppedProgram, name: str) -> Callable[[IntArray], tuple[IntArray, dict[str, NDArray[np.bool_]]]]:
    """What runs integer inputs."""
    from qif2hw.machinecode import interpreted

    if name == "fast" and not interpreted():
        from qif2hw.engine.stepped.fast import Machine

        return Machine(program).run
    from qif2hw.engine.stepped import spec

    return partial(spec.run, program, checked=name == "checked")


def _blocks(
    program: SteppedProgram, x: FloatArray, machine: str, progress: Callable[[int, int], None] | None
) -> Iterator[SteppedRun]:
    """Runs of blocks of samples."""
    steps, execute = program.clock.count, _machine(program, machine)
    block = max(1, min(MOST_SAMPLES, BLOCK // (max(program.sizes.values()) * steps)))
    for low in range(0, len(x), block):
        counts = encode(program, x[low : low + block])
        begin = time.perf_counter()
        y, spikes = execute(counts)
        yield SteppedRun("engine", program.decode(y), spikes, time.perf_counter() - begin)
        if progress is not None:
            progress(min(low + block, len(x)) * steps, len(x) * steps)
