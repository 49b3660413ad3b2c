"""Accuracies of classification by the first spike, as docs/first-spike.md prints them, as JSON.

    python scripts/first_spike.py digits OUT.json [SPLITS]
    python scripts/first_spike.py fashion_mnist OUT.json [SEEDS]

Trains each network (state in OUT.json.N.state: an interrupted call goes on), compiles it to 8-bit weights and runs all
test images on the float network and on the engine.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import qif2hw
from qif2hw.experiments.tasks import digits_first_spike, fashion_mnist_first_spike
from qif2hw.files import write_text
from qif2hw.host import machine
from qif2hw.train import Task, train

RUNS = 5
"""Splits of the digits, or seeds of the training."""


def accuracies(task: Task, seed: int, state: Path) -> dict[str, Any]:
    """Of the float network and of the engine at 8 bits, in percent, and the seconds of the training."""

    def progress(done: int, total: int, loss: float, error: float) -> None:
        print(f"  {done} of {total}: loss {loss:.3f}, error {100 * error:.2f} %", file=sys.stderr)

    began = time.process_time()
    result = train(task, seed=seed, checkpoint=state, progress=progress)
    processor = time.process_time() - began
    bundle = qif2hw.compile(result.network, rounding="nearest", weight_bits=8)
    run = bundle.run(result.x, keep="counts")
    found = {
        "float_percent": 100 * (1 - result.error),
        "engine_percent": 100 * float(np.mean(run.label == result.truth[:, 0])),
        "same_class_percent": 100 * float(np.mean(run.label == result.y[:, 0])),
        "spikes": sum(int(count.sum()) for count in run.counts.values()) / len(result.x),
        "seconds": round(result.seconds, 1),
        "processor_seconds": round(processor, 1),
    }
    state.unlink()
    return found


def main(name: str, out: Path, runs: int = RUNS) -> None:
    """Write the accuracies of all runs and their means."""
    tasks: dict[str, Callable[[int], Task]] = {
        "digits": lambda k: digits_first_spike.make(split=k),
        "fashion_mnist": lambda k: fashion_mnist_first_spike.make(),
    }
    rows: list[dict[str, Any]] = []
    for k in range(runs):
        seed = 0 if name == "digits" else k
        rows.append(accuracies(tasks[name](k), seed, out.with_name(f"{out.name}.{k}.state")))
        print(k, rows[-1], file=sys.stderr)
        means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
        write_text(out, json.dumps({"task": name, "machine": machine(), "mean": means, "runs": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:4]))
