"""The command ``qif2hw``: finds its commands by name, and turns errors into one line and an exit code.

0 done, 1 a check failed, 2 bad input, 130 interrupted.
"""

import importlib
import io
import os
import sys
import warnings
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qif2hw.errors import BackendError, InputError
from qif2hw.files import reason
from qif2hw.notices import on_compiling
from qif2hw_cli.output.console import echo

if TYPE_CHECKING:
    # What `Commands.get_command` imports by name, for those who check who imports whom.
    from qif2hw_cli.commands import bench as bench
    from qif2hw_cli.commands import compile as compile
    from qif2hw_cli.commands import conformance as conformance
    from qif2hw_cli.commands import demo as demo
    from qif2hw_cli.commands import diff as diff
    from qif2hw_cli.commands import doctor as doctor
    from qif2hw_cli.commands import emit as emit
    from qif2hw_cli.commands import estimate as estimate
    from qif2hw_cli.commands import import_model as import_model
    from qif2hw_cli.commands import inspect as inspect
    from qif2hw_cli.commands import jobs as jobs
    from qif2hw_cli.commands import parity as parity
    from qif2hw_cli.commands import prove as prove
    from qif2hw_cli.commands import reproduce as reproduce
    from qif2hw_cli.commands import run as run
    from qif2hw_cli.commands import search as search
    from qif2hw_cli.commands import submit as submit
    from qif2hw_cli.commands import train as train

# A group without a command, which prints its help; before click 8.2 that is no error.
NoArguments: Any = getattr(click.exceptions, "NoArgsIsHelpError", ())

_COMMANDS = (
    "demo",
    "train",
    "import",
    "compile",
    "run",
    "parity",
    "prove",
    "diff",
    "inspect",
    "estimate",
    "emit",
    "conformance",
    "search",
    "bench",
    "reproduce",
    "submit",
    "jobs",
    "doctor",
)


class Commands(click.Group):
    """Imports the module of a command when it is called: ``--help`` must not wait for numerical libraries."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order in which one needs them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command by name."""
        if cmd_name not in _COMMANDS:
            return None
        module = "import_model" if cmd_name == "import" else cmd_name
        command: click.Command = importlib.import_module(f"qif2hw_cli.commands.{module}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        on_compiling(_say_once)
        return super().invoke(ctx)

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command and exit: an error is one line on stderr."""
        if not extra.get("standalone_mode", True):
            return super().main(*args, **extra)
        try:
            # It returns what a command hands to `click.Context.exit`.
            code = super().main(*args, **extra | {"standalone_mode": False}) or 0
        except NoArguments as error:
            error.show()
            code = 2
        except click.ClickException as error:
            code = _refuse(error.format_message(), 2, getattr(error, "ctx", None))
        except InputError as error:
            code = _refuse(str(error), 2)
        except BackendError as error:
            # Its first line is the reason, the others what the process printed.
            code = _refuse(str(error).partition("\n")[0], 1)
        except (click.Abort, KeyboardInterrupt) as error:
            if isinstance(error.__cause__, EOFError):
                # click takes it for the end of what a user types.
                raise error.__cause__ from None
            echo("interrupted", err=True)
            code = 130
        except MemoryError:
            code = _refuse("not enough memory", 1)
        except BrokenPipeError:
            code = 1
        except OSError as error:
            where = "" if error.filename is None else f"{error.filename}: "
            code = _refuse(f"{where}{reason(error)}", 1)
        sys.exit(_flushed(code))


@lru_cache(1)
def _say_compiling() -> None:
    echo("compiling kernels for their first use; `qif2hw doctor --warm` does it beforehand", err=True)


def _say_once(_kernel: str) -> None:
    _say_compiling()


def _refuse(message: str, code: int, context: click.Context | None = None) -> int:
    """Print an error in one line, with the command whose help says more; returns the code."""
    line = " ".join(message.split())
    echo(f"error: {line} ({context.command_path} --help)" if context else f"error: {line}", err=True)
    return code


def _flushed(code: int) -> int:
    """The exit code once all output is written: 1 if it cannot be, in silence if nobody reads it any more."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer would fail again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1 if isinstance(error, BrokenPipeError) else _refuse(f"standard output: {reason(error)}", 1)
    return code


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning in one line."""
    echo(f"warning: {' '.join(str(message).split())}", err=True)


@click.group("qif2hw", cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="qif2hw")
def cli() -> None:
    """Put networks of QIF neurons on neuromorphic hardware without losing their spike times.

    \b
    train --> model.onnx --> compile --> model.qif --> run --> parity

    Exit codes: 0 done, 1 a check failed, 2 bad input.
    """  # noqa: D301  # click wants the character, not the escape


def main() -> None:
    """Entry point of the command line."""
    # Closed by whoever started this: what is printed is for nobody.
    nobody = Path(os.devnull).open("w")  # noqa: SIM115  # to the end of the process
    sys.stdout, sys.stderr = sys.stdout or nobody, sys.stderr or nobody
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal or file that cannot show a character gets a question mark, not a traceback.
            stream.reconfigure(errors="replace")
    warnings.showwarning = _warn
    cli.main(prog_name="qif2hw")
