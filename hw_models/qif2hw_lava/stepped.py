"""Run a program with a stepped clock under Lava: write a job, start a worker, read what its Process left."""

import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
import safetensors.numpy
from numpy.typing import ArrayLike, NDArray

from qif2hw.engine.stepped import encode
from qif2hw.errors import InputError
from qif2hw.ir.stepped import Keep, SteppedRun, check_keep, joined
from qif2hw.ir.stepped_program import SteppedProgram
from qif2hw_lava.interpreter import find_interpreter
from qif2hw_lava.job import Mode, read_arrays, read_program, write_program
from qif2hw_lava.launch import run_worker

MODULE = "qif2hw_lava.stepped_network"
"""The module that turns a job into a Process."""
WIDEST = 1 << 20
"""Neurons of a batch, all populations together: a matter of memory and speed alone."""


@dataclass(frozen=True)
class SteppedJob:
    """A program, its integer inputs (samples, 1 or time steps, inputs), and the samples of a round."""

    mode: Mode
    program: SteppedProgram
    x: NDArray[np.int32]
    copies: int

    @property
    def rounds(self) -> int:
        """Rounds for all samples."""
        return -(-len(self.x) // self.copies)

    @property
    def round_steps(self) -> int:
        """Steps of Lava in a round; in a modular network a layer runs a step behind the one before."""
        return self.program.clock.count + (max(self.program.depth.values()) if self.mode == "modular" else 0)

    @property
    def steps(self) -> int:
        """Steps of Lava for all rounds."""
        return self.rounds * self.round_steps


def write_job(folder: Path, job: SteppedJob) -> None:
    """Write a job into an empty folder."""
    write_program(folder, job.program)
    (folder / "inputs.safetensors").write_bytes(safetensors.numpy.save({"x": np.ascontiguousarray(job.x)}))
    (folder / "job.json").write_text(json.dumps({"mode": job.mode, "copies": job.copies}), encoding="utf-8")


def read_job(folder: Path) -> SteppedJob:
    """Read what `write_job` wrote."""
    inputs = safetensors.numpy.load((folder / "inputs.safetensors").read_bytes())
    how = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    return SteppedJob(how["mode"], read_program(folder, SteppedProgram), inputs["x"], how["copies"])


def run(
    program: SteppedProgram,
    x: ArrayLike,
    *,
    mode: Mode = "fused",
    timeout: float | None = None,
    keep: Keep = "spikes",
    progress: Callable[[int, int], None] | None = None,
) -> SteppedRun:
    """Run inputs, as `SteppedProgram.check_inputs` takes them, on Lava's CPU simulator in a child process.

    Parameters
    ----------
    program, x
        What to run, on what: inputs (samples, 1 or time steps, inputs).
    mode
        ``fused``: one Process for all, fast.  ``modular``: neurons, and Lava's own Conv, Dense or Sparse between them,
        as on a chip; one sample at a time.  Both give the same spikes.
    timeout
        Hard limit in seconds; by default one that grows with samples and synapses.
    keep
        ``spikes``: every spike.  ``counts``: how many each neuron sent.
    progress
        Called with steps done and steps in all.

    Raises
    ------
    InputError
        On wrong inputs, an unknown mode or ``keep``, or when there is no lava-nc.
    LavaTimeout, LavaError
        When Lava did not finish within the limit, or failed.  No process is left in any case.
    """
    started = time.perf_counter()
    check_keep(keep)
    if mode not in get_args(Mode):
        raise InputError(f"unknown mode '{mode}': known are {', '.join(get_args(Mode))}")
    if timeout is not None and not (timeout > 0 and math.isfinite(timeout)):
        raise InputError(f"timeout = {timeout}: a positive number of seconds is needed")
    counts = encode(program, x).astype(np.int32)
    neurons = sum(p.size for p in program.populations)
    copies = 1 if mode == "modular" else max(1, min(len(counts), WIDEST // neurons))
    job = SteppedJob(mode, program, counts, copies)
    python = find_interpreter()
    report = None if progress is None else lambda done: progress(done, job.steps)
    with tempfile.TemporaryDirectory(prefix="qif2hw-lava-") as name:
        folder = Path(name)
        write_job(folder, job)
        limit = default_timeout(job) if timeout is None else timeout
        run_worker(python, folder, limit, report, MODULE, estimated=timeout is None)
        found = joined("lava", collect(folder, job), keep)
    return replace(found, seconds=time.perf_counter() - started)


def default_timeout(job: SteppedJob) -> float:
    """Seconds: a minute to start, then many times what a slow machine took, measured in both modes."""
    program = job.program
    if job.mode == "fused":
        neurons = sum(p.size for p in program.populations)
        return 60 + 1e-7 * len(job.x) * program.clock.count * (program.synapse_count + 100 * neurons)
    # Lava's Conv takes as many planes as there are pairs of channels, one after the other.
    planes = sum(p.weight.size // math.prod(p.weight.shape[2:]) for p in program.projections if p.weight.ndim == 4)
    parts = len(program.encoders) + len(program.populations) + 3 * len(program.projections)
    return 60 + 2 * parts + job.steps * (0.02 * parts + 2e-3 * planes + 4e-8 * program.synapse_count)


def collect(folder: Path, job: SteppedJob) -> Iterator[SteppedRun]:
    """What the Processes left, batch by batch."""
    program = job.program
    for current in range(job.rounds):
        samples = min(job.copies, len(job.x) - current * job.copies)
        spikes, sums = {}, {}
        for k, p in enumerate(program.populations):
            kept = read_arrays(folder, f"population{k}-{current}")["kept"][:samples]
            if p.spiking:
                spikes[p.name] = np.unpackbits(kept, axis=2, count=p.size).astype(bool)
            else:
                sums[p.name] = kept.astype(np.int64)
        y = np.concatenate([sums[output.population] for output in program.outputs], axis=1)
        yield SteppedRun("lava", program.decode(y), spikes)
