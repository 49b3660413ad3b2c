"""Input arrays and result arrays of the command line."""

import io
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qif2hw.data.columns import inputs_of, labels_of
from qif2hw.data.images import SHIPPED, Images
from qif2hw.data.table import is_table, read_table
from qif2hw.errors import InputError
from qif2hw.files import reason
from qif2hw.ir import Network
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.readout.classes import check_labels
from qif2hw.ir.stepped import AnyNetwork
from qif2hw_cli.options.running import RANDOM_SAMPLES
from qif2hw_cli.options.streams import is_stream

if TYPE_CHECKING:
    from qif2hw.bundle import AnyBundle


def read_inputs(path: str | os.PathLike[str], network: AnyNetwork, *, clip: bool = False) -> FloatArray:
    """Read inputs: an npy file (samples, ...), a table, or the images of a task, (samples, pixels): ``digits:test``.

    A table (CSV, npz or parquet; CSV on standard input) has the model's inputs by name, in any order; a warning
    names columns that are no inputs.  With ``clip`` values out of range become the nearest end.

    Raises
    ------
    InputError
        On a file that cannot be read, columns that are missing, and what ``network`` does not take.
    """
    if clip and not isinstance(network, Network):
        raise InputError("--clip: it is an option for an event-driven network, which this bundle is not")
    images = _images(path)
    if images is not None:
        array = images.x.reshape(len(images), -1)
    elif is_table_file(path):
        array = _from_table(path, network)
    else:
        array = _read_array(path)
    try:
        return (
            network.check_inputs(array, clip=True)
            if isinstance(network, Network) and clip
            else (network.check_inputs(array))
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def is_table_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file of inputs is a table: by its name, or on standard input by its first bytes, which are no npy's."""
    if is_stream(str(path)):
        with Path(path).open("rb") as file:
            return file.read(6) not in (b"\x93NUMPY", b"")
    return is_table(path) or (Path(path).suffix.lower() == ".npz" and Path(path).is_file())


def _from_table(path: str | os.PathLike[str], network: AnyNetwork) -> FloatArray:
    host = network.host if isinstance(network, Network) else None
    if host is None:
        raise InputError(f"{path}: this model has no names of inputs to find in a table: an npy file is needed")
    array, others = inputs_of(read_table(path), [one.name for one in host.inputs])
    if others:
        warnings.warn(f"{path}: columns that are no inputs of the model: {', '.join(others)}", stacklevel=2)
    return array


def read_labels(path: str | os.PathLike[str], samples: int, names: Sequence[str]) -> IntArray:
    """Read classes (samples,), whole numbers or ``names``, from an npy file.

    Or those of a task, ``digits:test``, or a column of a table, ``FILE.csv:COLUMN``.
    """
    images, table = _images(path), str(path).rpartition(":")[0]
    array: Any
    if images is not None:
        array = images.label
    elif is_table(table):
        array = np.array(labels_of(read_table(table), str(path).rpartition(":")[2]))
    elif is_table(path):
        raise InputError(f"{path}: give the column of the classes too: {path}:COLUMN")
    else:
        array = _read_array(path, "fiuU")
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
            # numpy goes back and forth in a file, which a pipe cannot.
            source = file if file.seekable() else io.BytesIO(file.read())
            array: Any = np.load(source, allow_pickle=False)
            if isinstance(array, np.lib.npyio.NpzFile):
                raise InputError("an npz file under another name; it must end with .npz")
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


def inputs_or_default(bundle: "AnyBundle", path: str | None) -> "FloatArray":
    """The inputs (samples, ...) in a file; without one, random ones, or with a stepped clock the golden ones."""
    from qif2hw.parity import default_inputs

    return default_inputs(bundle, RANDOM_SAMPLES) if path is None else read_inputs(path, bundle.network)
