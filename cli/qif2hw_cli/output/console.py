"""What commands print: results for people or for machines on stdout, progress on stderr."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

from qif2hw_cli.output.formats import to_json
from qif2hw_cli.output.names import shown


def echo(text: str, *, err: bool = False) -> None:
    """Print a line on stdout, or on stderr; all that commands say goes through here."""
    click.echo(shown(text), err=err)


class Output:
    """Results on stdout, as text or as one JSON object; progress on stderr."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def say(self, text: str = "") -> None:
        """A line for people."""
        if not self.as_json:
            echo(text)

    def note(self, text: str) -> None:
        """A line about the work in progress, or something people should know, on stderr."""
        echo(text, err=True)

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
            table.add_row(*(Text(shown(cell)) for cell in row))
        console.print(Text(shown(title), style="bold"))
        console.print(table)

    def data(self, value: Mapping[str, Any]) -> None:
        """The JSON object for machines."""
        if self.as_json:
            echo(to_json(value))

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
            echo(f"{self.name}: {done:g} of {total:g}{'  ' * bool(detail)}{detail}", err=True)

    def end(self) -> None:
        """Stop the clock and the bar."""
        self.seconds = time.perf_counter() - self.start
        if self._live:
            self._progress.stop()
