"""Seconds of the first commands of a user: with machine code of the kernels on disk, and with none.

Each command is a process of its own, from its start to its end.  ``kept`` is how ``make env`` or
``qif2hw doctor --warm`` leave the machine; ``nothing kept`` is a plain ``pip install``: the kernels that the command
uses are compiled in it.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from qif2hw import zoo
from qif2hw.bench.result import Figure
from qif2hw.errors import BackendError
from qif2hw.host import machine

BUNDLE = "parabola"
"""Network of the zoo that is run, and the task that is trained."""

Progress = Callable[[int, int, str], None]


def commands(folder: Path) -> dict[str, list[str]]:
    """Arguments of ``qif2hw`` by name; inputs and results are in ``folder``."""
    bundle = zoo.bundle(BUNDLE)
    np.save(folder / "x.npy", bundle.golden.x)
    inputs, output, model = (str(folder / name) for name in ("x.npy", "out.npz", "model.onnx"))
    return {
        "help": ["--help"],
        "run": ["run", str(zoo.HOME / f"{BUNDLE}.qif"), "--inputs", inputs, "-o", output],
        "train": ["train", BUNDLE, "--steps", "1", "-o", model],
    }


def bench(repeats: int = 3, progress: Progress | None = None) -> dict[str, Any]:
    """Run every command with machine code kept, once to make it and then repeatedly, and once with none.

    Parameters
    ----------
    repeats
        Of the commands whose machine code is kept; the fastest counts: another program may slow one.
    progress
        Called with what is done, the number of measurements, and the next one.

    Returns
    -------
    dict
        ``machine``; ``rows``: command, ``kept`` and ``nothing_kept`` seconds.

    Raises
    ------
    BackendError
        If a command fails.
    """
    note = progress or (lambda done, of, what: None)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        todo = commands(folder)
        for k, (what, arguments) in enumerate(todo.items()):
            note(k, len(todo), what)
            _seconds(arguments)
            kept = min(_seconds(arguments) for _ in range(repeats))
            empty = folder / f"cache-{what}"
            rows.append({"command": what, "kept": kept, "nothing_kept": _seconds(arguments, empty)})
    return {"machine": machine(), "rows": rows}


def figures(result: dict[str, Any]) -> dict[str, Figure]:
    """Milliseconds of every command, for `qif2hw.bench.result`."""
    return {
        f"{row['command']}, machine code {words}": Figure(1e3 * row[key], "ms")
        for row in result["rows"]
        for key, words in (("kept", "kept"), ("nothing_kept", "compiled"))
    }


def _seconds(arguments: list[str], cache: Path | None = None) -> float:
    """Seconds of one command, with machine code in a folder of its own if ``cache`` is given."""
    environment = dict(os.environ)
    if cache is not None:
        environment.pop("NUMBA_CACHE_DIR", None)
        environment["XDG_CACHE_HOME"] = str(cache)
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "qif2hw_cli", *arguments], env=environment, capture_output=True, text=True
    )
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise BackendError(f"qif2hw {arguments[0]}: {done.stderr.strip().splitlines()[-1]}")
    return seconds
