"""Options and examples that most commands have."""

from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from qif2hw.seeds import LARGEST_SEED

F = TypeVar("F", bound=Callable[..., Any])

SEED = click.IntRange(0, LARGEST_SEED)
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


def given_options() -> set[str]:
    """Names of the parameters that stand on the command line."""
    context = click.get_current_context()
    return {name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}


def example(*lines: str) -> str:
    """Epilogue of a command's help: examples of its use."""
    return "\b\nExample" + ("s" if len(lines) > 1 else "") + ":\n" + "\n".join(f"  {line}" for line in lines)
