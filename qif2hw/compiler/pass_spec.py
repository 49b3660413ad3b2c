"""A list of passes as text: ``time-grid{steps=512 lateness_bits=8},weights{bits=8},...``."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from qif2hw.compiler.passes.adapt import AdaptRounding
from qif2hw.compiler.passes.budget import MeasureBudget
from qif2hw.compiler.passes.compensate import CompensatePhases
from qif2hw.compiler.passes.fit import FitTarget
from qif2hw.compiler.passes.lower import Lower
from qif2hw.compiler.passes.moments import ChooseMoments
from qif2hw.compiler.passes.ranges import ProveRanges
from qif2hw.compiler.passes.registers import ProveRegisters
from qif2hw.compiler.passes.tables import MakeTables
from qif2hw.compiler.passes.time_grid import ChooseTimeGrid
from qif2hw.compiler.passes.tune import TuneTables
from qif2hw.compiler.passes.weights import RoundWeights
from qif2hw.compiler.state import Pass
from qif2hw.compiler.stepped.adapt import AdaptSteppedRounding
from qif2hw.compiler.stepped.arithmetic import ChooseArithmetic
from qif2hw.compiler.stepped.budget import MeasureSteppedBudget
from qif2hw.compiler.stepped.fit import FitSteppedTarget
from qif2hw.compiler.stepped.inputs import ChooseInputUnits
from qif2hw.compiler.stepped.lower import LowerStepped
from qif2hw.compiler.stepped.ranges import ProveSums
from qif2hw.compiler.stepped.scales import ScaleWeights
from qif2hw.errors import InputError

PASSES: dict[str, Any] = {
    one.name: one
    for one in (
        ChooseTimeGrid,
        RoundWeights,
        AdaptRounding,
        ProveRanges,
        MakeTables,
        ChooseMoments,
        TuneTables,
        Lower,
        ProveRegisters,
        MeasureBudget,
        CompensatePhases,
        FitTarget,
    )
}
"""Every pass of event-driven networks by name."""

STEPPED_PASSES: dict[str, Any] = {
    one.name: one
    for one in (
        ChooseInputUnits,
        ScaleWeights,
        AdaptSteppedRounding,
        ChooseArithmetic,
        LowerStepped,
        ProveSums,
        MeasureSteppedBudget,
        FitSteppedTarget,
    )
}
"""Every pass of networks with a stepped clock by name."""


def print_passes(passes: Iterable[Any]) -> str:
    """The passes with all their options, in order; `parse_passes` reads it back.

    How an option is printed and parsed say its field's metadata ``print`` and ``parse``; without them it is a text or a
    whole number.
    """
    parts = []
    for one in passes:
        options = " ".join(f"{f.name}={f.metadata.get('print', str)(getattr(one, f.name))}" for f in fields(one))
        parts.append(one.name + (f"{{{options}}}" if options else ""))
    return ",".join(parts)


def parse_passes(text: str, passes: Mapping[str, Any] = PASSES) -> tuple[Pass, ...]:
    """Passes from text, of those that there are; options that are not named keep their defaults.

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
        if name not in passes:
            raise InputError(f"passes: no pass '{name}': known are {', '.join(passes)}")
        known = {f.name: f.metadata.get("parse", type(f.default)) for f in fields(passes[name])}
        values: dict[str, Any] = {}
        for item in options.split():
            key, _, value = item.partition("=")
            if key not in known:
                raise InputError(f"passes: '{name}' has no option '{key}': it has {', '.join(known) or 'none'}")
            try:
                values[key] = known[key](value)
            except ValueError:
                raise InputError(f"passes: {name}: {key}={value} is not a whole number") from None
        found.append(passes[name](**values))
    return tuple(found)
