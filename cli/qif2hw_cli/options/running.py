"""Options of commands that run a network: its backend, the processes that share the work, shards of the samples."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import click

from qif2hw import backends
from qif2hw_cli.options.streams import OUTPUT_FOLDER
from qif2hw_cli.output.console import Output

F = TypeVar("F", bound=Callable[..., Any])

RANDOM_SAMPLES = 256
"""Inputs of a parity check for which none are given."""


def backend_options(function: F) -> F:
    """Add the options of backends, ``--mode`` and ``--timeout``; those given arrive in ``**options``."""

    @functools.wraps(function)
    def with_options(*, mode: str | None, timeout: float | None, **others: Any) -> Any:
        given = {"mode": mode, "timeout": timeout}
        return function(**others, **{name: value for name, value in given.items() if value is not None})

    mode = click.option(
        "--mode",
        type=click.Choice(["fused", "modular"]),
        help="Lava: one Process for all samples (fused, the default), or a graph of Processes (modular, slow).",
    )
    timeout = click.option(
        "--timeout", type=click.FloatRange(min=0, min_open=True), metavar="S", help="Lava: end it after S seconds."
    )
    return cast(F, mode(timeout(with_options)))


def worker_options(function: F) -> F:
    """Add ``--workers``, ``--jobs`` and ``--scheduler``: they arrive as ``pool``, arguments of `workers.workers`."""

    @functools.wraps(function)
    def with_pool(*, workers: str, jobs: int, scheduler: str, **others: Any) -> Any:
        return function(**others, pool={"kind": workers, "jobs": jobs, "scheduler": scheduler})

    kind = click.option(
        "--workers",
        type=click.Choice(["local", "dask"]),
        default="local",
        show_default=True,
        help="Where the work is done: on this machine, or on a Dask cluster. Results are the same.",
    )
    jobs = click.option("--jobs", type=int, default=1, show_default=True, help="Processes of this machine.")
    scheduler = click.option(
        "--scheduler", default="", metavar="ADDRESS", help="Of the Dask cluster, like tcp://127.0.0.1:8786."
    )
    return cast(F, kind(jobs(scheduler(with_pool))))


def shard_options(function: F) -> F:
    """Add ``--shards`` (a folder or None) and ``--shard`` (``3/8`` or None)."""
    folder = click.option(
        "--shards", type=OUTPUT_FOLDER, metavar="FOLDER", help="Join the shards in this folder, in place of running."
    )
    one = click.option("--shard", metavar="K/N", help="Run the K-th of N shards of the samples alone, into --shards.")
    return folder(one(function))


def choose_backends(out: Output, chosen: str | None = None) -> tuple[str, ...]:
    """Names of the backends in ``chosen``; by default those of a parity check, with a note about what is missing."""
    if chosen is not None:
        names = tuple(name.strip() for name in chosen.split(","))
        for name in names:
            backends.get(name).check()
        return names
    able = []
    for backend in backends.in_parity():
        missing = backend.missing()
        if missing is None:
            able.append(backend.name)
        else:
            out.note(f"{backend.name.upper()} IS LEFT OUT: {missing}")
    return tuple(able)
