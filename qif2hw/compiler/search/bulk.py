"""Results of the engine on many inputs, on workers."""

import numpy as np

from qif2hw import engine
from qif2hw.ir import Program
from qif2hw.ir.arrays import FloatArray
from qif2hw.workers import Workers

CHUNK = 256
"""Samples of a bulk run that one worker takes at once."""


def run_bulk(program: Program, x: FloatArray, pool: Workers) -> FloatArray:
    """Results (samples, outputs) of the engine on many inputs ``x`` (samples, inputs), in chunks, on the workers."""
    chunks = np.array_split(x, max(1, -(-len(x) // CHUNK)))
    return np.concatenate(list(pool.map(_results, program, chunks)))


def _results(program: Program, x: FloatArray) -> FloatArray:
    return engine.run(program, x).y
