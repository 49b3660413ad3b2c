"""Run a program under Lava from any Python: write a job, start a worker, read what its Processes left."""

import math
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike

from qif2hw.backends import Backend, Execution
from qif2hw.bundle import load_program
from qif2hw.engine.host import encode, finish
from qif2hw.errors import InputError
from qif2hw.ir import MachineOutput, Program, Run, StepSpikes
from qif2hw.ir.arrays import IntArray
from qif2hw.ir.spikes import Keep, check_keep
from qif2hw_lava import stepped
from qif2hw_lava.interpreter import LavaMissing, find_interpreter
from qif2hw_lava.job import Job, Mode, read_arrays, write_job
from qif2hw_lava.launch import run_worker

AnyPath: TypeAlias = str | os.PathLike[str]

WIDEST: dict[Mode, int] = {"fused": 1 << 18, "modular": 512}
"""Neurons that the copies of a population may fill, side by side: a matter of memory and speed alone."""


def run(
    program: Program | AnyPath,
    x: ArrayLike,
    *,
    mode: Mode = "fused",
    timeout: float | None = None,
    interpreter: AnyPath | None = None,
    keep: Keep = "spikes",
    progress: Callable[[int, int], None] | None = None,
) -> Run:
    """Run inputs ``x`` (samples, columns) on Lava's CPU simulator, in a child process.

    Parameters
    ----------
    program
        A program, or the path of a bundle.
    x
        Inputs.
    mode
        ``fused``: one Process for all, fast.  ``modular``: a Process per input group, population and readout and two
        Dense connections per projection, as on a chip.  Both give the same spikes.
    timeout
        Hard limit in seconds; by default a generous one that grows with samples, steps and network, and with the work
        that the machine has besides.
    interpreter
        The Python with Lava; see `qif2hw_lava.find_interpreter` for where it is looked for when not given.
    keep
        ``spikes``: every spike.  ``counts``: how many each neuron sent, so that memory grows with the results alone.
    progress
        Called with machine steps done and machine steps in all.

    Raises
    ------
    InputError
        On wrong inputs or a wrong bundle.
    LavaMissing
        When there is no lava-nc (also an `InputError`).
    LavaTimeout, LavaError
        When Lava did not finish within the limit, or failed.  No process is left in any case.
    """
    started = time.perf_counter()
    check_keep(keep)
    if mode not in get_args(Mode):
        raise InputError(f"unknown mode '{mode}': known are {', '.join(get_args(Mode))}")
    if timeout is not None and not (timeout > 0 and math.isfinite(timeout)):
        raise InputError(f"timeout = {timeout}: a positive number of seconds is needed")
    if not isinstance(program, Program):
        program = load_program(program)
    job = prepare(program, x, mode, keep)
    python = find_interpreter(interpreter)
    report = None if progress is None else lambda done: progress(done, job.steps)
    with tempfile.TemporaryDirectory(prefix="qif2hw-lava-") as name:
        folder = Path(name)
        write_job(folder, job)
        limit = default_timeout(job) if timeout is None else timeout
        run_worker(python, folder, limit, report, estimated=timeout is None)
        output, spikes, counts = collect(folder, job)
    return finish(program, "lava", output, spikes, time.perf_counter() - started, counts, x)


def missing() -> str | None:
    """Why Lava cannot be run from here, in one line that says how to get it; None if it can be run."""
    try:
        find_interpreter()
    except LavaMissing as error:
        return str(error)
    return None


LAVA = Backend(
    "lava",
    "integer machine on Lava's CPU simulator",
    "program",
    run,
    exact=True,
    options=("mode", "timeout", "keep", "progress"),
    missing=missing,
    in_parity=True,
    stepped=Execution(stepped.run, ("mode", "timeout", "keep", "progress")),
)
"""Entry point ``lava``."""


def prepare(program: Program, x: ArrayLike, mode: Mode, keep: Keep = "spikes") -> Job:
    """The job of running inputs ``x`` (samples, inputs); `InputError` if the program does not take them."""
    step_in, late_in = encode(program, x)
    widest = max([*(e.size for e in program.encoders), *(p.size for p in program.populations)])
    return Job(mode, program, step_in, late_in, max(1, min(step_in.shape[0], WIDEST[mode] // widest)), keep)


def default_timeout(job: Job) -> float:
    """Seconds: a minute to start, then about twenty times what a slow machine took, measured in both modes."""
    program = job.program
    neurons = sum(p.size for p in program.populations)
    synapses = program.synapse_count
    if job.mode == "fused":
        return 60 + job.steps * (0.02 + job.copies * (2e-6 * neurons + 2e-8 * synapses))
    parts = len(program.encoders) + 2 * len(program.populations) + 2 * len(program.projections)
    return 60 + job.steps * (0.01 * parts + 4e-8 * synapses * job.copies**2)


def collect(folder: Path, job: Job) -> tuple[MachineOutput, dict[str, StepSpikes], dict[str, IntArray] | None]:
    """What the Processes left, without the samples that only filled up the last round.

    Outputs (samples, output neurons), and by population spikes, or counts (neurons,).
    """
    output = collect_output(folder, job)
    names = [population.name for population in job.program.populations]
    if job.keep == "counts":
        return output, {}, {name: read_arrays(folder, f"spikes{k}")["counts"] for k, name in enumerate(names)}
    return output, collect_spikes(folder, job), None


def collect_output(folder: Path, job: Job) -> MachineOutput:
    """First spikes and flushes of the output populations, (samples, output neurons)."""
    firsts = [read_arrays(folder, f"first{k}") for k in range(len(job.program.output_populations))]
    columns = (
        np.concatenate([first[key][: job.samples] for first in firsts], axis=1).astype(np.int32)
        for key in ("step", "lateness", "flush")
    )
    return MachineOutput(*columns)


def collect_spikes(folder: Path, job: Job) -> dict[str, StepSpikes]:
    """All spikes by population."""
    spikes = {}
    for k, population in enumerate(job.program.populations):
        rows = read_arrays(folder, f"spikes{k}")["rows"]
        spikes[population.name] = StepSpikes.of(rows[rows[:, 0] < job.samples])
    return spikes
