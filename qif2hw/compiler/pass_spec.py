"""A list of passes as text: ``time-grid{steps=512 lateness_bits=8},weights{bits=8},...``."""

import re
from dataclasses import fields
from typing import Any, get_args

from qif2hw.compiler.passes.adapt import AdaptRounding
from qif2hw.compiler.passes.budget import MeasureBudget
from qif2hw.compiler.passes.compensate import CompensatePhases
from qif2hw.compiler.passes.fit import FitTarget
from qif2hw.compiler.passes.lower import Lower
from qif2hw.compiler.passes.ranges import ProveRanges
from qif2hw.compiler.passes.registers import ProveRegisters
from qif2hw.compiler.passes.tables import MakeTables
from qif2hw.compiler.passes.time_grid import ChooseTimeGrid
from qif2hw.compiler.passes.tune import TuneTables
from qif2hw.compiler.passes.weights import Bits, RoundWeights, parse_bits, print_bits
from qif2hw.compiler.state import Pass
from qif2hw.errors import InputError

PASSES: dict[str, Any] = {
    one.name: one
    for one in (
        ChooseTimeGrid,
        RoundWeights,
        AdaptRounding,
        ProveRanges,
        MakeTables,
        TuneTables,
        Lower,
        ProveRegisters,
        MeasureBudget,
        CompensatePhases,
        FitTarget,
    )
}
"""Every pass by name."""


def print_passes(passes: tuple[Pass, ...]) -> str:
    """The passes with all their options, in order; `parse_passes` reads it back."""
    parts = []
    for one in passes:
        options = " ".join(f"{f.name}={_print(getattr(one, f.name))}" for f in _options(type(one)))
        parts.append(one.name + (f"{{{options}}}" if options else ""))
    return ",".join(parts)


def parse_passes(text: str) -> tuple[Pass, ...]:
    """Passes from text; options that are not named keep their defaults.

    Raises
    ------
    InputError
        On a pass or option that does not exist, or a value that is not a number.
    """
    found = []
    for part in re.split(r",\s*(?![^{]*\})", text.strip()):
        match = re.fullmatch(r"\s*([\w-]+)\s*(?:\{([^}]*)\})?\s*", part)
        if match is None:
            raise InputError(f"passes: cannot read '{part}': name{{option=value ...}} is needed")
        name, options = match[1], match[2] or ""
        if name not in PASSES:
            raise InputError(f"passes: no pass '{name}': known are {', '.join(PASSES)}")
        known = {f.name: f.default for f in _options(PASSES[name])}
        several = {f.name for f in _options(PASSES[name]) if get_args(f.type) == get_args(Bits)}
        values: dict[str, int | str | Bits] = {}
        for item in options.split():
            key, _, value = item.partition("=")
            if key not in known:
                raise InputError(f"passes: '{name}' has no option '{key}': it has {', '.join(known) or 'none'}")
            if isinstance(known[key], str):
                values[key] = value
                continue
            try:
                values[key] = parse_bits(value) if key in several and "/" in value else int(value)
            except ValueError:
                raise InputError(f"passes: {name}: {key}={value} is not a whole number") from None
        found.append(PASSES[name](**values))
    return tuple(found)


def _print(value: Any) -> str:
    return print_bits(value) if isinstance(value, tuple) else str(value)


def _options(one: Any) -> list[Any]:
    return [f for f in fields(one) if f.name != "name"]
