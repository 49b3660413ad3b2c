"""Numbers on the command line that must lie in a range."""

import math
from typing import Any

import click


class Bound(click.FloatRange):
    """A finite number of at least 0, as bounds are."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number; a usage error that names the option if it is none."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and number >= 0):
            self.fail(f"{value}: a number of at least 0 is needed", param, ctx)
        return number


BOUND = Bound(min=0)
