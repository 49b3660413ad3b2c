"""Run a SLAYER file on netx in a child process: spikes of every layer, for comparison with other executions."""

import importlib.util
import json
import math
import sys
import tempfile
from os import PathLike
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from qif2hw.errors import InputError
from qif2hw_lava.interpreter import ask
from qif2hw_lava.job import read_arrays, write_arrays
from qif2hw_lava.launch import run_worker

LARGEST_BIAS = 4095
"""Of Lava's neurons: 13 bits with a sign."""
MODULE = "qif2hw_slayer.netx_job"
"""The module that turns a job into a network of netx."""


def lava_dl_is_there() -> bool:
    """Whether lava-dl is installed in this Python."""
    try:
        return importlib.util.find_spec("lava.lib.dl.netx") is not None
    except ModuleNotFoundError:
        return False


def input_shape(path: str | PathLike[str]) -> tuple[int, ...] | None:
    """Shape of the input layer of a file; None if it has none."""
    with h5py.File(path) as file:
        shape = file.get("layer/0/shape") if file.get("layer/0/type", [b""])[0] == b"input" else None
        return None if shape is None else tuple(int(n) for n in shape)


def input_neurons(path: str | PathLike[str]) -> bool:
    """Whether the input layer of a file has neurons: netx takes their biases for an input."""
    with h5py.File(path) as file:
        return "layer/0/neuron" in file and file.get("layer/0/type", [b""])[0] == b"input"


def run(
    path: str | PathLike[str], x: ArrayLike, *, time_steps: int | None = None, timeout: float | None = None
) -> tuple[NDArray[np.bool_], ...]:
    """Run samples one after the other through netx; its neurons are reset between them.

    Parameters
    ----------
    path
        A file as SLAYER's blocks write it, with neurons that netx knows, or of type QIF.
    x
        Spikes 0 and 1, (samples, time steps, channels, height, width) or (samples, time steps, channels).  Of a file
        whose input layer has neurons: their biases, whole numbers of 13 bits, (samples, channels, height, width) or
        (samples, channels).
    time_steps
        Steps of a sample with such biases; those that the file says where not given.
    timeout
        Hard limit in seconds; by default one that grows with steps.

    Returns
    -------
    tuple of array
        Spikes by layer with neurons, (samples, time steps, neurons), neurons in the order channel, height, width.
        netx gives a neuron to a dense layer that has none in the file: it adds up its input, and is among them.

    Raises
    ------
    InputError
        If lava-dl is missing, there is no such file, or inputs are not spikes of its input's shape.
    qif2hw_lava.LavaTimeout, qif2hw_lava.LavaError
        When netx did not finish within the limit, or failed.  No process is left in any case.
    """
    if not lava_dl_is_there():
        raise InputError("lava-dl is missing: it needs Python 3.10; pip install --no-deps lava-dl==0.6.0")
    if not Path(path).is_file():
        raise InputError(f"{path}: there is no such file")
    if timeout is not None and not (timeout > 0 and math.isfinite(timeout)):
        raise InputError(f"timeout = {timeout}: a positive number of seconds is needed")
    given, wanted = np.asarray(x), input_shape(path)
    biases = input_neurons(path)
    steps = _steps_with_biases(path, given, time_steps) if biases else _steps_of_spikes(given, time_steps)
    if wanted is not None and wanted != given.shape[1 if biases else 2 :]:
        raise InputError(f"inputs of shape {given.shape}: the network takes {wanted}{'' if biases else ' per step'}")
    python = ask(sys.executable)
    if isinstance(python, str):
        raise InputError(f"netx cannot run here: {python}")
    limit = 120 + 0.5 * len(given) * steps if timeout is None else timeout
    with tempfile.TemporaryDirectory(prefix="qif2hw-netx-") as name:
        folder = Path(name)
        job = {"net": str(Path(path).resolve()), "biases": biases, "time_steps": steps}
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        write_arrays(folder, "inputs", {"x": given.astype(np.int32 if biases else np.int8)})
        run_worker(python, folder, limit, module=MODULE, estimated=timeout is None)
        found = read_arrays(folder, "results")
    return tuple(found[f"layer{k}"] for k in range(len(found)))


def _steps_of_spikes(x: NDArray[Any], time_steps: int | None) -> int:
    if x.ndim not in (3, 5) or not x.size or not np.isin(x, (0, 1)).all():
        raise InputError(
            f"inputs of shape {x.shape}: spikes 0 and 1, (samples, time steps, channels, height, width) or "
            "(samples, time steps, channels), are needed"
        )
    if time_steps is not None:
        raise InputError(f"time steps = {time_steps}: the inputs have them; give them with biases alone")
    return x.shape[1]


def _steps_with_biases(path: str | PathLike[str], x: NDArray[Any], time_steps: int | None) -> int:
    if x.ndim not in (2, 4) or not x.size or not (np.rint(x) == x).all() or np.abs(x).max() > LARGEST_BIAS:
        raise InputError(
            f"inputs of shape {x.shape}: the input layer has neurons: whole numbers up to {LARGEST_BIAS} in size, "
            "(samples, channels, height, width) or (samples, channels), are needed"
        )
    if time_steps is None:
        with h5py.File(path) as file:
            found = file.get("simulation/tSample")
            time_steps = None if found is None else int(found[()])
    if time_steps is None or time_steps < 2:
        raise InputError("the file does not say how many time steps a sample has: give their number, at least 2")
    return time_steps
