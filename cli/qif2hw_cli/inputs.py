"""Input arrays and result arrays of the command line."""

import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qif2hw.data.images import SHIPPED, Images
from qif2hw.errors import InputError
from qif2hw.files import reason, write_bytes
from qif2hw.ir import Run
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.readout.classes import check_labels
from qif2hw.ir.stepped import SteppedRun


def read_inputs(path: str | os.PathLike[str], check: Callable[[Any], FloatArray]) -> FloatArray:
    """Read an npy file of inputs (samples, ...), or the images of a task, (samples, pixels): ``digits:test``.

    ``check`` refuses what the network does not take: its `InputError` names the file.
    """
    images = _images(path)
    array = _read_array(path) if images is None else images.x.reshape(len(images), -1)
    try:
        return check(array)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def read_labels(path: str | os.PathLike[str], samples: int, names: Sequence[str]) -> IntArray:
    """Read an npy file of classes (samples,), whole numbers or ``names``; or those of a task: ``digits:test``."""
    images = _images(path)
    array = _read_array(path, "fiuU") if images is None else images.label
    try:
        return check_labels(array, samples, names)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _images(path: str | os.PathLike[str]) -> Images | None:
    """The images that ``TASK:train`` or ``TASK:test`` names; those of a task by the first spike are the same."""
    name, _, part = str(path).partition(":")
    name = name.removesuffix("_first_spike")
    if name not in SHIPPED or part not in ("train", "test"):
        return None
    images: Images = getattr(SHIPPED[name](), part)
    return images


def _read_array(path: str | os.PathLike[str], kinds: str = "fiu") -> Any:
    """An array from an npy file: of real numbers, or of other ``kinds`` of types."""
    try:
        with Path(path).open("rb") as file:
            array: Any = np.load(file, allow_pickle=False)
            if isinstance(array, np.lib.npyio.NpzFile):
                raise InputError("an npz file; one array in an npy file is needed (numpy.save writes them)")
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({reason(error)})") from None
    except (ValueError, EOFError, MemoryError) as error:
        line = str(error).partition("\n")[0].rstrip(".")
        raise InputError(f"{path}: not an npy file of numbers ({line})") from None
    except Exception as error:  # a damaged zip or header: numpy raises whatever its parser does
        raise InputError(f"{path}: not an npy file of numbers ({type(error).__name__})") from None
    if array.dtype.kind not in kinds:
        raise InputError(f"{path}: the array has type {array.dtype}: real numbers are needed")
    return array


def write_run(path: str | os.PathLike[str], run: Run | SteppedRun) -> Path:
    """Write the arrays of a run to an npz file."""
    arrays: dict[str, Any] = {"y": run.y}
    if isinstance(run, SteppedRun):
        arrays |= {"label": run.label}
    else:
        if run.raw is not run.y:
            arrays["raw"] = run.raw
        if run.label is not None:
            arrays["label"] = run.label
        arrays |= {"spike_time": run.spike_time, "ordinary": run.ordinary}
        if run.machine is not None:
            arrays |= {"step": run.machine.step, "lateness": run.machine.lateness}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return write_bytes(path, buffer.getvalue())
