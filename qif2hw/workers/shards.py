"""Samples in shards: which they are, and a backend that runs them on workers."""

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

from qif2hw import backends
from qif2hw.backends import Backend, Execution
from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.spikes import Keep, Run, joined_runs
from qif2hw.ir.stepped import AnyRun, SteppedRun, joined
from qif2hw.workers.pool import Here, Workers

UNIT = 256
"""Shards begin at multiples of this many samples, as the blocks do in which the reference works: products of matrices
of the same samples are the same products, bit for bit."""
PARTS = 4
"""Parts for each worker: one that is slow or lost holds up less."""


@dataclass(frozen=True)
class Shard:
    """One of ``count`` shards, ``number`` from 1 on."""

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise InputError(f"shard {self}: the first number goes from 1 to the second")

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """From ``3/8``; `InputError` on anything else."""
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
        if found is None:
            raise InputError(f"shard '{text}': a number and how many there are is needed, like 3/8")
        return cls(int(found[1]), int(found[2]))

    def of(self, samples: int) -> slice:
        """Its samples; `InputError` if there are fewer shards."""
        parts = split(samples, self.count)
        if len(parts) < self.count:
            raise InputError(
                f"shard {self}: {samples} samples have at most {len(parts)} shards (of {UNIT} samples or more)"
            )
        return parts[self.number - 1]


def split(samples: int, shards: int) -> list[slice]:
    """Slices of consecutive samples that begin at multiples of `UNIT`: ``shards``, or as many as there can be."""
    units = max(1, -(-samples // UNIT))
    count = max(1, min(shards, units))
    edges = [min(samples, UNIT * (units * k // count)) for k in range(count + 1)]
    return [slice(low, high) for low, high in pairwise(edges)]


def join(parts: Iterable[tuple[int, AnyRun]], keep: Keep = "spikes") -> AnyRun:
    """One run of those of consecutive shards, each with the number of its first sample."""
    found = list(parts)
    if isinstance(found[0][1], SteppedRun):
        stepped = [run for _, run in found if isinstance(run, SteppedRun)]
        return joined(stepped[0].backend, stepped, keep)
    return joined_runs([(first, run) for first, run in found if isinstance(run, Run)], keep)


def shared(backend: Backend, pool: Workers) -> Backend:
    """The backend, its samples run on workers in shards: the same run, bit for bit."""
    if isinstance(pool, Here):
        return backend

    stepped = backend.stepped
    if stepped is not None:
        stepped = Execution(partial(_run, pool, backend.name, True), _with_progress(stepped.options))
    run: Callable[..., Any] = partial(_run, pool, backend.name, False)
    return replace(
        backend,
        execute=run,
        options=_with_progress(backend.options),
        stepped=stepped,
    )


def _with_progress(options: tuple[str, ...]) -> tuple[str, ...]:
    return (*dict.fromkeys((*options, "progress")),)


@dataclass(frozen=True)
class _Task:
    """What a worker runs: a backend by name, the program or network, and options."""

    backend: str
    stepped: bool
    subject: Any
    options: dict[str, Any]


def _run(
    pool: Workers,
    name: str,
    stepped: bool,
    subject: Any,
    x: FloatArray,
    *,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> AnyRun:
    start = time.perf_counter()
    parts = split(len(x), PARTS * pool.size)
    found: list[tuple[int, AnyRun]] = []
    task = _Task(name, stepped, subject, options)
    for part, run in zip(parts, pool.map(_execute, task, [x[part] for part in parts]), strict=True):
        found.append((part.start, run))
        if progress is not None:
            progress(part.stop, len(x))
    return replace(join(found, options.get("keep", "spikes")), seconds=time.perf_counter() - start)


def _execute(task: _Task, x: FloatArray) -> AnyRun:
    backend = backends.get(task.backend)
    backend.check()
    how = backend.stepped if task.stepped else Execution(backend.execute, backend.options)
    if how is None:
        raise InputError(f"backend '{task.backend}' does not run networks with a stepped clock")
    return how.execute(task.subject, x, **task.options)
