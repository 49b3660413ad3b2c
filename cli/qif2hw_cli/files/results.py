"""Files of results: what `qif2hw run` writes."""

import csv
import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from qif2hw.files import write_bytes
from qif2hw.ir import Network
from qif2hw.ir.stepped import AnyNetwork, AnyRun, SteppedRun


def write_run(path: str | os.PathLike[str], run: AnyRun, network: AnyNetwork, *, as_table: bool = False) -> None:
    """Write a run: its solution ``as_table`` (CSV, with tabs in a file ``.tsv``), else its arrays as npz.

    The columns of the table have the names of the model's outputs; a classifier's last one, ``label``, the class.
    """
    if not as_table:
        _write_arrays(path, run)
        return
    names = [f"y{k}" for k in range(run.y.shape[1])]
    host = network.host if isinstance(network, Network) else None
    if host is not None:
        names = [one.name for one in host.outputs]
    labels: list[Any] | None = None if run.label is None else run.label.tolist()
    if labels is not None and isinstance(network, Network):
        classes = network.classes or ()
        labels = [classes[k] for k in labels]
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t" if Path(path).suffix.lower() == ".tsv" else ",", lineterminator="\n")
    writer.writerow(names if labels is None else [*names, "label"])
    for row, values in enumerate(run.y.tolist()):
        writer.writerow(values if labels is None else [*values, labels[row]])
    write_bytes(path, text.getvalue().encode())


def _write_arrays(path: str | os.PathLike[str], run: AnyRun) -> None:
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
    write_bytes(path, buffer.getvalue())
