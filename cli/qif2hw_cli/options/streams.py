"""Files of the command line: ``-`` is standard input or output, and no output is another parameter's file.

Commands read files as often as they like: what comes from standard input or another pipe is copied to a file before.
"""

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import click

from qif2hw.errors import InputError
from qif2hw.files import check_ends, reason
from qif2hw_cli.output import names

STREAM = "-"
NONE = "qif2hw_cli.options.streams.none"
"""Key of a context's ``meta`` where there are no such streams: commands that run later, elsewhere."""
_READ = "qif2hw_cli.options.streams.read"
_FILES = "qif2hw_cli.options.streams.files"
_STDIN = "/dev/stdin"


class File(click.Path):
    """A file or a folder, read unless ``writes``."""

    writes = folder = False

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; `InputError` if it would be overwritten, or overwrite what another parameter names."""
        if value == STREAM and ctx is not None:
            return self.stream(param, ctx)
        path = str(super().convert(value, param, ctx))
        if param is not None and ctx is not None and (file := self.file(path)):
            _add(_Named(self, param, path, file), ctx)
        return path

    def stream(self, param: click.Parameter | None, ctx: click.Context) -> str:
        """What ``-`` becomes."""
        raise NotImplementedError

    def file(self, value: str) -> str:
        """The file or folder that a value names; empty if it names none."""
        return value


class InputFile(File):
    """A file that is read, or a pipe; ``-`` is what standard input holds, once."""

    def __init__(self, is_name: Callable[[str], bool] = lambda _: False) -> None:
        super().__init__()
        self.is_name = is_name
        """Whether a value is a name of something else, even where there is a file of that name."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, of a pipe that of a temporary file; errors are those of `File.convert`."""
        path = super().convert(value, param, ctx)
        if value == STREAM or ctx is None or not _is_pipe(path):
            return path
        _check(self, param, ctx)
        try:
            with Path(path).open("rb") as source:
                return _copy(source, ctx, path)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({reason(error)})") from None

    def stream(self, param: click.Parameter | None, ctx: click.Context) -> str:
        """The path of a temporary file."""
        _check(self, param, ctx)
        if ctx.meta.setdefault(_READ, param) is not param:
            self.fail("standard input (-) can be read once.", param, ctx)
        if param is not None:
            _add(_Named(self, param, STREAM, _STDIN), ctx)
        if sys.stdin is None:
            self.fail("standard input (-) is closed.", param, ctx)
        check_ends(sys.stdin.buffer, STREAM)
        return _copy(sys.stdin.buffer, ctx, STREAM)

    def file(self, value: str) -> str:
        """The file, also of ``FILE:COLUMN``."""
        found = next(filter(os.path.exists, (value, value.rpartition(":")[0])), "")
        return "" if found and self.is_name(value) else found


class NamedInput(InputFile):
    """What is read and cannot be a stream: ``-`` is a name like any other."""

    def stream(self, param: click.Parameter | None, ctx: click.Context) -> str:
        """The name."""
        return STREAM


class OutputFile(File):
    """A file that is written; ``-`` is standard output, while everything that is printed goes to stderr."""

    writes = True

    def stream(self, param: click.Parameter | None, ctx: click.Context) -> str:
        """The path of a temporary file that is copied to standard output at the end."""
        _check(self, param, ctx)
        path, stdout = _path(ctx, STREAM), sys.stdout

        def copy() -> None:
            if path.exists():
                stdout.buffer.write(path.read_bytes())

        ctx.find_root().call_on_close(copy)
        ctx.find_root().with_resource(redirect_stdout(sys.stderr))
        return str(path)


class PrintedFile(OutputFile):
    """A file that is written; ``-`` is printed by the command."""

    def stream(self, param: click.Parameter | None, ctx: click.Context) -> str:
        """``-`` itself."""
        return STREAM


class OutputOnDisk(File):
    """What is written and cannot be a stream: a folder, or a file that is read again; ``-`` is refused."""

    writes = True

    def __init__(self, *, folder: bool) -> None:
        super().__init__()
        self.folder = folder

    def stream(self, param: click.Parameter | None, ctx: click.Context) -> str:
        """Refused."""
        self.fail(f"{'a folder' if self.folder else 'a file'} is needed, not a stream (-).", param, ctx)


class _Named(NamedTuple):
    """A file that a parameter names on the command line."""

    kind: File
    param: click.Parameter
    value: str
    file: str

    def spoils(self, other: "_Named") -> bool:
        """Whether writing this one destroys the other, or what is written to it."""
        if not self.kind.writes or self.param is other.param:
            return False
        # Into a folder others may write too, and it may hold inputs: commands look at what is in it.
        if self.kind.folder and (other.kind.folder or not other.kind.writes):
            return False
        try:
            return Path(self.file).samefile(other.file)
        except OSError:
            return os.path.realpath(self.file) == os.path.realpath(other.file)


def _add(new: _Named, ctx: click.Context) -> None:
    for old in ctx.meta.setdefault(_FILES, []):
        for one, other in ((new, old), (old, new)):
            if one.spoils(other):
                what = f"what {other.param.opts[0]} writes" if other.kind.writes else f"the input {other.value}"
                raise InputError(f"{one.param.opts[0]} {one.value}: it is {what}; name another file")
    ctx.meta[_FILES].append(new)


def _check(kind: click.Path, param: click.Parameter | None, ctx: click.Context) -> None:
    if NONE in ctx.meta:
        kind.fail("a job has neither standard input nor output (-), nor pipes: a file is needed.", param, ctx)


def _is_pipe(path: str) -> bool:
    with suppress(OSError, ValueError):
        return stat.S_ISFIFO(os.stat(path).st_mode)  # noqa: PTH116  # of names that are too long an OSError too
    return False


def _copy(source: BinaryIO, ctx: click.Context, shown: str) -> str:
    path = _path(ctx, shown)
    with path.open("wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
    return str(path)


def _path(ctx: click.Context, shown: str) -> Path:
    """A file, until the command ends; where its arguments are refused, the root alone is closed.

    It has the name that is shown too: commands name things after their files.
    """
    folder = ctx.find_root().with_resource(tempfile.TemporaryDirectory(prefix="qif2hw-"))
    path = Path(folder).resolve() / Path(shown).name
    names.show(str(path), shown)
    return path


INPUT, OUTPUT, PRINTED = InputFile(), OutputFile(), PrintedFile()
OUTPUT_FOLDER, KEPT_FILE = OutputOnDisk(folder=True), OutputOnDisk(folder=False)


def is_stream(path: str) -> bool:
    """Whether a path is that of the temporary file which ``-`` became."""
    return names.shown(path) == STREAM != path
