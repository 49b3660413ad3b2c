"""``-`` in place of a file: standard input is read, standard output is written."""

import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import click

STREAM = "-"
NONE = "qif2hw_cli.options.streams.none"
"""Key of a context's ``meta`` where there are no such streams: commands that run later, elsewhere."""
_READ = "qif2hw_cli.options.streams.read"


class InputFile(click.Path):
    """A file that is read; ``-`` is what standard input holds, once."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, of a temporary file for ``-``."""
        if value != STREAM or ctx is None:
            return super().convert(value, param, ctx)
        _check(self, param, ctx)
        if ctx.meta.setdefault(_READ, param) is not param:
            self.fail("standard input (-) can be read once.", param, ctx)
        path = _folder(ctx) / "stdin"
        with path.open("wb") as file:
            for part in iter(lambda: sys.stdin.buffer.read(1 << 20), b""):
                file.write(part)
        return str(path)


class OutputFile(click.Path):
    """A file that is written; ``-`` is standard output, while everything that is printed goes to stderr."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, of a temporary file for ``-`` that is copied to standard output at the end."""
        if value != STREAM or ctx is None:
            return super().convert(value, param, ctx)
        _check(self, param, ctx)
        path, stdout = _folder(ctx) / "stdout", sys.stdout

        def copy() -> None:
            if path.exists():
                stdout.buffer.write(path.read_bytes())

        ctx.find_root().call_on_close(copy)
        ctx.find_root().with_resource(redirect_stdout(sys.stderr))
        return str(path)


class OutputOnDisk(click.Path):
    """What is written and cannot be a stream: a folder, or a file that is read again; ``-`` is refused."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path."""
        if value == STREAM:
            self.fail(f"{self.what} is needed, not a stream (-).", param, ctx)
        return super().convert(value, param, ctx)


def _check(kind: click.Path, param: click.Parameter | None, ctx: click.Context) -> None:
    if NONE in ctx.meta:
        kind.fail("a job has neither standard input nor output (-): a file is needed.", param, ctx)


def _folder(ctx: click.Context) -> Path:
    """A folder for one file until the command ends; where its arguments are refused, the root alone is closed."""
    return Path(ctx.find_root().with_resource(tempfile.TemporaryDirectory(prefix="qif2hw-"))).resolve()


INPUT, OUTPUT = InputFile(), OutputFile()
OUTPUT_FOLDER, KEPT_FILE = OutputOnDisk("a folder"), OutputOnDisk("a file")


def is_stream(path: str) -> bool:
    """Whether a path is that of the temporary file which ``-`` became."""
    return Path(path).name in ("stdin", "stdout") and Path(path).parent.name.startswith("qif2hw-")
