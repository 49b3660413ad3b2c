"""The job folder: a worker's input and its results.

``program.json`` and ``program.safetensors`` are those of a bundle, ``inputs.safetensors`` holds the encoded inputs,
``job.json`` how to run them.  No pickle: writer and reader may be different versions of Python and numpy.
"""

import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from qif2hw.bundle.packing import pack, unpack
from qif2hw.errors import BackendError
from qif2hw.ir.program import Program
from qif2hw.ir.spikes import Keep
from qif2hw.ir.stepped_program import SteppedProgram

Mode: TypeAlias = Literal["fused", "modular"]

P = TypeVar("P", Program, SteppedProgram)

ERROR = "error.json"
"""Written by a process that fails: keys ``where`` and ``traceback``."""
FINISHED = "finished"
"""Written by a worker when all results are there."""
PROGRESS = "progress"
"""Steps done so far, in decimal."""
LOG = "log.txt"
"""Standard output and error of the worker and its children."""


@dataclass(frozen=True)
class Job:
    """A program, encoded inputs (samples, inputs) and how to run them.

    ``copies`` samples run side by side, in ``rounds`` rounds; ``keep`` says what is kept of their spikes.
    """

    mode: Mode
    program: Program
    step_in: NDArray[np.int32]
    late_in: NDArray[np.int32]
    copies: int
    keep: Keep = "spikes"

    @property
    def samples(self) -> int:
        """Number of samples."""
        return int(self.step_in.shape[0])

    @property
    def rounds(self) -> int:
        """Rounds needed for all samples."""
        return -(-self.samples // self.copies)

    @property
    def steps(self) -> int:
        """Machine steps of all rounds."""
        return self.rounds * self.program.steps

    def batches(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Encoded inputs (rounds, copies, inputs), the last round filled up with inputs that send nothing."""
        shape = (self.rounds * self.copies, self.step_in.shape[1])
        step, late = np.full(shape, -1, np.int64), np.zeros(shape, np.int64)
        step[: self.samples], late[: self.samples] = self.step_in, self.late_in
        split = (self.rounds, self.copies, shape[1])
        return step.reshape(split), late.reshape(split)


def write_job(folder: Path, job: Job) -> None:
    """Write a job into an empty folder."""
    write_program(folder, job.program)
    inputs = {"step": np.ascontiguousarray(job.step_in), "lateness": np.ascontiguousarray(job.late_in)}
    (folder / "inputs.safetensors").write_bytes(safetensors.numpy.save(inputs))
    how = {"mode": job.mode, "copies": job.copies, "keep": job.keep}
    (folder / "job.json").write_text(json.dumps(how), encoding="utf-8")


def write_program(folder: Path, program: Program | SteppedProgram) -> None:
    """Write a program as in a bundle."""
    arrays: dict[str, NDArray[Any]] = {}
    packed = pack(program, arrays)
    (folder / "program.json").write_text(json.dumps(packed), encoding="utf-8")
    (folder / "program.safetensors").write_bytes(safetensors.numpy.save(arrays))


def read_program(folder: Path, kind: type[P]) -> P:
    """Read what `write_program` wrote."""
    arrays = safetensors.numpy.load((folder / "program.safetensors").read_bytes())
    return unpack(kind, json.loads((folder / "program.json").read_text(encoding="utf-8")), arrays)


def read_job(folder: Path) -> Job:
    """Read what `write_job` wrote."""
    program = read_program(folder, Program)
    inputs = safetensors.numpy.load((folder / "inputs.safetensors").read_bytes())
    how = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    return Job(how["mode"], program, inputs["step"], inputs["lateness"], how["copies"], how["keep"])


def write_arrays(folder: Path, name: str, arrays: dict[str, NDArray[Any]]) -> None:
    """Leave results, arrays of any shape, in a job folder."""
    part = folder / f"{name}.part"
    with part.open("wb") as file:
        np.savez(file, **arrays)
    part.replace(folder / f"{name}.npz")


def read_arrays(folder: Path, name: str) -> dict[str, NDArray[Any]]:
    """Read what `write_arrays` wrote, of the same shapes; `BackendError` if it is not there or cannot be read."""
    try:
        # Opened here: numpy leaves a file open that it cannot read.
        with (folder / f"{name}.npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BackendError(f"the run ended without its results '{name}' ({error})") from error


def write_error(folder: Path, where: str, traceback: str) -> None:
    """Leave an error for the parent, unless there is one: the first is the cause."""
    if not (folder / ERROR).exists():
        write_text(folder / ERROR, json.dumps({"where": where, "traceback": traceback}))


def write_text(path: Path, text: str) -> None:
    """Write so that a reader sees all or nothing."""
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
