"""Networks of either clock to NIR."""

import io
import os
from pathlib import Path
from typing import Any

from qif2hw.errors import InputError
from qif2hw.files import write_bytes
from qif2hw.ir.nir import stepped, trial
from qif2hw.ir.nir.tree import KEY
from qif2hw.ir.stepped import AnyNetwork, SteppedNetwork


def save(network: AnyNetwork, path: str | os.PathLike[str]) -> Path:
    """Write a network to a NIR file; equal networks need not give equal bytes.

    Raises
    ------
    InputError
        As of `to_graph`.
    """
    graph = to_graph(network)
    import nir

    opened = io.BytesIO()
    nir.write(opened, graph)
    return write_bytes(path, opened.getvalue())


def to_graph(network: AnyNetwork) -> Any:
    """A network as a ``nir.NIRGraph``: `qif2hw.ir.nir.trial`, with a stepped clock `qif2hw.ir.nir.stepped`.

    Raises
    ------
    InputError
        If the package ``nir`` is missing, a name holds a ``/``, which HDF5 refuses, or NIR has no place for a part of
        a network in time steps.
    """
    try:
        import nir as nir
    except ImportError:
        raise InputError("writing NIR needs the package nir: pip install 'qif2hw[nir]'") from None
    odd = [part.name for part in network.parts if "/" in part.name or "." in part.name or not part.name]
    if odd:
        raise InputError(f"the name '{odd[0]}' cannot be that of a NIR node: '/', '.' and empty names are not possible")
    return stepped.graph_of(network, KEY) if isinstance(network, SteppedNetwork) else trial.graph_of(network)
