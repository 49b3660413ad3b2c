"""Error of a network on coarse time grids, with and without the lateness of spikes."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from qif2hw import engine, reference
from qif2hw.compiler import CompileOptions, compile_network
from qif2hw.compiler.error_measures import by_size, check_not_zero
from qif2hw.errors import InputError
from qif2hw.ir import Network

PAYLOADS: dict[str, dict[str, int]] = {
    "none": {"payload_bits": 0},
    "lateness": {"lateness_moments": 1},
    "lateness and its square": {"lateness_moments": 2},
}
"""Compiler options by what spikes carry."""


def time_grid_errors(
    network: Network,
    steps: Sequence[int],
    samples: int = 2000,
    seed: int = 0,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[dict[str, Any]]:
    """Compile a network for several numbers of steps, and measure the engine against the float network.

    Parameters
    ----------
    network
        A trained network.
    steps
        Most machine steps of a trial, one row each.
    samples, seed
        Random inputs, which the compiler has not seen.
    progress
        Called with what is done, how much there is, and what comes next.

    Returns
    -------
    list of dict
        ``steps`` and ``error``: by the keys of `PAYLOADS`, the relative root-mean-square error of the results.

    Raises
    ------
    InputError
        If there is no sample, or a number of steps is not possible.
    """
    if samples < 1:
        raise InputError(f"samples = {samples}: at least one is needed")
    x = network.unscaled(np.random.default_rng(seed).random((samples, network.width)))
    exact = reference.run(network, x).y
    check_not_zero(network, exact)
    rows: list[dict[str, Any]] = []
    for most in steps:
        error: dict[str, float] = {}
        for name, options in PAYLOADS.items():
            if progress is not None:
                progress(len(rows) * len(PAYLOADS) + len(error), len(steps) * len(PAYLOADS), f"{most}: {name}")
            program = compile_network(network, CompileOptions(steps=most, **options)).program  # type: ignore[arg-type]
            error[name] = by_size(exact)(engine.run(program, x).y)
        rows.append({"steps": most, "error": error})
    return rows
