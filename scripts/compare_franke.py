"""Franke's surface from a table: ``qif2hw train data.csv --weight-bits 8`` against choices made by hand.

2000 random points of the unit square are the table, 2000 others the test.  Errors are ``|y - f| / |f|`` on the test, of
the exact reference and of the engine (`qif2hw.compile`, 512 steps).  ``ratio`` is the engine error of the defaults
over the least of the choices by hand.  Each training takes a minute or two of one thread.

Usage: .venv/bin/python scripts/compare_franke.py [default|FIELDS:HIDDEN:STEPS[:FINISH] ...]      (prints JSON)
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import qif2hw
from qif2hw.ir.arrays import FloatArray
from qif2hw.train.task import relative_l2

ROWS = 2000
DEFAULT = "default"
BY_HAND = (
    "4:64,64:2000",
    "8:64,64:2000",
    "16:64,64:2000",
    "8:64,64:6000",
    "8:64,64,64:2000",
    "8:96,96:2000",
    "8:128,128:2000",
)
"""Receptive fields for each input, hidden layers, first-order steps, and second-order steps where they are not 80."""


def franke(x: FloatArray) -> FloatArray:
    """Franke's function at points (points, 2) of the unit square, (points,)."""
    a, b = 9 * x.T
    return np.asarray(
        0.75 * np.exp(-((a - 2) ** 2 + (b - 2) ** 2) / 4)
        + 0.75 * np.exp(-((a + 1) ** 2) / 49 - (b + 1) / 10)
        + 0.5 * np.exp(-((a - 7) ** 2 + (b - 3) ** 2) / 4)
        - 0.2 * np.exp(-((a - 4) ** 2) - (b - 7) ** 2)
    )


def points(seed: int) -> FloatArray:
    """Random points of the unit square, (ROWS, 2)."""
    return np.random.default_rng(seed).uniform(size=(ROWS, 2))


def measure(choice: str, folder: Path) -> dict[str, Any]:
    """Train by the command line, compile, and measure the errors of a choice."""
    x = points(0)
    data, model = folder / "data.csv", folder / "model.onnx"
    rows = "".join(f"{a!r},{b!r},{f!r}\n" for (a, b), f in zip(x.tolist(), franke(x).tolist(), strict=True))
    data.write_text("x,y,f\n" + rows)
    words = [sys.executable, "-m", "qif2hw_cli", "train", data, "--targets", "f", "-o", model, "--weight-bits", "8"]
    if choice != DEFAULT:
        fields, hidden, steps, *finish = choice.split(":")
        words += ["--fields", fields, "--hidden", hidden, "--steps", steps]
        words += ["--finish", finish[0]] if finish else []
    made = subprocess.run([*map(str, words), "--json"], check=True, stdout=subprocess.PIPE, text=True)
    told = json.loads(made.stdout)
    x = points(1)
    run = qif2hw.compile(model).run(x, clip=True)
    network = qif2hw.load_model(model)
    on_reference = qif2hw.run(network, network.check_inputs(x, clip=True)).y[:, 0]
    found = {
        "sizes": told["sizes"],
        "fields": told["fields"],
        "steps": told["steps"],
        "seconds": round(told["seconds"], 1),
        "reference": relative_l2(on_reference, franke(x)),
        "engine": relative_l2(run.y[:, 0], franke(x)),
    }
    print(f"{choice}: {found}", file=sys.stderr, flush=True)
    return found


def main(choices: list[str]) -> None:
    """Measure, and print the JSON."""
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, Any] = {choice: measure(choice, Path(folder)) for choice in choices}
    by_hand = [value["engine"] for choice, value in found.items() if choice != DEFAULT]
    ratio = found[DEFAULT]["engine"] / min(by_hand) if by_hand and DEFAULT in found else None
    print(json.dumps({**found, "ratio": ratio}, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:] or [DEFAULT, *BY_HAND])
