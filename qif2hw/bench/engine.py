"""Speed of the integer engine on event-driven networks, against the exact reference and against its specification.

Ratios are of CPU time, and all ways run in turns in one process: on a busy machine they say more than times.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from qif2hw import engine, reference, zoo
from qif2hw.bench.result import Figure
from qif2hw.bench.timing import costs
from qif2hw.bundle import Bundle
from qif2hw.errors import InputError
from qif2hw.host import machine
from qif2hw.ir import PlaneVector, Program

NETWORKS = ("parabola", "navier_stokes_pinn", "ripple", "burgers_pinn")
"""What is measured by default, of the zoo: tables alone in the first two, plane vectors in part of the others."""
SPECIFICATION_SAMPLES = 50
"""Samples that the specification runs, which is not compiled."""

Progress = Callable[[int, int, str], None]


def check_samples(samples: int) -> None:
    """`InputError` unless so many samples can be measured."""
    if samples < 1:
        raise InputError(f"samples = {samples}: at least one is needed")


def networks() -> dict[str, Bundle]:
    """The default networks by name."""
    return {name: zoo.bundle(name) for name in NETWORKS}


def bench(
    bundles: dict[str, Bundle], *, samples: int = 2000, seconds: float = 5.0, progress: Progress | None = None
) -> dict[str, Any]:
    """Measure how long random inputs take.

    Parameters
    ----------
    bundles
        Event-driven networks, by name.
    samples
        Inputs of engine and reference; the specification runs `SPECIFICATION_SAMPLES` of them.
    seconds
        What repetitions of a network take, about.
    progress
        Called with what is done, the number of measurements, and the next one.

    Returns
    -------
    dict
        ``machine``; ``rows``: network, machine steps, populations, how many of them are plane vectors, spikes of a
        sample, and for each way microseconds of CPU time and by the clock of a sample (``cpu_us``, ``wall_us``);
        ``ratios`` of CPU times of the engine's to others.

    Raises
    ------
    InputError
        If ``samples`` is below 1.
    """
    check_samples(samples)
    note = progress or (lambda done, of, what: None)
    rows = []
    for k, (name, bundle) in enumerate(bundles.items()):
        note(k, len(bundles), name)
        rows.append(_row(name, bundle.program, samples, seconds))
    ratios = {
        f"{row['network']}, {what} / engine": row["cpu_us"][what] / row["cpu_us"]["engine"]
        for row in rows
        for what in ("reference", "specification")
    }
    return {"machine": machine(), "samples": samples, "rows": rows, "ratios": ratios}


def _row(name: str, program: Program, samples: int, seconds: float) -> dict[str, Any]:
    x = program.unscaled(np.random.default_rng(0).random((samples, program.inputs)))
    few = x[:SPECIFICATION_SAMPLES]
    ways: dict[str, tuple[int, Callable[[], Any]]] = {
        "engine": (len(x), partial(engine.run, program, x)),
        "reference": (len(x), partial(reference.run, program.network(), x)),
        "specification": (len(few), partial(engine.run, program, few, machine="spec")),
    }
    found = costs({what: call for what, (_, call) in ways.items()}, seconds)
    counts = engine.run(program, x, keep="counts").counts
    return {
        "network": name,
        "steps": program.steps,
        "populations": len(program.populations),
        "plane_vectors": sum(isinstance(p.ptc, PlaneVector) for p in program.populations),
        "spikes_per_sample": float(sum(int(count.sum()) for count in counts.values())) / samples,
        "cpu_us": {what: 1e6 * found[what].cpu / number for what, (number, _) in ways.items()},
        "wall_us": {what: 1e6 * found[what].wall / number for what, (number, _) in ways.items()},
    }


def figures(result: dict[str, Any]) -> dict[str, Figure]:
    """Figures of a result of `bench`, for `qif2hw.bench.result`: times of the engine by CPU, and ratios to others."""
    found = {f"{row['network']}, engine": Figure(1e-3 * row["cpu_us"]["engine"], "ms") for row in result["rows"]}
    return found | {name: Figure(ratio, "ratio") for name, ratio in result["ratios"].items()}
