"""What the host computes around a network, for tables and for machines."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qif2hw_cli.output.console import Output

if TYPE_CHECKING:
    from qif2hw.ir import Program
    from qif2hw.ir.host_part.host import Input

_SHOWN = 4
_DIGITS = 6


def show_host(out: Output, program: "Program") -> dict[str, Any]:
    """Print names, units and ranges of inputs and outputs, and what the host computes; the same for machines."""
    host = program.host
    if host is None:
        out.say(f"inputs    {program.inputs}, scaled to [0, 1]")
        out.say(f"outputs   {program.results}, as decoded")
        return {"inputs": None, "outputs": None, "host": [], "classes": _classes(out, program)}
    out.say(f"inputs    {_listed([_input(one) for one in host.inputs])}")
    out.say(f"outputs   {_listed([' '.join(filter(None, (one.name, one.unit))) for one in host.outputs])}")
    before = sorted({step.op for step in host.encoding.steps})
    after = [] if host.solution is None else sorted({step.op for step in host.solution.steps})
    steps = 0 if host.solution is None else len(host.solution.steps)
    made = f"the outputs of the results by {steps} operators ({', '.join(after)})" if after else "nothing after it"
    out.say(f"host      computes the network's inputs ({', '.join(before)}), {made}")
    return {
        "inputs": [_facts(one) for one in host.inputs],
        "outputs": [{"name": one.name, "unit": one.unit} for one in host.outputs],
        "host": [*before, *(op for op in after if op not in before)],
        "classes": _classes(out, program),
    }


def _classes(out: Output, program: "Program") -> list[str] | None:
    """Print what a network classifies, and how; its classes for machines."""
    if program.classes is None:
        return None
    how = "the largest output" if program.first_spike is None else "the first spike"
    out.say(f"classes   {_listed(list(program.classes))}, by {how}")
    return list(program.classes)


def _input(one: "Input") -> str:
    fields = "" if one.fields is None else f" by {one.fields.count} receptive fields"
    unit = one.unit and f" {one.unit}"
    return f"{one.name} in [{_end(one.low, math.ceil)}, {_end(one.high, math.floor)}]{unit}{fields}"


def _end(value: float, inwards: Callable[[float], int]) -> str:
    """An end of a range as short as people write it, with six digits at least; what is cut lies inside the range."""
    if value == 0:
        return "0"
    near = float(f"{value:.{_DIGITS}g}")
    if not math.isclose(near, value, rel_tol=1e-12):
        unit = 10.0 ** (math.floor(math.log10(abs(value))) + 1 - _DIGITS)
        near = inwards(value / unit) * unit
    return f"{near:.{_DIGITS}g}"


def _facts(one: "Input") -> dict[str, Any]:
    fields = None if one.fields is None else {"count": one.fields.count, "overlap": one.fields.overlap}
    return {"name": one.name, "unit": one.unit, "low": one.low, "high": one.high, "fields": fields}


def _listed(parts: list[str]) -> str:
    if len(parts) > _SHOWN:
        parts = [*parts[: _SHOWN - 1], f".. {len(parts) - _SHOWN} more ..", parts[-1]]
    return ", ".join(parts)
