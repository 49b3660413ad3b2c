"""Run a program with a stepped clock under Lava: write a job, start a worker, read what its Process left."""

import json
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy
from numpy.typing import ArrayLike

from qif2hw.engine.stepped import encode
from qif2hw.errors import InputError
from qif2hw.ir.stepped import SteppedRun
from qif2hw.ir.stepped_program import SteppedProgram
from qif2hw_lava.arithmetic import Int
from qif2hw_lava.interpreter import find_interpreter
from qif2hw_lava.job import Mode, read_arrays, read_program, write_program
from qif2hw_lava.launch import run_worker

MODULE = "qif2hw_lava.stepped_network"
"""The module that turns a job into a Process."""
WIDEST = 1 << 20
"""Neurons of a batch, all populations together: a matter of memory and speed alone."""


@dataclass(frozen=True)
class SteppedJob:
    """A program, its integer inputs (samples, 1 or time steps, inputs), and the samples of a batch."""

    program: SteppedProgram
    x: Int
    copies: int

    @property
    def steps(self) -> int:
        """Steps of Lava for all batches."""
        return -(-len(self.x) // self.copies) * self.program.clock.count


def write_job(folder: Path, job: SteppedJob) -> None:
    """Write a job into an empty folder."""
    write_program(folder, job.program)
    (folder / "inputs.safetensors").write_bytes(safetensors.numpy.save({"x": np.ascontiguousarray(job.x)}))
    (folder / "job.json").write_text(json.dumps({"copies": job.copies}), encoding="utf-8")


def read_job(folder: Path) -> SteppedJob:
    """Read what `write_job` wrote."""
    inputs = safetensors.numpy.load((folder / "inputs.safetensors").read_bytes())
    how = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    return SteppedJob(read_program(folder, SteppedProgram), inputs["x"], how["copies"])


def run(
    program: SteppedProgram,
    x: ArrayLike,
    *,
    mode: Mode = "fused",
    timeout: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SteppedRun:
    """Run inputs, as `SteppedProgram.check_inputs` takes them, on Lava's CPU simulator in a child process.

    Parameters
    ----------
    program, x
        What to run, on what.
    mode
        ``fused``: one Process for all; there is no other for a stepped clock yet.
    timeout
        Hard limit in seconds; by default one that grows with samples and synapses.
    progress
        Called with steps done and steps in all.

    Raises
    ------
    InputError
        On wrong inputs, another mode, or when there is no lava-nc.
    LavaTimeout, LavaError
        When Lava did not finish within the limit, or failed.  No process is left in any case.
    """
    started = time.perf_counter()
    if mode != "fused":
        raise InputError(f"mode '{mode}': networks with a stepped clock run fused on Lava")
    if timeout is not None and not (timeout > 0 and math.isfinite(timeout)):
        raise InputError(f"timeout = {timeout}: a positive number of seconds is needed")
    counts = encode(program, x)
    neurons = sum(p.size for p in program.populations)
    job = SteppedJob(program, counts, max(1, min(len(counts), WIDEST // neurons)))
    python = find_interpreter()
    report = None if progress is None else lambda done: progress(done, job.steps)
    limit = 60 + 1e-7 * len(counts) * program.clock.count * (program.synapse_count + 100 * neurons)
    with tempfile.TemporaryDirectory(prefix="qif2hw-lava-") as name:
        folder = Path(name)
        write_job(folder, job)
        run_worker(python, folder, limit if timeout is None else timeout, report, MODULE)
        found = read_arrays(folder, "results")
    spikes = {
        p.name: np.unpackbits(found[f"spikes{k}"], axis=2, count=p.size).astype(bool)
        for k, p in enumerate(program.populations)
        if p.spiking
    }
    return SteppedRun("lava", program.decode(found["y"]), spikes, time.perf_counter() - started)
