"""What all measurements share: whether they ran alone, and their result."""

import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import click

from qif2hw.errors import InputError
from qif2hw_cli.output.console import Output

anyway_option = click.option(
    "--anyway", is_flag=True, help="Measure beside other programs too: not a number to quote. --quick does too."
)


class Watch(NamedTuple):
    """What is needed after the work to tell whether it ran alone."""

    anyway: bool
    before: Any

    def others(self) -> float | None:
        """Cores that other programs have taken since; refused if they are too many."""
        others = module("others")
        taken: float | None = others.others(self.before, others.reading())
        if not self.anyway:
            others.refuse(taken, "during the work")
        return taken


def watch_others(anyway: bool) -> Watch:
    """Look at the machine before the work."""
    others = module("others")
    if not anyway:
        others.refuse(others.look(), "before the work")
    return Watch(anyway, others.reading())


def finish(out: Output, measured: Mapping[str, tuple[Mapping[str, Any], Any]], watch: Watch) -> None:
    """Print where a result belongs to, or the result as JSON."""
    result = module("result").collect(measured, watch.others())
    out.say(result.about)
    out.data(result.to_json())


def module(name: str) -> Any:
    """A module of `qif2hw.bench`; `InputError` where it needs torch, which is not installed."""
    try:
        return importlib.import_module(f"qif2hw.bench.{name}")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise InputError("the benchmark needs torch, which is not installed: pip install 'qif2hw[train]'") from None
