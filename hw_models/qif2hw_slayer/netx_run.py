"""Run a SLAYER file on netx in a child process: spikes of every layer, for comparison with other executions."""

import importlib.util
import json
import math
import sys
import tempfile
from os import PathLike
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from qif2hw.errors import InputError
from qif2hw_lava.interpreter import ask
from qif2hw_lava.job import read_arrays, write_arrays
from qif2hw_lava.launch import run_worker

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


def run(path: str | PathLike[str], x: ArrayLike, *, timeout: float | None = None) -> tuple[NDArray[np.bool_], ...]:
    """Run samples one after the other through netx; its neurons are reset between them.

    Parameters
    ----------
    path
        A file as SLAYER's blocks write it, with neurons that netx knows, or of type QIF.
    x
        Spikes 0 and 1, (samples, time steps, channels, height, width) or (samples, time steps, channels).
    timeout
        Hard limit in seconds; by default one that grows with steps.

    Returns
    -------
    tuple of array
        Spikes by layer with neurons, (samples, time steps, neurons), neurons in the order channel, height, width.

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
    spikes = np.asarray(x)
    if spikes.ndim not in (3, 5) or not spikes.size or not np.isin(spikes, (0, 1)).all():
        raise InputError(
            f"inputs of shape {spikes.shape}: spikes 0 and 1, (samples, time steps, channels, height, width) or "
            "(samples, time steps, channels), are needed"
        )
    wanted = input_shape(path)
    if wanted is not None and wanted != spikes.shape[2:]:
        raise InputError(f"inputs of shape {spikes.shape}: the network takes {wanted} per step")
    python = ask(sys.executable)
    if isinstance(python, str):
        raise InputError(f"netx cannot run here: {python}")
    limit = 120 + 0.5 * spikes.shape[0] * spikes.shape[1] if timeout is None else timeout
    with tempfile.TemporaryDirectory(prefix="qif2hw-netx-") as name:
        folder = Path(name)
        (folder / "job.json").write_text(json.dumps({"net": str(Path(path).resolve())}), encoding="utf-8")
        write_arrays(folder, "inputs", {"x": spikes.astype(np.int8)})
        run_worker(python, folder, limit, module=MODULE)
        found = read_arrays(folder, "results")
    return tuple(found[f"layer{k}"] for k in range(len(found)))
