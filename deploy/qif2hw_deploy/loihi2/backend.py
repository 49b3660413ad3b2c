"""Run a program through the adapter: write a job, start a worker in the chip's Python, read what the host left."""

import json
import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from qif2hw.backends import Backend
from qif2hw.bundle import load_program
from qif2hw.engine.host import encode, finish
from qif2hw.errors import InputError
from qif2hw.ir import Program, Run
from qif2hw.ir.arrays import IntArray
from qif2hw.ir.spikes import Keep, check_keep
from qif2hw_deploy.loihi2.chip import PACKAGE, find_chip, missing
from qif2hw_deploy.loihi2.profile import NAMES
from qif2hw_deploy.loihi2.rounds import Rounds, check_words
from qif2hw_lava.backend import AnyPath, collect_output, collect_spikes
from qif2hw_lava.interpreter import Interpreter, find_interpreter
from qif2hw_lava.job import Job, write_job
from qif2hw_lava.launch import run_worker

MODULE = "qif2hw_deploy.loihi2.network"
"""The module that turns a job into Processes."""
START = 1800.0
"""Seconds that compiling, and waiting for a board, may take by default."""


@dataclass(frozen=True, eq=False, repr=False)
class ChipRun(Run):
    """A `Run`, and what the profilers found, by their names."""

    profile: dict[str, dict[str, Any]] = field(default_factory=dict)


def run(
    program: Program | AnyPath,
    x: ArrayLike,
    *,
    timeout: float | None = None,
    keep: Keep = "spikes",
    copies: int = 1,
    profile: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> ChipRun:
    """Run inputs ``x`` (samples, columns) on the board that the environment names, all samples in one run.

    Parameters
    ----------
    program
        A program, or the path of a bundle.
    x
        Inputs, in the user's units.
    timeout
        Hard limit in seconds; by default half an hour to start, and more the more steps there are.
    keep
        ``spikes``: all populations send their spikes to the host, in every step: for comparisons.  ``counts``: the
        outputs alone are read, once for each sample; ``counts`` of the run stays empty.
    copies
        Copies of the network side by side, each with samples of its own.
    profile
        Which of Intel's profilers to attach: ``power``, ``time``, ``memory``, ``activity``.
    progress
        Called with steps done and steps in all.

    Raises
    ------
    InputError
        On wrong inputs or a wrong bundle, or when something is missing; all before the work.
    qif2hw_lava.LavaTimeout, qif2hw_lava.LavaError
        When the run did not finish within the limit, or failed.  No process is left in any case.
    """
    started = time.perf_counter()
    unknown = [name for name in profile if name not in NAMES]
    if unknown:
        raise InputError(f"profile = {', '.join(unknown)}: {', '.join(NAMES)} are there")
    job = _prepare(program, x, timeout, keep, copies)
    chip = find_chip()
    rounds = Rounds(job.program.steps, chip.input_delay, chip.output_delay)
    limit = timeout if timeout is not None else START + 0.1 * job.rounds * rounds.steps
    how = {"profile": list(dict.fromkeys(profile)), "simulated": False}
    return _execute(job, x, rounds, how, chip.python, limit, timeout, chip.board.variables(), progress, started)


def simulate(
    program: Program | AnyPath,
    x: ArrayLike,
    *,
    timeout: float | None = None,
    keep: Keep = "spikes",
    copies: int = 1,
    progress: Callable[[int, int], None] | None = None,
    interpreter: AnyPath | None = None,
) -> ChipRun:
    """Run inputs ``x`` (samples, columns) on the chip's graph of Processes, on Lava's CPU simulator: slow.

    It needs nothing but lava-nc.  Parameters and errors are those of `run`; ``interpreter`` is that of
    `qif2hw_lava.run`.
    """
    started = time.perf_counter()
    job = _prepare(program, x, timeout, keep, copies)
    rounds = Rounds(job.program.steps, 0, 0)
    parts = len(job.program.encoders) + 2 * len(job.program.populations) + 2 * len(job.program.projections)
    limit = timeout if timeout is not None else 60 + 0.02 * (parts + 8) * job.rounds * rounds.steps
    how = {"profile": [], "simulated": True}
    return _execute(job, x, rounds, how, find_interpreter(interpreter), limit, timeout, {}, progress, started)


LOIHI2 = Backend(
    "loihi2",
    "Loihi 2 chip, through the vendor's half",
    "program",
    run,
    exact=True,
    options=("timeout", "keep", "copies", "profile", "progress"),
    missing=missing,
)
"""Entry point ``loihi2``."""


def _prepare(program: Program | AnyPath, x: ArrayLike, timeout: float | None, keep: Keep, copies: int) -> Job:
    """The job, checked."""
    check_keep(keep)
    if timeout is not None and not (timeout > 0 and math.isfinite(timeout)):
        raise InputError(f"timeout = {timeout}: a positive number of seconds is needed")
    if type(copies) is not int or copies < 1:
        raise InputError(f"copies = {copies}: a number of copies, 1 or more, is needed")
    if not isinstance(program, Program):
        program = load_program(program)
    check_words(program)
    step_in, late_in = encode(program, x)
    return Job("modular", program, step_in, late_in, min(copies, max(1, len(step_in))), keep)


def _execute(
    job: Job,
    x: ArrayLike,
    rounds: Rounds,
    how: Mapping[str, object],
    python: Interpreter,
    limit: float,
    timeout: float | None,
    environment: Mapping[str, str | None],
    progress: Callable[[int, int], None] | None,
    started: float,
) -> ChipRun:
    total = job.rounds * rounds.steps
    delays = {"input_delay": rounds.input_delay, "output_delay": rounds.output_delay}
    with tempfile.TemporaryDirectory(prefix="qif2hw-lava-") as name:
        folder = Path(name)
        write_job(folder, job)
        (folder / "chip.json").write_text(json.dumps({**how, **delays}), encoding="utf-8")
        report = None if progress is None else lambda done: progress(done, total)
        run_worker(python, folder, limit, report, MODULE, [PACKAGE], environment, estimated=timeout is None)
        output = collect_output(folder, job)
        spikes = collect_spikes(folder, job) if job.keep == "spikes" else {}
        profile = {} if how["simulated"] else json.loads((folder / "profile.json").read_text(encoding="utf-8"))
    counts: dict[str, IntArray] | None = None if job.keep == "spikes" else {}
    found = finish(job.program, "loihi2", output, spikes, time.perf_counter() - started, counts, x)
    return ChipRun(**{f.name: getattr(found, f.name) for f in fields(Run)}, profile=profile)
