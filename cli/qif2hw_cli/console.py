"""What all commands share: output for people or for machines, and progress on stderr."""

import functools
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import click
from click.core import ParameterSource

F = TypeVar("F", bound=Callable[..., Any])

SEED = click.IntRange(0, 2**63 - 1)
"""Of random numbers: what numpy and torch both take."""


def json_option(function: F) -> F:
    """Add ``--json`` as ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout, for machines.")(
        function
    )


def threads_option(function: F) -> F:
    """Add ``--threads``, which holds for the command and for the processes that it starts."""

    def use(context: click.Context, _: click.Parameter, count: int | None) -> None:
        if count is not None:
            from qif2hw.thread_count import at_most

            context.with_resource(at_most(count))

    return click.option(
        "--threads",
        type=click.IntRange(min=1),
        metavar="N",
        expose_value=False,
        callback=use,
        help="Most threads of this command; as many as there are cores if not given. Results are the same.",
    )(function)


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
        "--shards", type=click.Path(), metavar="FOLDER", help="Join the shards in this folder, in place of running."
    )
    one = click.option("--shard", metavar="K/N", help="Run the K-th of N shards of the samples alone, into --shards.")
    return folder(one(function))


def given_options() -> set[str]:
    """Names of the parameters that stand on the command line."""
    context = click.get_current_context()
    return {name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}


def example(*lines: str) -> str:
    """Epilogue of a command's help: examples of its use."""
    return "\b\nExample" + ("s" if len(lines) > 1 else "") + ":\n" + "\n".join(f"  {line}" for line in lines)


class Output:
    """Results on stdout, as text or as one JSON object; progress on stderr."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def say(self, text: str = "") -> None:
        """A line for people."""
        if not self.as_json:
            click.echo(text)

    def note(self, text: str) -> None:
        """A line about the work in progress, or something people should know, on stderr."""
        click.echo(text, err=True)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], names: int = 1) -> None:
        """A table for people; the first ``names`` columns hold names, the others numbers."""
        if self.as_json:
            return
        # Here, because rich takes a while to import.
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120, highlight=False)
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for k, column in enumerate(columns):
            table.add_column(Text(column), justify="right" if k >= names else "left", overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        console.print(Text(title, style="bold"))
        console.print(table)

    def data(self, value: Mapping[str, Any]) -> None:
        """The JSON object for machines."""
        if self.as_json:
            click.echo(to_json(value))

    @contextmanager
    def stage(self, name: str) -> Iterator["Stage"]:
        """Time a piece of work and report its progress."""
        stage = Stage(name)
        try:
            yield stage
        finally:
            stage.end()


class Stage:
    """A piece of work: a bar on a terminal, otherwise a line now and then."""

    EVERY = 10.0

    def __init__(self, name: str) -> None:
        self.name = name
        self.start = self._reported = time.perf_counter()
        self.seconds = 0.0
        self._live = sys.stderr.isatty()
        self._progress: Any = None
        if self._live:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            self._progress = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[detail]}", markup=False),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._progress.add_task(name, total=None, detail="")
            self._progress.start()

    def update(self, done: float, total: float, detail: str = "") -> None:
        """Report progress: ``done`` of ``total``, and a few words more."""
        if self._live:
            self._progress.update(self._task, completed=done, total=total, detail=detail)
        elif time.perf_counter() - self._reported >= self.EVERY:
            self._reported = time.perf_counter()
            click.echo(f"{self.name}: {done:g} of {total:g}{'  ' * bool(detail)}{detail}", err=True)

    def end(self) -> None:
        """Stop the clock and the bar."""
        self.seconds = time.perf_counter() - self.start
        if self._live:
            self._progress.stop()


def can_show(text: str) -> bool:
    """Whether standard output has these characters."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def plain(value: Any) -> Any:
    """A value as JSON has it: arrays (numpy's have ``tolist``) become lists, numbers that JSON lacks become null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def to_json(value: Mapping[str, Any]) -> str:
    """JSON text of a result."""
    return json.dumps(plain(value), indent=2, allow_nan=False)


def percent(value: float | None) -> str:
    """A relative error for people; a dash where there is none."""
    return "-" if value is None or not math.isfinite(value) else f"{100 * value:.3g} %"


def seconds(value: float) -> str:
    """A duration for people."""
    return f"{value:.2f} s" if value < 60 else f"{value / 60:.1f} min"


def size(count: float) -> str:
    """A number of bytes for people."""
    return f"{count:.0f} B" if count < 1024 else f"{count / 1024:.1f} KiB"
