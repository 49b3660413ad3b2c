"""Input arrays and result arrays of the command line."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from qif2hw.data.images import SHIPPED, Images
from qif2hw.errors import InputError
from qif2hw.files import reason, write_bytes
from qif2hw.ir import Run
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.stepped import SteppedRun


def read_inputs(path: str | os.PathLike[str], check: Callable[[Any], FloatArray]) -> FloatArray:
    """Read an npy file of inputs (samples, ...), or the images of a task: ``digits:test``.

    ``check`` refuses what the network does not take: its `InputError` names the file.
    """
    images = _images(path)
    array = _read_array(path) if images is None else images.x
    try:
        return check(array)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def read_labels(path: str | os.PathLike[str], samples: int) -> IntArray:
    """Read an npy file of classes, whole numbers from 0 on, (samples,); or those of a task: ``digits:test``."""
    images = _images(path)
    array = _read_array(path) if images is None else images.label
    if array.shape != (samples,) or array.dtype.kind not in "iu" or array.min(initial=0) < 0:
        raise InputError(
            f"{path}: labels {array.shape} of type {array.dtype}: whole numbers from 0 on, ({samples},), are needed"
        )
    return array.astype(np.int64)


def _images(path: str | os.PathLike[str]) -> Images | None:
    """The images that ``TASK:train`` or ``TASK:test`` names."""
    name, _, part = str(path).partition(":")
    if name not in SHIPPED or part not in ("train", "test"):
        return None
    images: Images = getattr(SHIPPED[name](), part)
    return images


def _read_array(path: str | os.PathLike[str]) -> Any:
    """An array of real numbers from an npy file."""
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
    if array.dtype.kind not in "fiu":
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
        arrays |= {"spike_time": run.spike_time, "ordinary": run.ordinary}
        if run.machine is not None:
            arrays |= {"step": run.machine.step, "lateness": run.machine.lateness}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return write_bytes(path, buffer.getvalue())
