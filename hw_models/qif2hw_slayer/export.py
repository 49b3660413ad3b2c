"""Write a network of SLAYER's blocks to HDF5."""

from collections.abc import Iterable
from os import PathLike

import h5py
import numpy as np
from torch import nn

from qif2hw.errors import InputError


def save(
    blocks: Iterable[nn.Module],
    path: str | PathLike[str],
    *,
    input_shape: tuple[int, ...],
    time_steps: int | None = None,
) -> None:
    """Write blocks in their order, behind an input layer, as netx and ``qif2hw import`` read them.

    Parameters
    ----------
    blocks
        SLAYER's blocks, with neurons of any kind, after their first forward pass, from which they know their shapes.
    path
        The file, usually ``*.net``.
    input_shape
        Channels, height and width of the input; or (channels,).
    time_steps
        Steps of a sample, if the file shall say it.

    Raises
    ------
    InputError
        If a block has not been run yet, or cannot be exported.
    """
    blocks = list(blocks)
    for n, block in enumerate(blocks, start=1):
        if not hasattr(block, "export_hdf5"):
            raise InputError(f"block {n}, {type(block).__name__}, cannot be exported: it has no export_hdf5")
        if block.shape is None:
            raise InputError(f"block {n}, {type(block).__name__}, does not know its shape: run the network once first")
    with h5py.File(path, "w") as file:
        layers = file.create_group("layer")
        first = layers.create_group("0")
        first.create_dataset("type", (1,), "S10", [b"input"])
        first.create_dataset("shape", data=np.array(input_shape))
        for n, block in enumerate(blocks, start=1):
            block.export_hdf5(layers.create_group(str(n)))
        if time_steps is not None:
            file["simulation/Ts"], file["simulation/tSample"] = 1, time_steps
